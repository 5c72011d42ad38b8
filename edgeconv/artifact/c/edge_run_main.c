/* SPDX-License-Identifier: Apache-2.0
 *
 * edge-run: the model as a program of its own. Reads samples from files or standard input, writes results.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "edge_checks.h"
#include "edge_io.h"
#include "edge_stream.h"
#include "edge_threads.h"

enum { MOST_TENSORS = 64, PIECE_BYTES = 1 << 20, MOST_PIECE = 1024 };

static const edge_model *const model = &edge_this_model;

typedef struct {
    const char *in[MOST_TENSORS], *out[MOST_TENSORS];
    int in_count, out_count;
    edge_format read_format, write_format;
    int allow_nan, summary, streams;
    edge_stream stream;
    edge_ctx ctx;
} options;

static void print_stream_help(void) {
    const edge_stream *how = model->stream;
    if (how == NULL) return;
    printf("  --stream          points without end, cut into windows; a record for each window, as soon as it is whole\n"
           "  --dtype T         i8, u8, i16, u16, i32, u32, i64, f32 or f64 (%s)\n"
           "  --byte-order O    little or big (%s)\n"
           "  --channels N      values of a point, one after the other (%" PRId64 ")\n"
           "  --window N        points of a window (%" PRId64 ")\n"
           "  --hop N           points from the start of a window to the start of the next (%" PRId64 ")\n"
           "  --format F        of records: text or raw (%s)\n"
           "  --index yes|no    a record begins with the index of its first point; raw: 8 bytes (%s)\n"
           "  --partial P       points after the last whole window: drop, zero (filled up) or error (%s)\n"
           "  --summary         at the end a line of JSON on standard error: points, windows, seconds, points a second\n\n",
           how->dtype, how->byte_order, how->channels, how->window, how->hop, how->record, how->index ? "yes" : "no",
           how->partial);
}

static void print_help(void) {
    printf("edge-run: the model '%s' as a program.\n\n"
           "  edge-run [-i [NAME=]FILE] [-o [NAME=]FILE] [options]\n"
           "  edge-run --stream [-i FILE] [-o FILE] [options]\n"
           "  edge-run --bench ROUNDS [--batch N]\n"
           "  edge-run --self-test GOLDEN_FOLDER\n\n"
           "  -i [NAME=]FILE    .npy, or raw little-endian samples one after the other; - is standard input (default)\n"
           "  -o [NAME=]FILE    .npy, .txt, else raw; - is standard output, as text (default)\n"
           "  --input-format F  npy or raw; found out when not given\n"
           "  --format F        npy, raw or text\n"
           "  --isa NAME        instruction set; the fastest that this CPU runs when not given\n"
           "  --threads N       threads that share the work (1); the results are the same\n"
           "  --allow-nan       NaN in a float input gives the zero point; otherwise it is refused\n"
           "  --bench ROUNDS    measure the time of a call, in that many rounds\n"
           "  --batch N         samples in a call of --bench (1)\n"
           "  --self-test DIR   compare with the reference results in DIR, with every instruction set\n\n",
           model->name);
    print_stream_help();
    for (uint32_t i = 0; i < model->input_count + model->output_count; i++) {
        int is_input = i < model->input_count;
        const edge_tensor *tensor = is_input ? &model->inputs[i] : &model->outputs[i - model->input_count];
        printf("  %s %s: %s (", is_input ? "input " : "output", tensor->name, tensor->type);
        for (uint32_t axis = 0; axis < tensor->rank; axis++)
            printf(axis ? ", %" PRId64 : "%" PRId64, tensor->shape[axis]);
        printf("), %" PRId64 " bytes a sample\n", edge_sample_bytes(tensor));
    }
    printf("  instruction sets:");
    for (uint32_t i = 0; i < model->kernel_count; i++) printf(" %s", model->kernels[i].name);
    printf("\n\nExit codes: 0 done, 1 the self-test found a difference, 2 usage or input, 4 the CPU cannot run it.\n");
}

/* The index that NAME=FILE or FILE means, with *path set to FILE. */
static uint32_t which_tensor(const char *argument, const edge_tensor *tensors, uint32_t count, const char **path) {
    for (uint32_t i = 0; i < count; i++) {
        size_t length = strlen(tensors[i].name);
        if (strncmp(argument, tensors[i].name, length) == 0 && argument[length] == '=') {
            *path = argument + length + 1;
            return i;
        }
    }
    *path = argument;
    if (count == 1) return 0;
    edge_die(EXIT_USAGE, "'%s' does not tell which tensor is meant\n  expected: NAME=FILE, see --help", argument);
}

