/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "edge_checks.h"

#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "edge_io.h"
#include "edge_threads.h"

enum { MOST_TENSORS = 64 };

static const edge_model *const model = &edge_this_model;

static void *allocate(int64_t bytes) {
    size_t alignment = model->scratch_alignment;
    void *memory = aligned_alloc(alignment, ((size_t)bytes / alignment + 1) * alignment);
    if (memory == NULL) edge_die(EXIT_USAGE, "out of memory: %" PRId64 " bytes", bytes);
    return memory;
}

/* ---- self-test ---- */

static void *load_samples(const char *folder, const char *kind, uint32_t index, const edge_tensor *tensor, int64_t *n) {
    char path[4096];
    edge_reader reader;
    if (snprintf(path, sizeof path, "%s/%s-%u.npy", folder, kind, index) >= (int)sizeof path)
        edge_die(EXIT_USAGE, "%s: the path is too long", folder);
    edge_open_reader(&reader, tensor, path, FORMAT_NPY);
    if (*n >= 0 && reader.samples != *n) edge_die(EXIT_USAGE, "%s: %" PRId64 " samples, the inputs hold %" PRId64, path, reader.samples, *n);
    *n = reader.samples;
    void *samples = allocate(*n * edge_sample_bytes(tensor));
    if (edge_read(&reader, samples, *n) != *n) edge_die(EXIT_USAGE, "%s: cut short", path);
    edge_close_reader(&reader);
    return samples;
}

static int report_difference(const char *isa, const edge_tensor *tensor, const char *found, const char *wanted, int64_t n) {
    int64_t different = 0, first = -1, values = n * tensor->elements, size = tensor->item_bytes;
    for (int64_t i = 0; i < values; i++)
        if (memcmp(found + i * size, wanted + i * size, (size_t)size) != 0) {
            if (first < 0) first = i;
            different++;
        }
    if (different == 0) return 0;
    printf("%s: output '%s': %" PRId64 " of %" PRId64 " values differ; first in sample %" PRId64 " at %" PRId64 ": found ", isa,
           tensor->name, different, values, first / tensor->elements, first % tensor->elements);
    edge_print_value(stdout, tensor, found, first);
    printf(", expected ");
    edge_print_value(stdout, tensor, wanted, first);
    printf("\n");
    return EXIT_DIFFERENCE;
}

int edge_self_test(const char *folder, const edge_ctx *usual, int every_isa) {
    void *in[MOST_TENSORS], *wanted[MOST_TENSORS], *out[MOST_TENSORS];
    int64_t n = -1;
    int code = 0;
    for (uint32_t i = 0; i < model->input_count; i++) in[i] = load_samples(folder, "input", i, &model->inputs[i], &n);
    for (uint32_t i = 0; i < model->output_count; i++) {
        wanted[i] = load_samples(folder, "output", i, &model->outputs[i], &n);
        out[i] = allocate(n * edge_sample_bytes(&model->outputs[i]));
    }
    void *scratch = allocate(edge_scratch_bytes(usual));
    for (uint32_t k = 0; k < model->kernel_count; k++) {
        edge_ctx ctx = *usual;
        const char *name = model->kernels[k].name;
        int difference = 0;
        ctx.isa = model->kernels[k].isa;
        if (!every_isa && usual->isa != ctx.isa) continue;
        if (edge_init(&ctx) != EDGE_OK) {
            printf("%s: not run, this CPU lacks it\n", name);
            continue;
        }
        int status = edge_run(&ctx, (const void *const *)in, out, scratch, n);
        if (status != EDGE_OK) edge_die(EXIT_USAGE, "%s: %s", name, edge_strerror(status));
        for (uint32_t i = 0; i < model->output_count; i++) difference |= report_difference(name, &model->outputs[i], out[i], wanted[i], n);
        if (!difference) printf("%s: %" PRId64 " samples, every byte as the reference\n", name, n);
        code |= difference;
    }
    return code;
}

/* ---- bench ---- */

static uint64_t random_state = 0x9E3779B97F4A7C15u;

static uint64_t random_word(void) { /* xorshift64 (Marsaglia 2003): the times do not depend on its quality */
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void fill_random(const edge_tensor *tensor, void *samples, int64_t n) {
    for (int64_t i = 0; i < n * tensor->elements; i++) {
        double unit = (double)(random_word() >> 11) * 0x1p-53;
        double value = tensor->low + (tensor->high - tensor->low) * unit;
        if (tensor->kind == 'f') {
            ((float *)samples)[i] = (float)value;
        } else {
            int64_t whole = (int64_t)value;
            memcpy((char *)samples + i * tensor->item_bytes, &whole, tensor->item_bytes);
        }
    }
}

static double now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static double time_calls(const edge_ctx *ctx, void **in, void **out, void *scratch, int64_t batch, int64_t calls) {
    double start = now_ns();
    for (int64_t i = 0; i < calls; i++) edge_run(ctx, (const void *const *)in, out, scratch, batch);
    return (now_ns() - start) / (double)calls;
}

static int ascending(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void pin_to_this_core(void) {
    cpu_set_t cores;
    int core = sched_getcpu();
    if (core < 0 || core >= CPU_SETSIZE) return;
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    sched_setaffinity(0, sizeof cores, &cores);
}

void edge_bench(const edge_ctx *ctx, int64_t rounds, int64_t batch) {
    const double ROUND_NS = 1e5, WARM_NS = 2e8; /* long against the clock's 30 ns, short against a scheduler's slice */
    void *in[MOST_TENSORS], *out[MOST_TENSORS];
    if (ctx->threads <= 1) pin_to_this_core();
    for (uint32_t i = 0; i < model->input_count; i++) {
        in[i] = allocate(batch * edge_sample_bytes(&model->inputs[i]));
        fill_random(&model->inputs[i], in[i], batch);
    }
    for (uint32_t i = 0; i < model->output_count; i++) out[i] = allocate(batch * edge_sample_bytes(&model->outputs[i]));
    void *scratch = allocate(edge_scratch_bytes(ctx));
    double *times = allocate(rounds * (int64_t)sizeof(double));
    double start = now_ns(), once = time_calls(ctx, in, out, scratch, batch, 1);
    while (now_ns() - start < WARM_NS) once = time_calls(ctx, in, out, scratch, batch, 1);
    int64_t calls = once < ROUND_NS ? (int64_t)(ROUND_NS / once) : 1;
    for (int64_t i = 0; i < rounds; i++) times[i] = time_calls(ctx, in, out, scratch, batch, calls);
    qsort(times, (size_t)rounds, sizeof(double), ascending);
    printf("{\"isa\": \"%s\", \"threads\": %u, \"batch\": %" PRId64 ", \"rounds\": %" PRId64 ", \"calls_per_round\": %" PRId64
           ", \"median_ns\": %.1f, \"p05_ns\": %.1f, \"p95_ns\": %.1f, \"least_ns\": %.1f, \"samples_per_s\": %.0f}\n",
           edge_isa_name(ctx->isa), ctx->threads, batch, rounds, calls, times[rounds / 2], times[rounds / 20],
           times[rounds - 1 - rounds / 20], times[0], (double)batch * 1e9 / times[rounds / 2]);
}
