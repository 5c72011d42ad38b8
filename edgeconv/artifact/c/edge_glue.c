/* SPDX-License-Identifier: Apache-2.0
 *
 * The C interface of edge.h over generated code: choice of the instruction set, floating-point state, checks.
 */
#include "edge_model.h"
#include "edge_team.h"

#define EXPORT __attribute__((visibility("default")))

#if defined(__x86_64__)
#include <cpuid.h>

static uint64_t enabled_register_state(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static int has(uint32_t word, uint32_t bits) { return (word & bits) == bits; }

/* The levels x86-64-v3 and x86-64-v4 of the System V psABI, and VNNI. The operating system must save the registers. */
static int cpu_runs(uint32_t isa) {
    const uint64_t YMM_STATE = 0x06, ZMM_STATE = 0xE6;
    uint32_t a, b1, c1, d1, b7, c7, d7, cx, bx, dx;
    if (isa == EDGE_ISA_GENERIC) return 1;
    if (isa != EDGE_ISA_AVX2 && isa != EDGE_ISA_AVXVNNI && isa != EDGE_ISA_AVX512VNNI) return 0;
    if (!__get_cpuid(1, &a, &b1, &c1, &d1) || !__get_cpuid_count(7, 0, &a, &b7, &c7, &d7) ||
        !__get_cpuid(0x80000001u, &a, &bx, &cx, &dx))
        return 0;
    if (!has(c1, bit_FMA | bit_MOVBE | bit_OSXSAVE | bit_AVX | bit_F16C) || !has(b7, bit_AVX2 | bit_BMI | bit_BMI2) ||
        !has(cx, bit_LZCNT))
        return 0;
    uint64_t state = enabled_register_state();
    if (isa == EDGE_ISA_AVX2) return (state & YMM_STATE) == YMM_STATE;
    if (isa == EDGE_ISA_AVXVNNI) {
        const uint32_t AVX_VNNI = 1u << 4; /* of EAX in leaf 7, subleaf 1; not every cpuid.h names it */
        uint32_t a71, b71, c71, d71;
        return __get_cpuid_count(7, 1, &a71, &b71, &c71, &d71) && has(a71, AVX_VNNI) &&
               (state & YMM_STATE) == YMM_STATE;
    }
    return has(b7, bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL) &&
           has(c7, bit_AVX512VNNI) && (state & ZMM_STATE) == ZMM_STATE;
}

/* MXCSR: all exceptions masked, round to nearest, neither FTZ nor DAZ; the low six bits are sticky flags. */
#define MXCSR_DEFAULT 0x1F80u
#define MXCSR_CONTROL 0xFFC0u

typedef uint32_t float_state;

static inline float_state enter_default_float_state(void) {
    uint32_t found, wanted = MXCSR_DEFAULT;
    __asm__ volatile("stmxcsr %0" : "=m"(found));
    if ((found & MXCSR_CONTROL) != MXCSR_DEFAULT) __asm__ volatile("ldmxcsr %0" : : "m"(wanted) : "memory");
    return found;
}

static inline void leave_default_float_state(float_state found) {
    if ((found & MXCSR_CONTROL) != MXCSR_DEFAULT) __asm__ volatile("ldmxcsr %0" : : "m"(found) : "memory");
}
#elif defined(__aarch64__)
/* Every 64-bit Arm processor that runs Linux has Advanced SIMD. The dot product is asked for at the auxiliary vector,
 * where the kernel tells what every core of the machine has; the processor's own register ID_AA64ISAR0_EL1 is emulated
 * by kernels from 4.11 on alone. The symbol is weak: a library that finds no libc does without the dot product. */
extern unsigned long getauxval(unsigned long type) __attribute__((weak));

static int cpu_runs(uint32_t isa) {
    const unsigned long AT_HWCAP_TYPE = 16, HWCAP_ASIMDDP_BIT = 1ul << 20;
    if (isa == EDGE_ISA_GENERIC || isa == EDGE_ISA_NEON) return 1;
    if (isa != EDGE_ISA_NEON_DOTPROD || getauxval == NULL) return 0;
    return (getauxval(AT_HWCAP_TYPE) & HWCAP_ASIMDDP_BIT) != 0;
}

/* FPCR: zero is round to nearest, subnormal numbers kept, no traps. Writing it costs tens of cycles, so only where it
 * differs. Vector instructions obey the same register. */
typedef uint64_t float_state;

static inline float_state enter_default_float_state(void) {
    uint64_t found;
    __asm__ volatile("mrs %0, fpcr" : "=r"(found));
    if (found != 0) __asm__ volatile("msr fpcr, xzr" : : : "memory");
    return found;
}

static inline void leave_default_float_state(float_state found) {
    if (found != 0) __asm__ volatile("msr fpcr, %0" : : "r"(found) : "memory");
}
#else
#error "edge_glue.c: this architecture has no instruction-set detection yet"
#endif

static const edge_kernel *find_kernel(uint32_t isa) {
    const edge_model *model = &edge_this_model;
    for (uint32_t i = 0; i < model->kernel_count; i++)
        if (model->kernels[i].isa == isa) return &model->kernels[i];
    return NULL;
}

EXPORT int edge_init(edge_ctx *ctx) {
    const edge_model *model = &edge_this_model;
    if (ctx == NULL) return EDGE_ERROR_ARGUMENT;
    if (ctx->abi_version != EDGE_ABI_VERSION) return EDGE_ERROR_ABI;
    ctx->ready = 0;
    if (ctx->isa != EDGE_ISA_AUTO) {
        if (find_kernel(ctx->isa) == NULL || !cpu_runs(ctx->isa)) return EDGE_ERROR_ISA;
    } else {
        for (uint32_t i = model->kernel_count; i > 0 && ctx->isa == EDGE_ISA_AUTO; i--)
            if (cpu_runs(model->kernels[i - 1].isa)) ctx->isa = model->kernels[i - 1].isa;
        if (ctx->isa == EDGE_ISA_AUTO) return EDGE_ERROR_ISA;
    }
    ctx->ready = 1;
    return EDGE_OK;
}

/* ---- one call, by one thread or by several ---- */

static const int64_t WHOLE = (int64_t)1 << 32; /* of a loop, see edge_part */

typedef struct {
    const edge_kernel *kernel;
    const void *const *in;
    void *const *out;
    uint8_t *scratch;
    int64_t n;
    uint32_t threads;
    edge_team *team;
} call;

static uint8_t *scratch_of(const call *call, uint32_t thread) {
    uint64_t alignment = edge_this_model.scratch_alignment;
    return call->scratch + (edge_this_model.scratch_bytes + alignment - 1) / alignment * alignment * thread;
}

/* Samples first … end - 1, by one thread. */
static void run_samples(const call *call, int64_t first, int64_t end, uint8_t *scratch) {
    const edge_model *model = &edge_this_model;
    const edge_kernel *kernel = call->kernel;
    if (kernel->entry == NULL) {
        const edge_part part = {first, end, 0, kernel->phases, 0, WHOLE};
        kernel->part_entry(call->in, call->out, kernel->weights, scratch, &part);
    } else if (first == 0) {
        kernel->entry(call->in, call->out, kernel->weights, scratch, end);
    } else {
        const void *in[model->input_count + 1];
        void *out[model->output_count + 1];
        for (uint32_t i = 0; i < model->input_count; i++)
            in[i] = (const char *)call->in[i] + first * model->inputs[i].elements * model->inputs[i].item_bytes;
        for (uint32_t i = 0; i < model->output_count; i++)
            out[i] = (char *)call->out[i] + first * model->outputs[i].elements * model->outputs[i].item_bytes;
        kernel->entry(in, out, kernel->weights, scratch, end - first);
    }
}

/* One sample, by all threads together. */
static void run_phases(const call *call, int64_t sample, uint32_t thread) {
    const int64_t begin = WHOLE * thread / call->threads, end = WHOLE * (thread + 1) / call->threads;
    for (int64_t phase = 0; phase < call->kernel->phases; phase++) {
        const edge_part part = {sample, sample + 1, phase, phase + 1, begin, end};
        call->kernel->part_entry(call->in, call->out, call->kernel->weights, call->scratch, &part);
        if (phase + 1 < call->kernel->phases) edge_team_barrier(call->team, call->threads);
    }
}

/* Whole samples for every thread as far as they go round; the rest sample by sample, where that is worth a barrier. */
static void work(void *argument, uint32_t thread) {
    const call *call = argument;
    int64_t threads = call->threads, alone = call->kernel->entry ? call->n : call->n - call->n % threads;
    int64_t first = alone * thread / threads, end = alone * (thread + 1) / threads;
    float_state state = enter_default_float_state();
    if (end > first) run_samples(call, first, end, scratch_of(call, thread));
    for (int64_t sample = alone; sample < call->n; sample++) {
        if (sample > 0) edge_team_barrier(call->team, call->threads);
        run_phases(call, sample, thread);
    }
    leave_default_float_state(state);
}

EXPORT int edge_run(const edge_ctx *ctx, const void *const *in, void *const *out, void *scratch, int64_t n) {
    const edge_model *model = &edge_this_model;
    if (ctx == NULL || in == NULL || out == NULL || n < 0) return EDGE_ERROR_ARGUMENT;
    if (ctx->abi_version != EDGE_ABI_VERSION) return EDGE_ERROR_ABI;
    if (!ctx->ready) return EDGE_ERROR_CONTEXT;
    for (uint32_t i = 0; i < model->input_count; i++)
        if (in[i] == NULL) return EDGE_ERROR_ARGUMENT;
    for (uint32_t i = 0; i < model->output_count; i++)
        if (out[i] == NULL) return EDGE_ERROR_ARGUMENT;
    if (scratch == NULL || (uintptr_t)scratch % model->scratch_alignment != 0) return EDGE_ERROR_SCRATCH;
    const edge_kernel *kernel = find_kernel(ctx->isa);
    if (kernel == NULL) return EDGE_ERROR_ISA;
    call this = {kernel, in, out, scratch, n, 1, ctx->team};
    uint32_t most = kernel->entry != NULL && n < ctx->threads ? (uint32_t)n : ctx->threads;
    if (most > 1 && ctx->team != NULL) this.threads = edge_team_take(ctx->team, most);
    if (this.threads > 1) {
        edge_team_run(ctx->team, this.threads, work, &this);
        return EDGE_OK;
    }
    float_state state = enter_default_float_state();
    run_samples(&this, 0, n, scratch);
    leave_default_float_state(state);
    return EDGE_OK;
}

EXPORT const char *edge_isa_name(uint32_t isa) {
    const edge_kernel *kernel = find_kernel(isa);
    return kernel == NULL ? NULL : kernel->name;
}