static edge_format parse_format(const char *text, int may_be_text) {
    if (strcmp(text, "npy") == 0) return FORMAT_NPY;
    if (strcmp(text, "raw") == 0) return FORMAT_RAW;
    if (may_be_text && strcmp(text, "text") == 0) return FORMAT_TEXT;
    edge_die(EXIT_USAGE, "unknown format '%s'\n  expected: npy, raw%s", text, may_be_text ? " or text" : "");
}

static int64_t parse_count(const char *text, const char *option) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < 1 || value > 1000000000)
        edge_die(EXIT_USAGE, "%s %s\n  expected: a whole number from 1 on", option, text);
    return value;
}

static void *allocate(size_t bytes) {
    size_t alignment = model->scratch_alignment;
    void *memory = aligned_alloc(alignment, (bytes / alignment + 1) * alignment);
    if (memory == NULL) edge_die(EXIT_USAGE, "out of memory: %zu bytes", bytes);
    return memory;
}

static int64_t piece_samples(void) {
    int64_t bytes = 0;
    for (uint32_t i = 0; i < model->input_count; i++) bytes += edge_sample_bytes(&model->inputs[i]);
    for (uint32_t i = 0; i < model->output_count; i++) bytes += edge_sample_bytes(&model->outputs[i]);
    int64_t samples = PIECE_BYTES / (bytes + 1);
    return samples < 1 ? 1 : samples > MOST_PIECE ? MOST_PIECE : samples;
}

static void open_readers(const options *chosen, edge_reader *readers) {
    const char *paths[MOST_TENSORS] = {NULL};
    for (int i = 0; i < chosen->in_count; i++) {
        const char *path;
        uint32_t index = which_tensor(chosen->in[i], model->inputs, model->input_count, &path);
        if (paths[index] != NULL) edge_die(EXIT_USAGE, "input '%s' is given twice", model->inputs[index].name);
        paths[index] = path;
    }
    if (chosen->in_count == 0 && model->input_count == 1) paths[0] = "-";
    for (uint32_t i = 0; i < model->input_count; i++) {
        if (paths[i] == NULL)
            edge_die(EXIT_USAGE, "input '%s' is missing\n  expected: -i %s=FILE", model->inputs[i].name, model->inputs[i].name);
        edge_open_reader(&readers[i], &model->inputs[i], paths[i], chosen->read_format);
        if (i && readers[i].samples != readers[0].samples)
            edge_die(EXIT_USAGE, "%s and %s hold different numbers of samples", readers[0].path, readers[i].path);
    }
}

/* Outputs that nobody asked for are computed and not written. */
static void open_writers(const options *chosen, const edge_reader *input, edge_writer *writers) {
    const char *paths[MOST_TENSORS] = {NULL};
    for (int i = 0; i < chosen->out_count; i++) {
        const char *path;
        uint32_t index = which_tensor(chosen->out[i], model->outputs, model->output_count, &path);
        if (paths[index] != NULL) edge_die(EXIT_USAGE, "output '%s' is given twice", model->outputs[index].name);
        paths[index] = path;
    }
    if (chosen->out_count == 0) {
        if (model->output_count > 1) edge_die(EXIT_USAGE, "there are several outputs\n  expected: -o NAME=FILE, see --help");
        paths[0] = "-";
    }
    edge_axes axes = input->axes;
    for (uint32_t i = 0; i < model->output_count; i++)
        if (axes == AXES_BATCH && (model->outputs[i].rank == 0 || model->outputs[i].shape[0] != 1)) axes = AXES_LEADING;
    for (uint32_t i = 0; i < model->output_count; i++)
        if (paths[i] != NULL)
            edge_open_writer(&writers[i], &model->outputs[i], paths[i], chosen->write_format, axes, input->samples);
}

static int64_t read_piece(edge_reader *readers, void **buffers, int64_t most) {
    int64_t count = edge_read(&readers[0], buffers[0], most);
    for (uint32_t i = 1; i < model->input_count; i++)
        if (edge_read(&readers[i], buffers[i], count ? count : 1) != count)
            edge_die(EXIT_USAGE, "%s and %s hold different numbers of samples", readers[0].path, readers[i].path);
    return count;
}

