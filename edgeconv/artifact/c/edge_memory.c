/* SPDX-License-Identifier: Apache-2.0
 *
 * The functions of libc that a compiler may call on its own, for a library that is linked without one.
 */
#include <stddef.h>
#include <stdint.h>

/* Without this attribute gcc would turn the loops into calls of the very functions they define. */
#define PLAIN __attribute__((optimize("no-tree-loop-distribute-patterns"), visibility("hidden"), used))

PLAIN void *memcpy(void *to, const void *from, size_t count) {
    unsigned char *t = to;
    const unsigned char *f = from;
    while (count--) *t++ = *f++;
    return to;
}

PLAIN void *memmove(void *to, const void *from, size_t count) {
    unsigned char *t = to;
    const unsigned char *f = from;
    if ((uintptr_t)t < (uintptr_t)f)
        while (count--) *t++ = *f++;
    else
        while (count--) t[count] = f[count];
    return to;
}

PLAIN void *memset(void *to, int value, size_t count) {
    unsigned char *t = to;
    while (count--) *t++ = (unsigned char)value;
    return to;
}
