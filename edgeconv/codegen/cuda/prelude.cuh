// What the kernels call, and the names of types that TVM prints. NVRTC has no header to name them.
#ifdef __CUDACC_RTC__
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#else
#include <cstdint>
#endif
typedef unsigned int uint;
typedef unsigned char uchar;
typedef unsigned short ushort;

// acc + sum of four products of an unsigned byte of `activations` by a signed byte of `weights`, modulo 2^32.
static __device__ __forceinline__ int edge_dot(int activations, int weights, int acc) {
    int result;
    asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(result) : "r"(activations), "r"(weights), "r"(acc));
    return result;
}

// c (16x8) += a (16x32, unsigned bytes) * b (32x8, signed bytes) by a warp; fragments as PTX lays out m16n8k32.
static __device__ __forceinline__ void edge_multiply(int *c, int a0, int a1, int a2, int a3, int b0, int b1) {
#if __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
#else
    // Turing multiplies 8x16 by 16x8: the same fragments, rows and depth in halves.
    asm("mma.sync.aligned.m8n8k16.row.col.s32.u8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
        : "+r"(c[0]), "+r"(c[1]) : "r"(a0), "r"(b0));
    asm("mma.sync.aligned.m8n8k16.row.col.s32.u8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
        : "+r"(c[0]), "+r"(c[1]) : "r"(a2), "r"(b1));
    asm("mma.sync.aligned.m8n8k16.row.col.s32.u8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
        : "+r"(c[2]), "+r"(c[3]) : "r"(a1), "r"(b0));
    asm("mma.sync.aligned.m8n8k16.row.col.s32.u8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
        : "+r"(c[2]), "+r"(c[3]) : "r"(a3), "r"(b1));
#endif
}

static __device__ __forceinline__ int64_t edge_leading_zeros(int64_t value) { return __clzll(value); }

// The sum over an aligned group of `width` neighbouring lanes, in each of them; all lanes of the warp take part.
static __device__ __forceinline__ int edge_sum(int value, int width) {
    for (int distance = width / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(0xFFFFFFFFu, value, distance);
    return value;
}
