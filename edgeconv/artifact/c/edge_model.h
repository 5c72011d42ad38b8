/* SPDX-License-Identifier: Apache-2.0
 *
 * What the sources in this folder know about the model: a description that edgeconv generates as model.c.
 */
#ifndef EDGE_MODEL_H
#define EDGE_MODEL_H

#include "edge.h"

/* The entry point of generated code. */
typedef void (*edge_entry)(const void *const *in, void *const *out, const uint8_t *weights, uint8_t *scratch,
                           int64_t n);

/* The same for code that several threads run together, phase by phase: `part` says which samples, which phases, and,
 * in 1/2³² of every loop that is shared, which part of it. */
typedef struct {
    int64_t first_sample, end_sample, first_phase, end_phase, begin, end;
} edge_part;

typedef void (*edge_part_entry)(const void *const *in, void *const *out, const uint8_t *weights, uint8_t *scratch,
                                const edge_part *part);

typedef struct {
    uint32_t isa;
    const char *name;
    edge_entry entry;           /* NULL where the code can be shared, */
    edge_part_entry part_entry; /* else this one is */
    int64_t phases;             /* between two phases every thread must be done with the first */
    const uint8_t *weights;
} edge_kernel;

/* One input or output; the shape is that of one sample. */
typedef struct {
    const char *name;
    const char *type;   /* as in the manifest: "u8", "i12", "f32" */
    const char *npy;    /* numpy's descr of the container: "|u1", "<i2", "<f4" */
    char kind;          /* 'i', 'u' or 'f' */
    uint32_t item_bytes;
    uint32_t bits;      /* of the value; less than 8·item_bytes where the type is narrower than its container */
    uint32_t rank;
    int64_t shape[8];
    int64_t elements;
    double low, high;   /* the range the model covers, for the inputs of --bench */
} edge_tensor;

/* Defaults of edge-run --stream (docs/streaming.md). */
typedef struct {
    const char *dtype, *byte_order, *record, *partial;
    int64_t channels, window, hop;
    int index; /* whether a record begins with the index of its first point */
} edge_stream;

typedef struct {
    const char *name;
    uint32_t input_count, output_count, kernel_count;
    const edge_tensor *inputs, *outputs;
    const edge_kernel *kernels; /* slowest first */
    uint64_t scratch_bytes, scratch_alignment;
    int64_t macs;               /* multiply-accumulates for one sample */
    const edge_stream *stream;  /* NULL where the model has several inputs */
} edge_model;

extern const edge_model edge_this_model __attribute__((visibility("hidden")));

#endif
