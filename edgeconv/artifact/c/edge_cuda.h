/* SPDX-License-Identifier: Apache-2.0
 *
 * What an artifact for NVIDIA GPUs adds to edge.h. The calls are those of edge.h; see docs/cuda.md.
 *
 * edge_init    takes the GPU number that edge_cuda_select has set, or the first one, in its primary context, loads the
 *              kernels and the weights, and allocates all memory that is ever needed. The driver's library,
 *              libcuda.so.1, is loaded here: the artifact's own library needs none to be linked or loaded.
 * edge_run     takes pointers into host memory (any; pinned is faster) and into device memory, each array for itself.
 *              Where all lie on the device it returns as soon as the work is in the stream ctx->stream (NULL is the
 *              default stream); where one lies in host memory, after the work is done. Device arrays must be aligned to
 *              their elements. `scratch` is not used and may be NULL. Calls with one context, from any threads, take
 *              turns.
 * edge_check   reads host memory alone.
 */
#ifndef EDGE_CUDA_H
#define EDGE_CUDA_H

#include "edge.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Before edge_init: which GPU, as the driver counts them. */
void edge_cuda_select(edge_ctx *ctx, uint32_t device);

/* Give back what edge_init has taken; the context may be initialized again. Also after a failed edge_init. */
void edge_cuda_release(edge_ctx *ctx);

/* The driver's name of the error behind the last status of this context, such as "CUDA_ERROR_ILLEGAL_ADDRESS"; "" where
 * the driver was not the cause. */
const char *edge_cuda_error(const edge_ctx *ctx);

/* The version of the driver that was found, as it counts (13000 is 13.0), and of the compiler that made the code. */
uint32_t edge_cuda_driver_version(void);
uint32_t edge_cuda_needed_version(void);

#ifdef __cplusplus
}
#endif

#endif
