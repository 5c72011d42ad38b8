/* SPDX-License-Identifier: Apache-2.0 */
#include "edge_threads.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#include "edge_io.h"

static edge_team team;

static void *serve(void *unused) {
    (void)unused;
    edge_team_serve(&team);
    return NULL;
}

void edge_threads_start(edge_ctx *ctx, int64_t threads) {
    sigset_t all, before;
    edge_team_init(&team);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the first thread */
    for (int64_t i = 1; i < threads; i++) {
        pthread_t thread;
        int error = pthread_create(&thread, NULL, serve, NULL);
        if (error) edge_die(EXIT_DEVICE, "thread %" PRId64 " cannot be started: %s", i, strerror(error));
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    while (edge_team_helpers(&team) + 1 < threads) sched_yield();
    ctx->threads = (uint32_t)threads;
    ctx->team = &team;
}

int64_t edge_scratch_bytes(const edge_ctx *ctx) {
    return (int64_t)edge_this_model.scratch_bytes * (ctx->threads > 1 ? ctx->threads : 1);
}
