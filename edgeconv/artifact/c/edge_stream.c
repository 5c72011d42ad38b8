/* SPDX-License-Identifier: Apache-2.0
 *
 * Points are converted once, as they come, into one row for each channel, and windows are copied out of the rows. What
 * has come is worked off before more is read: while the writer of records waits, so does the reader of points, and the
 * pipe behind it, so nothing is dropped and memory stays as it was at the start.
 */
#include "edge_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "edge_io.h"
#include "edge_threads.h"

enum { MOST_OUTPUTS = 64, READ_BYTES = 1 << 16, BATCH_BYTES = 1 << 20, MOST_BATCH = 256 };

typedef struct {
    const char *name;
    char kind;
    int bytes;
} element;

static const element ELEMENTS[] = {{"i8", 'i', 1},  {"u8", 'u', 1},  {"i16", 'i', 2}, {"u16", 'u', 2}, {"i32", 'i', 4},
                                   {"u32", 'u', 4}, {"i64", 'i', 8}, {"f32", 'f', 4}, {"f64", 'f', 8}};

static const edge_model *const model = &edge_this_model;

typedef struct {
    const edge_stream_options *options;
    const edge_ctx *ctx;
    const edge_tensor *tensor;
    element type;
    const char *in_name, *out_name;
    int file;
    FILE *sink;
    unsigned char *bytes;     /* read and not yet converted */
    int64_t held, point_size, read_size; /* bytes in `bytes`; bytes of a point; the most that `bytes` takes */
    char *rows;               /* channels × capacity values of the model's input type */
    int64_t capacity, count;  /* points that fit and that are there */
    int64_t first, next;      /* index in the stream of the first point there, and of the next window's first point */
    int64_t windows, batch;
    void *samples, *results[MOST_OUTPUTS], *scratch;
} stream;

static const element *find_element(const char *name) {
    for (size_t i = 0; i < sizeof ELEMENTS / sizeof *ELEMENTS; i++)
        if (strcmp(ELEMENTS[i].name, name) == 0) return &ELEMENTS[i];
    edge_die(EXIT_USAGE, "unknown dtype '%s'\n  expected: i8, u8, i16, u16, i32, u32, i64, f32 or f64", name);
}

void edge_stream_settle(edge_stream *how) {
    const edge_tensor *tensor = &model->inputs[0];
    if (how->channels == 0) how->channels = tensor->elements / how->window;
    if (how->window == 0) how->window = tensor->elements / how->channels;
    if (how->hop == 0) how->hop = how->window;
    if (how->channels * how->window != tensor->elements)
        edge_die(EXIT_USAGE, "%" PRId64 " channels in a window of %" PRId64 " points\n  expected: channels * window = %" PRId64
                 ", the values of input '%s'", how->channels, how->window, tensor->elements, tensor->name);
    if (find_element(how->dtype)->kind == 'f' && tensor->kind != 'f')
        edge_die(EXIT_USAGE, "a stream of %s for input '%s', which is %s\n  expected: an integer dtype", how->dtype,
                 tensor->name, tensor->type);
}

static void *allocate(int64_t bytes) {
    size_t alignment = model->scratch_alignment;
    void *memory = aligned_alloc(alignment, ((size_t)bytes / alignment + 1) * alignment);
    if (memory == NULL) edge_die(EXIT_USAGE, "out of memory: %" PRId64 " bytes", bytes);
    return memory;
}

/* ---- points ---- */

static uint64_t load_bits(const unsigned char *from, int bytes, int big) {
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (bytes) {
    case 1: return *from;
    case 2: memcpy(&two, from, sizeof two); return big ? __builtin_bswap16(two) : two;
    case 4: memcpy(&four, from, sizeof four); return big ? __builtin_bswap32(four) : four;
    default: memcpy(&eight, from, sizeof eight); return big ? __builtin_bswap64(eight) : eight;
    }
}

static int64_t as_integer(const element *type, uint64_t bits) {
    if (type->kind == 'u') return (int64_t)bits;
    int unused = 64 - 8 * type->bytes;
    return (int64_t)(bits << unused) >> unused;
}

static float as_float(const element *type, uint64_t bits) {
    if (type->kind != 'f') return (float)as_integer(type, bits);
    if (type->bytes == 8) {
        double value;
        memcpy(&value, &bits, sizeof value);
        return (float)value;
    }
    uint32_t low = (uint32_t)bits;
    float value;
    memcpy(&value, &low, sizeof value);
    return value;
}

static void put_value(stream *s, int64_t at, int64_t channel, uint64_t bits) {
    const edge_tensor *tensor = s->tensor;
    char *target = s->rows + (channel * s->capacity + at) * tensor->item_bytes;
    if (tensor->kind == 'f') {
        float value = as_float(&s->type, bits);
        memcpy(target, &value, sizeof value);
        return;
    }
    int64_t value = as_integer(&s->type, bits);
    int64_t half = tensor->kind == 'i' ? (int64_t)((uint64_t)1 << (tensor->bits - 1)) : 0;
    if (tensor->bits < 64 && ((uint64_t)value + (uint64_t)half) >> tensor->bits)
        edge_die(EXIT_USAGE, "%s: point %" PRId64 ", channel %" PRId64 ": %" PRId64 " lies outside %s", s->in_name,
                 s->first + at, channel, value, tensor->type);
    memcpy(target, &value, tensor->item_bytes); /* little-endian, as every machine that runs this */
}

