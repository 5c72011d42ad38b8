/* SPDX-License-Identifier: Apache-2.0
 *
 * The C interface of every edgeconv artifact (docs/c-interface.md). The header <model>.h beside this one has the
 * sizes, shapes and types of one model, and example.c shows the calls.
 */
#ifndef EDGE_H
#define EDGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A library accepts contexts of its own version alone. */
#define EDGE_ABI_VERSION 2u

enum edge_status {
    EDGE_OK = 0,
    EDGE_ERROR_ABI = -1,      /* the context was made for another version of this interface */
    EDGE_ERROR_ISA = -2,      /* this CPU cannot run that instruction set, or the library does not carry it */
    EDGE_ERROR_CONTEXT = -3,  /* the context was not initialized by edge_init */
    EDGE_ERROR_ARGUMENT = -4, /* a null pointer, or a negative number of samples */
    EDGE_ERROR_SCRATCH = -5,  /* the scratch memory is null or not aligned to EDGE_SCRATCH_ALIGNMENT bytes */
    EDGE_ERROR_RANGE = -6,    /* an integer input holds a value outside its type (edge_check) */
    EDGE_ERROR_NAN = -7,      /* a float input holds NaN (edge_check) */
    /* Of artifacts for NVIDIA GPUs alone: */
    EDGE_ERROR_NO_DRIVER = -20,  /* libcuda.so.1 cannot be loaded, or lacks a function */
    EDGE_ERROR_NO_DEVICE = -21,  /* the driver sees no GPU, or none of that number */
    EDGE_ERROR_OLD_DEVICE = -22, /* the artifact carries no code for a GPU of this kind */
    EDGE_ERROR_OLD_DRIVER = -23, /* the driver is older than the compiler that made the code */
    EDGE_ERROR_IMAGE = -24,      /* the driver refuses the code as damaged */
    EDGE_ERROR_MEMORY = -25,     /* not enough memory on the GPU, or not enough pinned memory */
    EDGE_ERROR_CUDA = -26,       /* any other error of the driver: edge_cuda_error has its name */
    EDGE_ERROR_ALIGNMENT = -27   /* an array on the GPU is not aligned to its elements */
};

enum edge_isa {
    EDGE_ISA_AUTO = 0, /* the fastest that the library carries and this machine runs */
    EDGE_ISA_GENERIC = 1,
    EDGE_ISA_AVX2 = 2,
    EDGE_ISA_AVX512VNNI = 3,
    EDGE_ISA_NEON = 4,
    EDGE_ISA_NEON_DOTPROD = 5,
    EDGE_ISA_AVXVNNI = 6,
    EDGE_ISA_CUDA = 7
};

enum { EDGE_MOST_THREADS = 64 };

/* Threads that help edge_run. The memory is the caller's, and so are the threads: the library starts none. */
typedef struct edge_team {
    uint64_t opaque[32];
} edge_team;

/* How to run. Made by EDGE_CTX_INIT, completed by edge_init, then only read: any number of threads may share one. */
typedef struct edge_ctx {
    uint32_t abi_version; /* EDGE_ABI_VERSION */
    uint32_t isa;         /* enum edge_isa; edge_init replaces EDGE_ISA_AUTO by its choice */
    uint32_t threads;     /* the most threads that edge_run may use, this one among them; above 1 it takes a team, and
                             scratch memory for each */
    uint32_t ready;       /* set by edge_init */
    void *stream;         /* CUDA stream; NULL on CPUs */
    edge_team *team;      /* the helpers; NULL where there are none */
    uint64_t reserved[3]; /* zero */
} edge_ctx;

#define EDGE_CTX_INIT {EDGE_ABI_VERSION, EDGE_ISA_AUTO, 1u, 0u, NULL, NULL, {0u, 0u, 0u}}

/* Check the context and choose the instruction set. Returns EDGE_OK, EDGE_ERROR_ABI, _ISA or _ARGUMENT. */
int edge_init(edge_ctx *ctx);

/* Run the model on n samples.
 *
 * in, out: one pointer for each input and output of the model, in its order; each points at n samples, one after the
 *          other, of EDGE_INPUT_<i>_BYTES or EDGE_OUTPUT_<i>_BYTES bytes, at any alignment. Outputs overlap
 *          neither inputs nor each other. Integer inputs must hold values of their type.
 * scratch: EDGE_SCRATCH_BYTES bytes for each of ctx->threads, aligned to EDGE_SCRATCH_ALIGNMENT; need not be cleared;
 *          one for each call that is under way.
 *
 * Reentrant: no global state, no allocation; no system calls but futex(2) in a team. The results are the same bits for
 * any number of threads. Of two calls at once with one team, one does without it. The caller's floating-point state (MXCSR, FPCR) is saved, set
 * to round to nearest without flushing to zero, and restored, so it cannot change a result. */
int edge_run(const edge_ctx *ctx, const void *const *in, void *const *out, void *scratch, int64_t n);

/* Make the memory of a team ready: no helpers yet. Also in the child after fork(), where the helpers are gone. */
void edge_team_init(edge_team *team);

/* The life of a helper, on a thread that the caller made for it: returns EDGE_OK after edge_team_stop, or
 * EDGE_ERROR_ARGUMENT at once where EDGE_MOST_THREADS - 1 helpers are there. edge_run uses those that have come. */
int edge_team_serve(edge_team *team);

/* The number of helpers that have come. */
uint32_t edge_team_helpers(const edge_team *team);

/* Let the helpers return, while no edge_run is under way. The memory may be released when all of them have. */
void edge_team_stop(edge_team *team);

/* Check n samples of every input: EDGE_OK; EDGE_ERROR_RANGE where an integer lies outside its type (possible only for
 * types narrower than their container); EDGE_ERROR_NAN where a float is NaN, unless allow_nan is set. */
int edge_check(const void *const *in, int64_t n, int allow_nan);

/* What a status means, in English. Never NULL. */
const char *edge_strerror(int status);

/* The name of an instruction set, such as "avx2"; NULL where the library does not carry it. */
const char *edge_isa_name(uint32_t isa);

#ifdef __cplusplus
}
#endif

#endif
