/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls generated code again and again. The call stands here and not in the generated code, because a loop there over
 * work that leaves everything as it is could be left out.
 */
#include <stdint.h>
#include <time.h>

typedef void model(const void *const *in, void *const *out, const uint8_t *weights, uint8_t *scratch, int64_t samples);

/* Nanoseconds of so many calls. */
int64_t edge_repeat(model *run, const void *const *in, void *const *out, const uint8_t *weights, uint8_t *scratch,
                    int64_t calls) {
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int64_t call = 0; call < calls; call++) run(in, out, weights, scratch, 1);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (int64_t)(end.tv_sec - begin.tv_sec) * 1000000000 + (end.tv_nsec - begin.tv_nsec);
}
