/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs generated code on guarded memory under emulation: what native.py and memory.py do inside a process, for another
 * CPU. Usage: driver JOB RESULT FIRST. JOB holds 64-bit words and the data they point at (emulated.py writes it); for
 * each call from FIRST on, a word that tells which memories were damaged and the bytes of the outputs go to RESULT.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096, CANARY = 0xC5, SCRATCH_FILL = 0xAB, MOST = 64 };

typedef void (*entry)(const void *const *in, void *const *out, const uint8_t *weights, uint8_t *scratch, int64_t n);
extern const entry edge_functions[];

typedef struct {
    uint8_t *pages, *bytes;
    int64_t span, size;
} guarded;

static void fail(const char *what) {
    perror(what);
    exit(2);
}

/* `size` bytes that end `odd` bytes before an inaccessible page, or begin `odd` bytes behind one. */
static guarded make_guarded(int64_t size, int at_start, int64_t odd) {
    guarded made = {.size = size, .span = (size + odd + PAGE - 1) / PAGE * PAGE};
    if (made.span == 0) made.span = PAGE;
    uint8_t *base = mmap(NULL, made.span + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED || mprotect(base + PAGE, made.span, PROT_READ | PROT_WRITE)) fail("mmap");
    made.pages = base + PAGE;
    made.bytes = made.pages + (at_start ? odd : made.span - size - odd);
    memset(made.pages, CANARY, made.span);
    return made;
}

static int intact(const guarded *memory) {
    for (int64_t i = 0; i < memory->span; i++) {
        const uint8_t *byte = memory->pages + i;
        if ((byte < memory->bytes || byte >= memory->bytes + memory->size) && *byte != CANARY) return 0;
    }
    return 1;
}

static guarded make_aligned(int64_t size) { return make_guarded(size, 0, -size & 63); }

static void release(guarded *memory) { munmap(memory->pages - PAGE, memory->span + 2 * PAGE); }

/* Words of a call: function, samples, at_start, odd, inputs, outputs, blob size and place, scratch size, then size and
 * place of each input, then the size of each output. Returns the words behind it. */
static const int64_t *run(const int64_t *call, const uint8_t *job, FILE *result) {
    int64_t samples = call[1], odd = call[3], inputs = call[4], outputs = call[5];
    const int64_t *in_words = call + 9, *out_words = in_words + 2 * inputs;
    if (result == NULL) return out_words + outputs;
    guarded in[MOST], out[MOST], blob = make_aligned(call[6]), scratch = make_aligned(call[8]);
    const void *in_pointers[MOST + 1];
    void *out_pointers[MOST + 1];
    for (int64_t i = 0; i < inputs; i++) {
        in[i] = make_guarded(in_words[2 * i], call[2] != 0, odd);
        memcpy(in[i].bytes, job + in_words[2 * i + 1], in[i].size);
        in_pointers[i] = in[i].bytes;
    }
    for (int64_t i = 0; i < outputs; i++) {
        out[i] = make_guarded(out_words[i], call[2] != 0, odd);
        out_pointers[i] = out[i].bytes;
    }
    memcpy(blob.bytes, job + call[7], blob.size);
    memset(scratch.bytes, SCRATCH_FILL, scratch.size);
    edge_functions[call[0]](in_pointers, out_pointers, blob.bytes, scratch.bytes, samples);
    int64_t broken = 0;
    for (int64_t i = 0; i < inputs; i++)
        if (!intact(&in[i]) || memcmp(in[i].bytes, job + in_words[2 * i + 1], in[i].size)) broken |= 1;
    for (int64_t i = 0; i < outputs; i++)
        if (!intact(&out[i])) broken |= 2;
    if (!intact(&blob) || memcmp(blob.bytes, job + call[7], blob.size)) broken |= 4;
    if (!intact(&scratch)) broken |= 8;
    fwrite(&broken, sizeof broken, 1, result);
    for (int64_t i = 0; i < outputs; i++) fwrite(out[i].bytes, 1, out[i].size, result);
    fflush(result);
    for (int64_t i = 0; i < inputs; i++) release(&in[i]);
    for (int64_t i = 0; i < outputs; i++) release(&out[i]);
    release(&blob), release(&scratch);
    return out_words + outputs;
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    int file = open(arguments[1], O_RDONLY);
    struct stat status;
    if (file < 0 || fstat(file, &status)) fail(arguments[1]);
    const uint8_t *job = mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    FILE *result = fopen(arguments[2], "wb");
    if (job == MAP_FAILED || result == NULL) fail(arguments[2]);
    const int64_t *words = (const int64_t *)job, first = atoll(arguments[3]), calls = words[0];
    words++;
    for (int64_t i = 0; i < calls; i++) words = run(words, job, i < first ? NULL : result);
    return fclose(result) != 0;
}
