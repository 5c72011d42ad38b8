/* SPDX-License-Identifier: Apache-2.0
 *
 * The modes of edge-run that look at the model itself.
 */
#ifndef EDGE_CHECKS_H
#define EDGE_CHECKS_H

#include "edge_model.h"

/* Compare the results for golden/input-<i>.npy with golden/output-<i>.npy, byte for byte, with the context's
 * instruction set or with every one that this CPU runs. Returns the exit code. */
int edge_self_test(const char *folder, const edge_ctx *ctx, int every_isa);

/* Print, as one line of JSON, the time of a call on `batch` samples: median, 5th and 95th percentile, least. */
void edge_bench(const edge_ctx *ctx, int64_t rounds, int64_t batch);

#endif
