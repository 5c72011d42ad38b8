/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading the driver.
 */
#include "edge_cuda_driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static cu_driver driver;
static int complete;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) return;
    int found = 1;
#define RESOLVE(name, symbol, parameters)                 \
    {                                                     \
        void *address = dlsym(library, symbol);           \
        memcpy(&driver.name, &address, sizeof address);   \
        found = found && address != NULL;                 \
    }
    CU_FUNCTIONS(RESOLVE)
#undef RESOLVE
    complete = found;
}

const cu_driver *edge_cuda_driver(void) {
    pthread_once(&once, load);
    return complete ? &driver : NULL;
}
