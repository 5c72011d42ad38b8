/* SPDX-License-Identifier: Apache-2.0
 *
 * What edge_cuda.c knows about the generated kernels: a description that edgeconv generates as code.c.
 */
#ifndef EDGE_CUDA_MODEL_H
#define EDGE_CUDA_MODEL_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *symbol;
    uint32_t blocks; /* of the grid for each sample, its y; 0 where a block takes several samples */
    int32_t number;  /* last argument of the kernel */
} edge_cuda_launch;

typedef struct {
    const void *image; /* a fat binary */
    const uint8_t *weights;
    size_t weight_bytes;
    const edge_cuda_launch *launches; /* in the order in which they run */
    uint32_t launch_count;
    uint32_t threads;       /* of a block */
    uint32_t samples;       /* of a block, where the network is one kernel; else 0 */
    uint64_t scratch_bytes; /* of global memory for each sample, where samples is 0 */
    int64_t chunk;          /* the most samples of a launch: offsets of elements are 32 bits wide */
    uint32_t version;       /* of the compiler, as the driver counts */
} edge_cuda_code;

extern const edge_cuda_code edge_this_code __attribute__((visibility("hidden")));

#endif
