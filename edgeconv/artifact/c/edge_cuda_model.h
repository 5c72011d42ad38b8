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
    const void *data;
    uint32_t capability; /* what it is for, such as 90; 0 of a fat binary, from which the driver chooses */
    uint32_t ptx;        /* whether it is PTX, which later GPUs run, too */
} edge_cuda_image;

typedef struct {
    const edge_cuda_image *images;
    uint32_t image_count;
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
