/* Start of a Cortex-M program in a simulator: vectors, memory, floating-point unit, semihosting, and a tick counter.
 *
 * With `qemu-system-arm -icount shift=0` one instruction takes a nanosecond of the simulated time that SysTick counts. */
#include "board.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

extern uint32_t stack_top, data_load, data_start, data_end, bss_start, bss_end;
extern void initialise_monitor_handles(void);
extern int main(void);
void reset(void);
void fault(void);
void tick(void);
#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#define CPACR (*(volatile uint32_t *)0xE000ED88u)

enum { TICKS = 1 << 24, STACK_BYTES = 8192, PAINT = 0xA5 };

static volatile uint32_t wraps;
static uint64_t started, spent;
static unsigned calls;

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &stack_top, reset, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, tick,
};

void tick(void) {
    wraps++;
}

static uint64_t ticks_now(void) {
    uint32_t high, low;
    do {
        high = wraps;
        low = SYST_CVR;
    } while (high != wraps);
    return (uint64_t)high * TICKS + (TICKS - 1 - low);
}

void board_start(void) {
    started = ticks_now();
}

void board_stop(void) {
    spent += ticks_now() - started;
    calls++;
}

/* How deep the stack has ever been: it was painted before main. */
static unsigned stack_used(void) {
    const uint8_t *at = (const uint8_t *)&stack_top - STACK_BYTES;
    unsigned untouched = 0;
    while (untouched < STACK_BYTES && at[untouched] == PAINT) untouched++;
    return STACK_BYTES - untouched;
}

void fault(void) {
    _Exit(3);
}

void reset(void) {
    uint32_t *from = &data_load, *to;
    uint8_t *paint, here;
    int status;
    CPACR |= 0xFu << 20;
    __asm volatile("dsb\n isb");
    for (to = &data_start; to < &data_end;) *to++ = *from++;
    for (to = &bss_start; to < &bss_end;) *to++ = 0;
    for (paint = (uint8_t *)&stack_top - STACK_BYTES; paint < &here - 64; paint++) *paint = PAINT;
    SYST_RVR = TICKS - 1;
    SYST_CVR = 0;
    SYST_CSR = 7;
    initialise_monitor_handles();
    status = main();
    printf("calls %u, ticks %lu, stack %u\n", calls, (unsigned long)spent, stack_used());
    exit(status);
}
