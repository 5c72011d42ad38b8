/* SPDX-License-Identifier: Apache-2.0
 *
 * edge-run --stream: continuous points from a pipe, overlapping windows, one record for each (docs/streaming.md).
 */
#ifndef EDGE_STREAM_H
#define EDGE_STREAM_H

#include "edge_model.h"

typedef struct {
    edge_stream how;
    const char *in, *out; /* "-" are the standard streams */
    int allow_nan, summary;
} edge_stream_options;

/* Fit `how` to the model: where only one of channels and window was given (the other is 0), the other follows. Ends the
 * program where the two, or the element types, do not fit. */
void edge_stream_settle(edge_stream *how);

/* Read to the end of the stream; ends the program where it has to stop before. */
void edge_stream_run(const edge_ctx *ctx, const edge_stream_options *options);

#endif
