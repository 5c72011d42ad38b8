/* SPDX-License-Identifier: Apache-2.0
 *
 * The most int8 multiply-accumulates a second that one core of this machine does: the dot-product instruction of an
 * instruction set on registers alone. Prints one number, MAC/s, or 0 for an unknown name.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

#define REGISTERS                                                                                                     \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", \
        "xmm14", "xmm15"
enum { CHAINS = 12, ROUNDS = 100000 };

/* Twelve independent chains hide a latency of 5 cycles at two instructions a cycle. The registers are named in the
 * text: operands of C would be stored after every step. Their contents do not matter to the time. */
#define TIMES_12(STEP)                                                                                               \
    STEP("0") STEP("1") STEP("2") STEP("3") STEP("4") STEP("5")                                                      \
    STEP("6") STEP("7") STEP("8") STEP("9") STEP("10") STEP("11")

static double avx512vnni(void) {
    double start = now();
    for (int round = 0; round < ROUNDS; round++) {
#define STEP(i) "vpdpbusd %%zmm15, %%zmm14, %%zmm" i "\n\t"
        __asm__ volatile(TIMES_12(STEP) : : : REGISTERS);
#undef STEP
    }
    return 64.0 * CHAINS * ROUNDS / (now() - start);
}

static double avxvnni(void) {
    double start = now();
    for (int round = 0; round < ROUNDS; round++) {
#define STEP(i) "%{vex%} vpdpbusd %%ymm15, %%ymm14, %%ymm" i "\n\t"
        __asm__ volatile(TIMES_12(STEP) : : : REGISTERS);
#undef STEP
    }
    return 32.0 * CHAINS * ROUNDS / (now() - start);
}

/* Exact for all int8 operands: on words, vpmaddwd and an addition. */
static double avx2_words(void) {
    double start = now();
    for (int round = 0; round < ROUNDS; round++) {
#define STEP(i) "vpmaddwd %%ymm15, %%ymm14, %%ymm13\n\tvpaddd %%ymm13, %%ymm" i ", %%ymm" i "\n\t"
        __asm__ volatile(TIMES_12(STEP) : : : REGISTERS);
#undef STEP
    }
    return 16.0 * CHAINS * ROUNDS / (now() - start);
}

/* The usual loop on bytes, exact where neighbouring weights are small enough for vpmaddubsw not to saturate. */
static double avx2_bytes(void) {
    double start = now();
    for (int round = 0; round < ROUNDS; round++) {
#define STEP(i)                                                                                                      \
    "vpmaddubsw %%ymm15, %%ymm14, %%ymm13\n\tvpmaddwd %%ymm12, %%ymm13, %%ymm13\n\t"                                 \
    "vpaddd %%ymm13, %%ymm" i ", %%ymm" i "\n\t"
        __asm__ volatile(TIMES_12(STEP) : : : REGISTERS);
#undef STEP
    }
    return 32.0 * CHAINS * ROUNDS / (now() - start);
}

static const struct {
    const char *name;
    double (*measure)(void);
} LOOPS[] = {{"avx512vnni", avx512vnni}, {"avxvnni", avxvnni}, {"avx2", avx2_words}, {"avx2", avx2_bytes}};

int main(int count, char **arguments) {
    double best = 0;
    for (unsigned loop = 0; count > 1 && loop < sizeof LOOPS / sizeof LOOPS[0]; loop++)
        for (int repeat = 0; strcmp(arguments[1], LOOPS[loop].name) == 0 && repeat < 40; repeat++) {
            double found = LOOPS[loop].measure();
            if (found > best) best = found;
        }
    printf("%.6g\n", best);
    return 0;
}