/* Whole points become values; those between two windows that do not touch are passed over. */
static void convert(stream *s) {
    int64_t there = s->held / s->point_size, skipped = s->next - (s->first + s->count), channels = s->options->how.channels;
    int big = strcmp(s->options->how.byte_order, "big") == 0;
    const unsigned char *from = s->bytes;
    if (skipped < 0) skipped = 0;
    if (skipped > there) skipped = there;
    if (skipped > 0) {
        s->first += s->count + skipped;
        s->count = 0;
        from += skipped * s->point_size;
    }
    for (int64_t i = skipped; i < there; i++, s->count++)
        for (int64_t channel = 0; channel < channels; channel++, from += s->type.bytes)
            put_value(s, s->count, channel, load_bits(from, s->type.bytes, big));
    s->held -= there * s->point_size;
    memmove(s->bytes, s->bytes + there * s->point_size, (size_t)s->held);
}

/* Forget the points before the next window, once there is no room for more. */
static void make_room(stream *s) {
    int64_t size = s->tensor->item_bytes, past = s->next - s->first;
    if (past > s->count) past = s->count;
    for (int64_t channel = 0; channel < s->options->how.channels; channel++) {
        char *row = s->rows + channel * s->capacity * size;
        memmove(row, row + past * size, (size_t)((s->count - past) * size));
    }
    s->first += past;
    s->count -= past;
}

/* Bytes that have come, at least one; 0 at the end of the stream. */
static int64_t read_some(stream *s) {
    int64_t room = (s->capacity - s->count) * s->point_size;
    if (room < s->read_size) make_room(s);
    room = (s->capacity - s->count) * s->point_size;
    if (room > s->read_size) room = s->read_size;
    for (;;) {
        ssize_t found = read(s->file, s->bytes + s->held, (size_t)(room - s->held));
        if (found >= 0) return found;
        if (errno == EAGAIN) poll(&(struct pollfd){.fd = s->file, .events = POLLIN}, 1, -1);
        else if (errno != EINTR) edge_die(EXIT_USAGE, "%s: %s", s->in_name, strerror(errno));
    }
}

/* ---- records ---- */

static void check_sink(stream *s) {
    if (!ferror(s->sink)) return;
    if (errno == EPIPE)
        edge_die(EXIT_USAGE, "%s was closed by its reader after %" PRId64 " windows", s->out_name, s->windows);
    edge_die(EXIT_USAGE, "%s: %s", s->out_name, strerror(errno));
}

static void write_record(stream *s, int64_t window, int64_t sample) {
    const edge_stream *how = &s->options->how;
    int64_t index = window * how->hop;
    int text = strcmp(how->record, "text") == 0;
    if (how->index && text) fprintf(s->sink, "%" PRId64, index);
    if (how->index && !text) fwrite(&index, sizeof index, 1, s->sink);
    for (uint32_t i = 0; i < model->output_count; i++) {
        const edge_tensor *tensor = &model->outputs[i];
        const char *result = (const char *)s->results[i] + sample * edge_sample_bytes(tensor);
        if (!text) fwrite(result, (size_t)edge_sample_bytes(tensor), 1, s->sink);
        for (int64_t k = 0; text && k < tensor->elements; k++) {
            if (how->index || i || k) fputc(' ', s->sink);
            edge_print_value(s->sink, tensor, result, k);
        }
    }
    if (text) fputc('\n', s->sink);
}

static void run_windows(stream *s, int64_t number) {
    int64_t size = s->tensor->item_bytes, window = s->options->how.window, channels = s->options->how.channels;
    char *to = s->samples;
    for (int64_t i = 0; i < number; i++)
        for (int64_t channel = 0; channel < channels; channel++, to += window * size) {
            int64_t from = channel * s->capacity + s->next - s->first + i * s->options->how.hop;
            memcpy(to, s->rows + from * size, (size_t)(window * size));
        }
    const void *in[1] = {s->samples};
    int status = edge_check(in, number, s->options->allow_nan);
    if (status == EDGE_OK) status = edge_run(s->ctx, in, s->results, s->scratch, number);
    if (status != EDGE_OK)
        edge_die(EXIT_USAGE, "points %" PRId64 " to %" PRId64 ": %s%s", s->next, s->next + (number - 1) * s->options->how.hop + window - 1,
                 edge_strerror(status), status == EDGE_ERROR_NAN ? "\n  try: --allow-nan takes it for the zero point" : "");
    for (int64_t i = 0; i < number; i++) write_record(s, s->windows + i, i);
    s->windows += number;
    s->next += number * s->options->how.hop;
    check_sink(s);
}