static void run_files(options *chosen) {
    edge_reader readers[MOST_TENSORS];
    edge_writer writers[MOST_TENSORS] = {{0}};
    void *in[MOST_TENSORS], *out[MOST_TENSORS];
    int64_t most = piece_samples(), count;
    for (uint32_t i = 0; i < model->input_count; i++) in[i] = allocate((size_t)(most * edge_sample_bytes(&model->inputs[i])));
    for (uint32_t i = 0; i < model->output_count; i++) out[i] = allocate((size_t)(most * edge_sample_bytes(&model->outputs[i])));
    void *scratch = allocate((size_t)edge_scratch_bytes(&chosen->ctx));
    open_readers(chosen, readers);
    open_writers(chosen, &readers[0], writers);
    while ((count = read_piece(readers, in, most)) > 0) {
        const void *const *samples = (const void *const *)in;
        int status = edge_check(samples, count, chosen->allow_nan);
        if (status == EDGE_OK) status = edge_run(&chosen->ctx, samples, out, scratch, count);
        if (status != EDGE_OK)
            edge_die(EXIT_USAGE, "samples %" PRId64 " to %" PRId64 ": %s%s", readers[0].taken - count, readers[0].taken - 1,
                     edge_strerror(status), status == EDGE_ERROR_NAN ? "\n  try: --allow-nan takes it for the zero point" : "");
        for (uint32_t i = 0; i < model->output_count; i++)
            if (writers[i].file != NULL) edge_write(&writers[i], out[i], count);
        if (readers[0].file == stdin)
            for (uint32_t i = 0; i < model->output_count; i++)
                if (writers[i].file == stdout) fflush(stdout);
    }
    for (uint32_t i = 0; i < model->output_count; i++)
        if (writers[i].file != NULL) edge_close_writer(&writers[i]);
    for (uint32_t i = 0; i < model->input_count; i++) edge_close_reader(&readers[i]);
}

static uint32_t find_isa(const char *name) {
    for (uint32_t i = 0; i < model->kernel_count; i++)
        if (strcmp(model->kernels[i].name, name) == 0) return model->kernels[i].isa;
    edge_die(EXIT_USAGE, "instruction set '%s' is not in this artifact, see --help", name);
}

static const char *one_of(const char *text, const char *option, const char *a, const char *b, const char *c) {
    if (strcmp(text, a) == 0 || strcmp(text, b) == 0 || (c != NULL && strcmp(text, c) == 0)) return text;
    edge_die(EXIT_USAGE, "%s %s\n  expected: %s, %s%s%s", option, text, a, b, c ? ", " : "", c ? c : "");
}

/* An option of --stream; 0 where it is none. */
static int parse_stream_option(edge_stream *how, int option) {
    switch (option) {
    case 'D': how->dtype = optarg; return 1;
    case 'O': how->byte_order = one_of(optarg, "--byte-order", "little", "big", NULL); return 1;
    case 'C': how->channels = parse_count(optarg, "--channels"); return 1;
    case 'W': how->window = parse_count(optarg, "--window"); return 1;
    case 'P': how->hop = parse_count(optarg, "--hop"); return 1;
    case 'X': how->index = one_of(optarg, "--index", "yes", "no", NULL)[0] == 'y'; return 1;
    case 'R': how->partial = one_of(optarg, "--partial", "drop", "zero", "error"); return 1;
    default: return 0;
    }
}

static void run_stream(options *chosen, const char *format) {
    edge_stream_options stream = {.how = chosen->stream, .in = "-", .out = "-", .allow_nan = chosen->allow_nan, .summary = chosen->summary};
    const edge_stream *usual = model->stream;
    if (chosen->in_count > 1 || chosen->out_count > 1) edge_die(EXIT_USAGE, "--stream takes one -i and one -o");
    if (chosen->in_count) which_tensor(chosen->in[0], model->inputs, 1, &stream.in);
    if (chosen->out_count) stream.out = chosen->out[0];
    stream.how.record = format ? one_of(format, "--format", "text", "raw", NULL) : usual->record;
    /* Of channels and window one implies the other; a hop that was the window stays it. */
    int shape_given = stream.how.channels || stream.how.window;
    if (!shape_given) stream.how.channels = usual->channels;
    if (!stream.how.hop && (!shape_given || usual->hop != usual->window)) stream.how.hop = usual->hop;
    edge_stream_settle(&stream.how);
    edge_stream_run(&chosen->ctx, &stream);
}

