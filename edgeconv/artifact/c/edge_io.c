/* SPDX-License-Identifier: Apache-2.0 */
#include "edge_io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const unsigned char MAGIC[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
enum { HEADER_BYTES = 256, LARGEST_HEADER = 1 << 20, MOST_AXES = 9, MOST_OUTPUTS = 64 };

static const char *unfinished[MOST_OUTPUTS];
static int unfinished_count;

void edge_die(int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("edge-run: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    for (int i = 0; i < unfinished_count; i++)
        if (unfinished[i] != NULL) unlink(unfinished[i]);
    exit(code);
}

int64_t edge_sample_bytes(const edge_tensor *tensor) { return tensor->elements * tensor->item_bytes; }

/* ---- the header of a .npy file: the text of a Python dictionary with three known keys ---- */

typedef struct {
    const char *at, *path;
    char descr[16];
    int fortran_order, rank;
    int64_t shape[MOST_AXES];
} npy_header;

static void bad_header(const npy_header *header, const char *what) {
    edge_die(EXIT_USAGE, "%s: malformed .npy header: %s", header->path, what);
}

static void skip_spaces(npy_header *header) {
    while (*header->at == ' ' || *header->at == '\n' || *header->at == '\t') header->at++;
}

static void expect(npy_header *header, char wanted) {
    char message[] = "'?' expected";
    skip_spaces(header);
    message[1] = wanted;
    if (*header->at++ != wanted) bad_header(header, message);
}

static void parse_string(npy_header *header, char *text, size_t room) {
    skip_spaces(header);
    char quote = *header->at++;
    size_t length = 0;
    if (quote != '\'' && quote != '"') bad_header(header, "a quoted string expected (structured types are not read)");
    while (*header->at != quote) {
        if (*header->at == 0 || length + 1 >= room) bad_header(header, "a string does not end");
        text[length++] = *header->at++;
    }
    text[length] = 0;
    header->at++;
}

static void parse_shape(npy_header *header) {
    expect(header, '(');
    for (skip_spaces(header); *header->at != ')'; skip_spaces(header)) {
        char *end;
        if (header->rank == MOST_AXES) bad_header(header, "too many axes");
        if (*header->at < '0' || *header->at > '9') bad_header(header, "an extent expected");
        errno = 0;
        header->shape[header->rank++] = strtoll(header->at, &end, 10);
        if (errno) bad_header(header, "an extent is too large");
        header->at = end;
        skip_spaces(header);
        if (*header->at == ',') header->at++;
        else if (*header->at != ')') bad_header(header, "',' or ')' expected");
    }
    header->at++;
}

static void parse_bool(npy_header *header) {
    skip_spaces(header);
    header->fortran_order = strncmp(header->at, "True", 4) == 0;
    if (!header->fortran_order && strncmp(header->at, "False", 5) != 0) bad_header(header, "True or False expected");
    header->at += header->fortran_order ? 4 : 5;
}

static void parse_header(npy_header *header) {
    int seen = 0;
    expect(header, '{');
    for (skip_spaces(header); *header->at != '}'; skip_spaces(header)) {
        char key[16];
        parse_string(header, key, sizeof key);
        int which = strcmp(key, "descr") == 0 ? 1 : strcmp(key, "fortran_order") == 0 ? 2 : strcmp(key, "shape") == 0 ? 4 : 0;
        if (which == 0 || (seen & which)) bad_header(header, "an unknown or repeated key");
        seen |= which;
        expect(header, ':');
        if (which == 1) parse_string(header, header->descr, sizeof header->descr);
        else if (which == 2) parse_bool(header);
        else parse_shape(header);
        skip_spaces(header);
        if (*header->at == ',') header->at++;
        else if (*header->at != '}') bad_header(header, "',' or '}' expected");
    }
    if (seen != 7) bad_header(header, "descr, fortran_order or shape is missing");
}

/* ---- reading ---- */

static void print_shape(char *text, size_t room, const int64_t *shape, int rank) {
    size_t length = (size_t)snprintf(text, room, "(");
    for (int i = 0; i < rank && length < room; i++)
        length += (size_t)snprintf(text + length, room - length, i ? ", %" PRId64 : "%" PRId64, shape[i]);
    if (length < room) snprintf(text + length, room - length, rank == 1 ? ",)" : ")");
}

static int same_extents(const int64_t *a, const int64_t *b, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (a[i] != b[i]) return 0;
    return 1;
}

static void interpret_shape(edge_reader *reader, const npy_header *header) {
    const edge_tensor *tensor = reader->tensor;
    uint32_t rank = (uint32_t)header->rank;
    if (rank == tensor->rank && same_extents(header->shape, tensor->shape, rank)) {
        reader->samples = 1;
        reader->axes = rank > 0 && tensor->shape[0] == 1 ? AXES_BATCH : AXES_ONE;
    } else if (rank == tensor->rank + 1 && same_extents(header->shape + 1, tensor->shape, rank - 1)) {
        reader->samples = header->shape[0];
        reader->axes = AXES_LEADING;
    } else if (rank > 0 && rank == tensor->rank && tensor->shape[0] == 1 &&
               same_extents(header->shape + 1, tensor->shape + 1, rank - 1)) {
        reader->samples = header->shape[0];
        reader->axes = AXES_BATCH;
    } else {
        char found[200], wanted[200];
        print_shape(found, sizeof found, header->shape, header->rank);
        print_shape(wanted, sizeof wanted, tensor->shape, (int)tensor->rank);
        edge_die(EXIT_USAGE, "%s: shape %s does not fit input '%s'\n  expected: %s for one sample, an axis of N in front for N", reader->path,
                 found, tensor->name, wanted);
    }
}

static void read_exactly(edge_reader *reader, void *bytes, size_t count) {
    if (fread(bytes, 1, count, reader->file) != count)
        edge_die(EXIT_USAGE, "%s: the .npy header is cut short", reader->path);
}

static void read_npy_header(edge_reader *reader) {
    unsigned char version[2], size[4] = {0, 0, 0, 0};
    npy_header header = {0};
    header.path = reader->path;
    read_exactly(reader, version, 2);
    if (version[0] < 1 || version[0] > 3 || version[1] != 0)
        edge_die(EXIT_USAGE, "%s: .npy format version %d.%d\n  expected: 1.0, 2.0 or 3.0", reader->path, version[0], version[1]);
    read_exactly(reader, size, version[0] == 1 ? 2 : 4);
    size_t length = size[0] | (size_t)size[1] << 8 | (size_t)size[2] << 16 | (size_t)size[3] << 24;
    if (length > LARGEST_HEADER) edge_die(EXIT_USAGE, "%s: a .npy header of %zu bytes", reader->path, length);
    char *text = calloc(length + 1, 1);
    if (text == NULL) edge_die(EXIT_USAGE, "out of memory");
    read_exactly(reader, text, length);
    header.at = text;
    parse_header(&header);
    free(text);
    if (header.fortran_order && header.rank > 1)
        edge_die(EXIT_USAGE, "%s: the array is in Fortran order\n  try: numpy.save of numpy.ascontiguousarray(x)", reader->path);
    /* Single bytes have no byte order, whatever the first character says. */
    size_t from = reader->tensor->item_bytes == 1 && header.descr[0] != 0;
    if (strcmp(header.descr + from, reader->tensor->npy + from) != 0)
        edge_die(EXIT_USAGE, "%s: dtype '%s' does not fit input '%s'\n  expected: '%s'", reader->path, header.descr,
                 reader->tensor->name, reader->tensor->npy);
    interpret_shape(reader, &header);
}

void edge_open_reader(edge_reader *reader, const edge_tensor *tensor, const char *path, edge_format format) {
    int standard = strcmp(path, "-") == 0;
    *reader = (edge_reader){.tensor = tensor, .path = standard ? "standard input" : path, .samples = -1};
    reader->axes = tensor->rank > 0 && tensor->shape[0] == 1 ? AXES_BATCH : AXES_LEADING;
    reader->file = standard ? stdin : fopen(path, "rb");
    if (reader->file == NULL) edge_die(EXIT_USAGE, "%s: %s", path, strerror(errno));
    if (format == FORMAT_RAW) return;
    reader->pending_count = fread(reader->pending, 1, sizeof MAGIC, reader->file);
    if (reader->pending_count == sizeof MAGIC && memcmp(reader->pending, MAGIC, sizeof MAGIC) == 0) {
        reader->pending_count = 0;
        read_npy_header(reader);
    } else if (format == FORMAT_NPY) {
        edge_die(EXIT_USAGE, "%s: not a .npy file", reader->path);
    }
}

int64_t edge_read(edge_reader *reader, void *samples, int64_t most) {
    int64_t size = edge_sample_bytes(reader->tensor);
    if (reader->samples >= 0 && most > reader->samples - reader->taken) most = reader->samples - reader->taken;
    size_t wanted = (size_t)(most * size), found = 0;
    if (wanted == 0) return 0;
    /* The first bytes of a raw stream; a sample may be shorter than they are. */
    found = reader->pending_count < wanted ? reader->pending_count : wanted;
    memcpy(samples, reader->pending, found);
    memmove(reader->pending, reader->pending + found, reader->pending_count - found);
    reader->pending_count -= found;
    found += fread((char *)samples + found, 1, wanted - found, reader->file);
    if (ferror(reader->file)) edge_die(EXIT_USAGE, "%s: %s", reader->path, strerror(errno));
    if (found % (size_t)size != 0 || (reader->samples >= 0 && found != wanted))
        edge_die(EXIT_USAGE, "%s: ends inside a sample, after %" PRId64 " whole ones of %" PRId64 " bytes", reader->path,
                 reader->taken + (int64_t)found / size, size);
    reader->taken += (int64_t)found / size;
    return (int64_t)found / size;
}

void edge_close_reader(edge_reader *reader) {
    if (reader->file != stdin) fclose(reader->file);
}

/* ---- writing ---- */

static void write_npy_header(edge_writer *writer, int64_t samples) {
    char text[HEADER_BYTES];
    int64_t shape[MOST_AXES];
    int rank = 0;
    uint32_t from = writer->axes == AXES_BATCH ? 1 : 0;
    if (writer->axes != AXES_ONE) shape[rank++] = samples;
    for (uint32_t i = from; i < writer->tensor->rank; i++) shape[rank++] = writer->tensor->shape[i];
    char extents[200];
    print_shape(extents, sizeof extents, shape, rank);
    memset(text, ' ', sizeof text);
    memcpy(text, MAGIC, sizeof MAGIC);
    text[6] = 1;
    text[7] = 0;
    text[8] = (char)((HEADER_BYTES - 10) & 0xFF);
    text[9] = (char)((HEADER_BYTES - 10) >> 8);
    int length = snprintf(text + 10, sizeof text - 10, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }",
                          writer->tensor->npy, extents);
    text[10 + length] = ' ';
    text[HEADER_BYTES - 1] = '\n';
    fwrite(text, 1, sizeof text, writer->file);
}

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