static void run_whole_windows(stream *s) {
    int64_t hop = s->options->how.hop;
    for (;;) {
        int64_t past_first = s->first + s->count - s->next - s->options->how.window;
        if (past_first < 0) break;
        int64_t number = past_first / hop + 1;
        run_windows(s, number < s->batch ? number : s->batch);
    }
    fflush(s->sink); /* a record waits for nothing but its own points */
    check_sink(s);
}

/* ---- the two ends ---- */

static void open_ends(stream *s) {
    const edge_stream_options *options = s->options;
    int from_pipe = strcmp(options->in, "-") == 0, to_pipe = strcmp(options->out, "-") == 0;
    s->in_name = from_pipe ? "standard input" : options->in;
    s->out_name = to_pipe ? "standard output" : options->out;
    s->file = from_pipe ? 0 : open(options->in, O_RDONLY);
    if (s->file < 0) edge_die(EXIT_USAGE, "%s: %s", options->in, strerror(errno));
    s->sink = to_pipe ? stdout : fopen(options->out, "wb");
    if (s->sink == NULL) edge_die(EXIT_USAGE, "%s: %s", options->out, strerror(errno));
    setvbuf(s->sink, allocate(READ_BYTES), _IOFBF, READ_BYTES);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write(2), which is reported */
}

static void take_memory(stream *s) {
    const edge_stream *how = &s->options->how;
    int64_t sample_bytes = edge_sample_bytes(s->tensor), per_sample = sample_bytes;
    for (uint32_t i = 0; i < model->output_count; i++) per_sample += edge_sample_bytes(&model->outputs[i]);
    s->batch = BATCH_BYTES / per_sample < 1 ? 1 : BATCH_BYTES / per_sample > MOST_BATCH ? MOST_BATCH : BATCH_BYTES / per_sample;
    s->point_size = how->channels * s->type.bytes;
    s->read_size = s->point_size > READ_BYTES ? s->point_size : READ_BYTES;
    s->capacity = 2 * how->window + s->read_size / s->point_size; /* so a window's points are moved once, or not at all */
    s->bytes = allocate(s->read_size);
    s->rows = allocate(how->channels * s->capacity * s->tensor->item_bytes);
    s->samples = allocate(s->batch * sample_bytes);
    for (uint32_t i = 0; i < model->output_count; i++)
        s->results[i] = allocate(s->batch * edge_sample_bytes(&model->outputs[i]));
    s->scratch = allocate(edge_scratch_bytes(s->ctx));
}

/* What is left when the stream ends: points that no window covers, and bytes that make no point. */
static void finish(stream *s) {
    const edge_stream *how = &s->options->how;
    int64_t total = s->first + s->count, covered = s->windows ? s->next - how->hop + how->window : 0;
    int64_t left = total - (s->next > covered ? s->next : covered);
    if (s->held > 0)
        edge_die(EXIT_USAGE, "%s: ends inside point %" PRId64 ", after %" PRId64 " of %" PRId64 " bytes", s->in_name, total,
                 s->held, s->point_size);
    if (left > 0 && strcmp(how->partial, "error") == 0)
        edge_die(EXIT_USAGE, "%s: %" PRId64 " points after the last whole window", s->in_name, left);
    if (left > 0 && strcmp(how->partial, "zero") == 0) {
        int64_t size = s->tensor->item_bytes, missing = s->next + how->window - total;
        make_room(s);
        for (int64_t channel = 0; channel < how->channels; channel++)
            memset(s->rows + (channel * s->capacity + s->count) * size, 0, (size_t)(missing * size));
        s->count += missing;
        run_whole_windows(s);
    } else if (left > 0) {
        fprintf(stderr, "edge-run: %" PRId64 " points after the last whole window are dropped\n", left);
    }
}

static double seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

void edge_stream_run(const edge_ctx *ctx, const edge_stream_options *options) {
    stream s = {.options = options, .ctx = ctx, .tensor = &model->inputs[0], .type = *find_element(options->how.dtype)};
    open_ends(&s);
    take_memory(&s);
    int64_t found, read_bytes = 0;
    double start = 0; /* the clock starts with the first byte */
    while ((found = read_some(&s)) > 0) {
        if (read_bytes == 0) start = seconds();
        read_bytes += found;
        s.held += found;
        convert(&s);
        run_whole_windows(&s);
    }
    finish(&s);
    if (s.sink != stdout && fclose(s.sink) != 0) edge_die(EXIT_USAGE, "%s: %s", s.out_name, strerror(errno));
    double passed = read_bytes ? seconds() - start : 0;
    int64_t points = read_bytes / s.point_size;
    if (options->summary)
        fprintf(stderr, "{\"points\": %" PRId64 ", \"windows\": %" PRId64 ", \"seconds\": %.6f, \"points_per_s\": %.0f}\n", points,
                s.windows, passed, passed > 0 ? (double)points / passed : 0.0);
}
