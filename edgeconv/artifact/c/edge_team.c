/* SPDX-License-Identifier: Apache-2.0
 *
 * Teams of threads without libc: the caller brings threads and memory, here are the waiting and the waking. Who waits
 * looks at a word for a while and then sleeps on it in the kernel (futex(2)), so a team of more threads than cores
 * makes progress too. All words but one are counters; the one, `job`, holds a generation and a number of threads
 * together, so that a helper that comes late never mixes two jobs.
 */
#include "edge_team.h"

#if defined(__aarch64__)
#pragma GCC target("no-outline-atomics") /* libgcc's asks the C library for the CPU's features */
#endif

#define EXPORT __attribute__((visibility("default")))

enum {
    LOOKS = 1000,  /* before sleeping: some 10 to 50 µs, longer than the steps of a network differ */
    JOB_SHIFT = 8, /* bits of `job` for the number of threads; the generation is above */
    CACHE_LINE = 64
};

typedef struct {
    uint32_t job, idle;             /* helpers wait here for work; how many sleep */
    uint32_t helpers, stopped, taken;
    edge_work work;
    void *argument;
    char apart[CACHE_LINE];         /* the barrier's words on a line of their own */
    uint32_t generation, sleepers;  /* threads wait here for the last one; how many sleep */
    uint32_t arrived;
} team_state;

_Static_assert(sizeof(team_state) <= sizeof(edge_team), "edge_team is too small");

static team_state *state_of(edge_team *team) { return (team_state *)(void *)team; }

static uint32_t load(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }

static void store(uint32_t *word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_SEQ_CST); }

static uint32_t add(uint32_t *word, uint32_t value) { return __atomic_fetch_add(word, value, __ATOMIC_SEQ_CST); }

#if defined(__linux__) && defined(__x86_64__)
static void futex(uint32_t *word, long operation, uint32_t value) {
    long result = 202; /* SYS_futex */
    register long no_timeout __asm__("r10") = 0;
    __asm__ volatile("syscall" : "+a"(result) : "D"(word), "S"(operation), "d"((long)value), "r"(no_timeout) : "rcx", "r11", "memory");
}
#elif defined(__linux__) && defined(__aarch64__)
static void futex(uint32_t *word, long operation, uint32_t value) {
    register long number __asm__("x8") = 98; /* SYS_futex */
    register long first __asm__("x0") = (long)word;
    register long second __asm__("x1") = operation;
    register long third __asm__("x2") = (long)value;
    register long no_timeout __asm__("x3") = 0;
    __asm__ volatile("svc 0" : "+r"(first) : "r"(number), "r"(second), "r"(third), "r"(no_timeout) : "memory");
}
#else
static void futex(uint32_t *word, long operation, uint32_t value) { (void)word, (void)operation, (void)value; }
#endif

enum { FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129 };

static void pause_a_moment(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Until *word is no longer `value`; the value it has then. */
static uint32_t wait_for_change(uint32_t *word, uint32_t value, uint32_t *sleepers) {
    uint32_t found;
    for (int look = 0; look < LOOKS; look++) {
        if ((found = load(word)) != value) return found;
        pause_a_moment();
    }
    /* The kernel compares once more, after the sleeper is counted: who changes the word first wakes whoever is. */
    add(sleepers, 1);
    while ((found = load(word)) == value) futex(word, FUTEX_WAIT_PRIVATE, value);
    add(sleepers, (uint32_t)-1);
    return found;
}

static void change(uint32_t *word, uint32_t value, const uint32_t *sleepers) {
    store(word, value);
    if (load(sleepers) != 0) futex(word, FUTEX_WAKE_PRIVATE, INT32_MAX);
}

static uint32_t next_job(const team_state *state, uint32_t threads) {
    return (((load(&state->job) >> JOB_SHIFT) + 1) << JOB_SHIFT) | threads;
}

EXPORT void edge_team_init(edge_team *team) {
    for (size_t i = 0; i < sizeof team->opaque / sizeof *team->opaque; i++) team->opaque[i] = 0;
}

EXPORT uint32_t edge_team_helpers(const edge_team *team) { return load(&((const team_state *)(const void *)team)->helpers); }

EXPORT int edge_team_serve(edge_team *team) {
    team_state *state = state_of(team);
    /* Seen before this helper is counted: a job that counts on it is never taken for an old one. */
    uint32_t seen = load(&state->job), index = add(&state->helpers, 1) + 1;
    if (index >= EDGE_MOST_THREADS) {
        add(&state->helpers, (uint32_t)-1);
        return EDGE_ERROR_ARGUMENT;
    }
    while (!load(&state->stopped)) {
        seen = wait_for_change(&state->job, seen, &state->idle);
        uint32_t threads = seen & ((1u << JOB_SHIFT) - 1);
        if (index >= threads) continue;
        state->work(state->argument, index);
        edge_team_barrier(team, threads);
    }
    return EDGE_OK;
}

EXPORT void edge_team_stop(edge_team *team) {
    team_state *state = state_of(team);
    store(&state->stopped, 1);
    change(&state->job, next_job(state, 0), &state->idle);
}

uint32_t edge_team_take(edge_team *team, uint32_t most) {
    team_state *state = state_of(team);
    uint32_t threads = load(&state->helpers) + 1;
    if (threads > most) threads = most;
    if (threads < 2 || load(&state->stopped) || __atomic_exchange_n(&state->taken, 1, __ATOMIC_SEQ_CST)) return 1;
    return threads;
}

void edge_team_run(edge_team *team, uint32_t threads, edge_work work, void *argument) {
    team_state *state = state_of(team);
    state->work = work;
    state->argument = argument;
    change(&state->job, next_job(state, threads), &state->idle);
    work(argument, 0);
    edge_team_barrier(team, threads);
    store(&state->taken, 0);
}

void edge_team_barrier(edge_team *team, uint32_t threads) {
    team_state *state = state_of(team);
    uint32_t generation = load(&state->generation);
    if (add(&state->arrived, 1) + 1 < threads) {
        wait_for_change(&state->generation, generation, &state->sleepers);
        return;
    }
    store(&state->arrived, 0);
    change(&state->generation, generation + 1, &state->sleepers);
}