void edge_open_writer(edge_writer *writer, const edge_tensor *tensor, const char *path, edge_format format,
                      edge_axes axes, int64_t samples) {
    int standard = strcmp(path, "-") == 0;
    if (format == FORMAT_AUTO)
        format = standard || ends_with(path, ".txt") ? FORMAT_TEXT : ends_with(path, ".npy") ? FORMAT_NPY : FORMAT_RAW;
    *writer = (edge_writer){tensor, standard ? "standard output" : path, NULL, format, axes, 0, samples};
    writer->file = standard ? stdout : fopen(path, "wb");
    if (writer->file == NULL) edge_die(EXIT_USAGE, "%s: %s", path, strerror(errno));
    struct stat status;
    if (!standard && unfinished_count < MOST_OUTPUTS && stat(path, &status) == 0 && S_ISREG(status.st_mode))
        unfinished[unfinished_count++] = path;
    if (format != FORMAT_NPY) return;
    if (samples < 0 && fseek(writer->file, 0, SEEK_CUR) != 0)
        edge_die(EXIT_USAGE, "%s: a .npy header needs the number of samples, which raw input on a pipe does not tell\n"
                             "  try: --format raw, or an output file", writer->path);
    write_npy_header(writer, samples < 0 ? 0 : samples);
}

