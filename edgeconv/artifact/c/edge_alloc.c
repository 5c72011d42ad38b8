/* SPDX-License-Identifier: Apache-2.0
 *
 * The allocator of edge-run, in the place of libc's, which would be a sixth of its code: edge-run takes its few buffers
 * at the start and keeps them. Every block is pages of its own, so any alignment up to a page's is met.
 */
#include <stddef.h>
#include <sys/mman.h>

void *malloc(size_t size) {
    void *memory = mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void *calloc(size_t count, size_t size) { return size && count > (size_t)-1 / size ? NULL : malloc(count * size); }

void *aligned_alloc(size_t alignment, size_t size) { return alignment > 4096 ? NULL : malloc(size); }

void free(void *memory) { (void)memory; }
