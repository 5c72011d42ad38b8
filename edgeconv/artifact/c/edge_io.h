/* SPDX-License-Identifier: Apache-2.0
 *
 * Sample files of edge-run: .npy (format versions 1 to 3) or raw little-endian samples, read and written in pieces.
 */
#ifndef EDGE_IO_H
#define EDGE_IO_H

#include <stdio.h>

#include "edge_model.h"

enum { EXIT_DIFFERENCE = 1, EXIT_USAGE = 2, EXIT_DEVICE = 4 };

/* How an array means n samples of a tensor of shape (a, b, …). */
typedef enum {
    AXES_ONE,    /* (a, b, …): one sample */
    AXES_BATCH,  /* (n, b, …), where a is 1 */
    AXES_LEADING /* (n, a, b, …) */
} edge_axes;

typedef enum { FORMAT_AUTO, FORMAT_NPY, FORMAT_RAW, FORMAT_TEXT } edge_format;

typedef struct {
    const edge_tensor *tensor;
    const char *path; /* for messages */
    FILE *file;
    int64_t samples; /* in the file, -1 while unknown */
    int64_t taken;
    edge_axes axes;
    unsigned char pending[8]; /* read to look for the magic, and samples in fact */
    size_t pending_count;
} edge_reader;

typedef struct {
    const edge_tensor *tensor;
    const char *path;
    FILE *file;
    edge_format format;
    edge_axes axes;
    int64_t written;
    int64_t promised; /* samples that the .npy header already names, -1 where it is completed at the end */
} edge_writer;

/* Print "edge-run: …", remove output files that are not complete, and exit. */
void edge_die(int code, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));

int64_t edge_sample_bytes(const edge_tensor *tensor);

/* "-" is standard input. */
void edge_open_reader(edge_reader *reader, const edge_tensor *tensor, const char *path, edge_format format);
/* Read at most `most` samples; 0 at the end. */
int64_t edge_read(edge_reader *reader, void *samples, int64_t most);
void edge_close_reader(edge_reader *reader);

/* "-" is standard output. `samples` is -1 where it is not known yet. */
void edge_open_writer(edge_writer *writer, const edge_tensor *tensor, const char *path, edge_format format,
                      edge_axes axes, int64_t samples);
void edge_write(edge_writer *writer, const void *samples, int64_t count);
void edge_close_writer(edge_writer *writer);

/* The values of one sample on one line. */
void edge_print_sample(FILE *file, const edge_tensor *tensor, const void *sample);
void edge_print_value(FILE *file, const edge_tensor *tensor, const void *sample, int64_t index);

#endif