static double float_at(const void *sample, int64_t index) { return ((const float *)sample)[index]; }

void edge_print_value(FILE *file, const edge_tensor *tensor, const void *sample, int64_t index) {
    int is_signed = tensor->kind == 'i';
    if (tensor->kind == 'f') {
        fprintf(file, "%.9g", float_at(sample, index));
        return;
    }
    int64_t value;
    switch (tensor->item_bytes) {
    case 1: value = is_signed ? ((const int8_t *)sample)[index] : ((const uint8_t *)sample)[index]; break;
    case 2: value = is_signed ? ((const int16_t *)sample)[index] : ((const uint16_t *)sample)[index]; break;
    case 4: value = is_signed ? (int64_t)((const int32_t *)sample)[index] : (int64_t)((const uint32_t *)sample)[index]; break;
    default: value = ((const int64_t *)sample)[index]; break;
    }
    fprintf(file, "%" PRId64, value);
}

void edge_print_sample(FILE *file, const edge_tensor *tensor, const void *sample) {
    for (int64_t i = 0; i < tensor->elements; i++) {
        if (i) fputc(' ', file);
        edge_print_value(file, tensor, sample, i);
    }
    fputc('\n', file);
}

void edge_write(edge_writer *writer, const void *samples, int64_t count) {
    int64_t size = edge_sample_bytes(writer->tensor);
    if (writer->format == FORMAT_TEXT)
        for (int64_t i = 0; i < count; i++)
            edge_print_sample(writer->file, writer->tensor, (const char *)samples + i * size);
    else
        fwrite(samples, (size_t)size, (size_t)count, writer->file);
    writer->written += count;
    if (ferror(writer->file)) edge_die(EXIT_USAGE, "%s: %s", writer->path, strerror(errno));
}

void edge_close_writer(edge_writer *writer) {
    if (writer->format == FORMAT_NPY && writer->promised < 0) {
        if (fseek(writer->file, 0, SEEK_SET) != 0) edge_die(EXIT_USAGE, "%s: %s", writer->path, strerror(errno));
        write_npy_header(writer, writer->written);
    }
    int failed = fflush(writer->file) != 0 || ferror(writer->file);
    if (writer->file != stdout) failed |= fclose(writer->file) != 0;
    if (failed) edge_die(EXIT_USAGE, "%s: %s", writer->path, strerror(errno));
    for (int i = 0; i < unfinished_count; i++)
        if (unfinished[i] == writer->path) unfinished[i] = NULL;
}