static const struct option OPTIONS[] = {
    {"help", no_argument, NULL, 'h'},         {"bench", required_argument, NULL, 'B'},
    {"batch", required_argument, NULL, 'N'},  {"self-test", required_argument, NULL, 'T'},
    {"isa", required_argument, NULL, 'I'},    {"format", required_argument, NULL, 'F'},
    {"input-format", required_argument, NULL, 'G'}, {"allow-nan", no_argument, NULL, 'A'},
    {"threads", required_argument, NULL, 't'},
    {"stream", no_argument, NULL, 'S'},       {"dtype", required_argument, NULL, 'D'},
    {"byte-order", required_argument, NULL, 'O'}, {"channels", required_argument, NULL, 'C'},
    {"window", required_argument, NULL, 'W'}, {"hop", required_argument, NULL, 'P'},
    {"index", required_argument, NULL, 'X'},  {"partial", required_argument, NULL, 'R'},
    {"summary", no_argument, NULL, 'Y'},      {NULL, 0, NULL, 0}};

int main(int count, char **arguments) {
    options chosen = {.ctx = EDGE_CTX_INIT};
    const char *golden = NULL, *format = NULL;
    int64_t rounds = 0, batch = 1, threads = 1;
    int option, any_isa = 1, stream_only = 0;
    if (model->stream != NULL)
        chosen.stream = (edge_stream){.dtype = model->stream->dtype, .byte_order = model->stream->byte_order,
                                      .partial = model->stream->partial, .index = model->stream->index};
    while ((option = getopt_long(count, arguments, "hi:o:", OPTIONS, NULL)) != -1) {
        switch (option) {
        case 'h': print_help(); return 0;
        case 'i':
            if (chosen.in_count == MOST_TENSORS) edge_die(EXIT_USAGE, "too many -i");
            chosen.in[chosen.in_count++] = optarg;
            break;
        case 'o':
            if (chosen.out_count == MOST_TENSORS) edge_die(EXIT_USAGE, "too many -o");
            chosen.out[chosen.out_count++] = optarg;
            break;
        case 'B': rounds = parse_count(optarg, "--bench"); break;
        case 'N': batch = parse_count(optarg, "--batch"); break;
        case 'T': golden = optarg; break;
        case 'I': chosen.ctx.isa = find_isa(optarg); any_isa = 0; break;
        case 'F': format = optarg; break;
        case 'G': chosen.read_format = parse_format(optarg, 0); break;
        case 't': threads = parse_count(optarg, "--threads"); break;
        case 'A': chosen.allow_nan = 1; break;
        case 'S': chosen.streams = 1; break;
        case 'Y': chosen.summary = stream_only = 1; break;
        default:
            if (!parse_stream_option(&chosen.stream, option)) return EXIT_USAGE;
            stream_only = 1;
        }
    }
    if (stream_only && !chosen.streams) edge_die(EXIT_USAGE, "an option of --stream without --stream, see --help");
    if (chosen.streams && model->stream == NULL)
        edge_die(EXIT_USAGE, "--stream for %u inputs\n  expected: a model with one input", model->input_count);
    if (format != NULL && !chosen.streams) chosen.write_format = parse_format(format, 1);
    if (optind < count) edge_die(EXIT_USAGE, "unexpected argument '%s'\n  expected: -i FILE and -o FILE, see --help", arguments[optind]);
    int status = edge_init(&chosen.ctx);
    if (status != EDGE_OK) edge_die(EXIT_DEVICE, "%s", edge_strerror(status));
    if (threads > EDGE_MOST_THREADS) edge_die(EXIT_USAGE, "--threads %" PRId64 "\n  expected: at most %d", threads, EDGE_MOST_THREADS);
    if (threads > 1) edge_threads_start(&chosen.ctx, threads);
    if (golden != NULL) return edge_self_test(golden, &chosen.ctx, any_isa);
    if (rounds > 0) edge_bench(&chosen.ctx, rounds, batch);
    else if (chosen.streams) run_stream(&chosen, format);
    else run_files(&chosen);
    return 0;
}
