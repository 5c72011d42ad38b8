/* CUDA source as C for this CPU: the threads of a block are contexts that take turns, barriers let the others go on. */
#include <math.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

typedef unsigned char uchar;
typedef struct { int x, y; } int2;
typedef struct { unsigned x, y, z; } edge_index;

#define __global__ static
#define __launch_bounds__(threads)
#define __shared__ static
#define min(a, b) ({ __typeof__((a) + (b)) a_ = (a), b_ = (b); a_ < b_ ? a_ : b_; })
#define max(a, b) ({ __typeof__((a) + (b)) a_ = (a), b_ = (b); a_ > b_ ? a_ : b_; })
#define __fmaf_rn fmaf
#define __fma_rn fma

enum { MOST_THREADS = 1024, WARP = 32, STACK = 64 << 10 };

/* A kernel, and a function that calls it with the parameters that an array points at. */
typedef struct {
    const char *symbol;
    void (*call)(void **parameters);
    int parameters; /* the last two are 32 bits wide, the others pointers */
} edge_kernel_entry;

extern const edge_kernel_entry edge_kernels[];
extern const int edge_kernel_count;

void edge_run_grid(const edge_kernel_entry *kernel, unsigned x, unsigned y, unsigned threads, void **parameters);
extern edge_index threadIdx, blockIdx;
void __syncthreads(void);
void edge_warp_barrier(void);
extern int edge_fragments[MOST_THREADS][6];

static inline int edge_dot(int activations, int weights, int acc) {
    for (int i = 0; i < 4; i++) acc += (int)(uint8_t)(activations >> 8 * i) * (int)(int8_t)(weights >> 8 * i);
    return acc;
}

static inline int64_t edge_leading_zeros(int64_t value) { return value ? __builtin_clzll((uint64_t)value) : 64; }

/* Fragments of m16n8k32 as the PTX ISA lays them out, written down a second time. */
static inline void edge_multiply(int *c, int a0, int a1, int a2, int a3, int b0, int b1) {
    const int mine[6] = {a0, a1, a2, a3, b0, b1};
    unsigned first = threadIdx.x / WARP * WARP, lane = threadIdx.x % WARP;
    memcpy(edge_fragments[threadIdx.x], mine, sizeof mine);
    edge_warp_barrier();
    for (int i = 0; i < 4; i++) {
        unsigned row = lane / 4 + (i < 2 ? 0 : 8), column = lane % 4 * 2 + (unsigned)(i & 1);
        for (unsigned k = 0; k < 32; k++) {
            int a = edge_fragments[first + row % 8 * 4 + k % 16 / 4][(row < 8 ? 0 : 1) + (k < 16 ? 0 : 2)];
            int b = edge_fragments[first + column * 4 + k % 16 / 4][k < 16 ? 4 : 5];
            c[i] += (int)(uint8_t)(a >> 8 * (k % 4)) * (int)(int8_t)(b >> 8 * (k % 4));
        }
    }
    edge_warp_barrier();
}

static inline int edge_sum(int value, int width) {
    unsigned first = threadIdx.x / (unsigned)width * (unsigned)width;
    int sum = 0;
    edge_fragments[threadIdx.x][0] = value;
    edge_warp_barrier();
    for (int i = 0; i < width; i++) sum += edge_fragments[first + (unsigned)i][0];
    edge_warp_barrier();
    return sum;
}
