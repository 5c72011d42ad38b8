/* SPDX-License-Identifier: Apache-2.0
 *
 * edge-run --threads: POSIX threads that serve a team (edge.h).
 */
#ifndef EDGE_THREADS_H
#define EDGE_THREADS_H

#include "edge_model.h"

/* Start threads - 1 helpers, which stay until the program ends, and enter them in the context. */
void edge_threads_start(edge_ctx *ctx, int64_t threads);

/* Working memory of a call with this context. */
int64_t edge_scratch_bytes(const edge_ctx *ctx);

#endif
