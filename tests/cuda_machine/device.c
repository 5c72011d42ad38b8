/* The threads of a block, one after the other. */
#include "device.h"

edge_index threadIdx, blockIdx;
int edge_fragments[MOST_THREADS][6];

static ucontext_t scheduler, contexts[MOST_THREADS];
static char *stacks[MOST_THREADS];
static int finished[MOST_THREADS];
static unsigned threads, arrived, generation, warp_arrived[MOST_THREADS / WARP], warp_generation[MOST_THREADS / WARP];
static const edge_kernel_entry *running;
static void **arguments;

static void give_way(void) {
    unsigned self = threadIdx.x;
    swapcontext(&contexts[self], &scheduler);
    threadIdx.x = self;
}

void __syncthreads(void) {
    unsigned before = generation;
    if (++arrived == threads) {
        arrived = 0;
        generation++;
    }
    while (generation == before) give_way();
}

void edge_warp_barrier(void) {
    unsigned warp = threadIdx.x / WARP, before = warp_generation[warp];
    if (++warp_arrived[warp] == WARP) {
        warp_arrived[warp] = 0;
        warp_generation[warp]++;
    }
    while (warp_generation[warp] == before) give_way();
}

static void body(void) {
    unsigned self = threadIdx.x;
    running->call(arguments);
    finished[self] = 1;
}

static void run_block(void) {
    for (unsigned i = 0; i < threads; i++) {
        if (stacks[i] == NULL) stacks[i] = malloc(STACK);
        finished[i] = 0;
        getcontext(&contexts[i]);
        contexts[i].uc_stack.ss_sp = stacks[i];
        contexts[i].uc_stack.ss_size = STACK;
        contexts[i].uc_link = &scheduler;
        makecontext(&contexts[i], body, 0);
    }
    for (unsigned left = threads, rounds = 0; left > 0; rounds++) {
        left = 0;
        for (unsigned i = 0; i < threads; i++) {
            unsigned thread = rounds % 2 ? i : threads - 1 - i; /* no order is promised */
            if (finished[thread]) continue;
            threadIdx.x = thread;
            swapcontext(&scheduler, &contexts[thread]);
            left += !finished[thread];
        }
        if (left > 0 && left < threads && rounds > 1000000) {
            fprintf(stderr, "%s: threads wait at a barrier that others never reach\n", running->symbol);
            abort();
        }
    }
}

void edge_run_grid(const edge_kernel_entry *kernel, unsigned x, unsigned y, unsigned count, void **parameters) {
    running = kernel;
    threads = count;
    arguments = parameters;
    for (blockIdx.y = 0; blockIdx.y < y; blockIdx.y++)
        for (blockIdx.x = 0; blockIdx.x < x; blockIdx.x++) run_block();
}
