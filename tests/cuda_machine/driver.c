/* A driver as its clients see it: libcuda.so.1 of a machine that runs kernels on the CPU (device.c).
 *
 * Nothing is done before it has to be: work waits in its stream until somebody waits for that stream, so a client that
 * forgets to wait finds no results. CUDA_MACHINE names a fault, see `fault`; "idle" runs no kernels, which leaves the
 * time of the host's side alone.
 */
#include "device.h"

#include <time.h>

typedef struct op op;
typedef struct { op *first, *last; long queued, done; int capturing; op *captured, *captured_last; } stream;
typedef struct { stream *of; long position; double at; /* milliseconds, of a clock */ } event;
typedef struct { op *first; } graph;

struct op {
    op *next;
    void *to;
    const void *from;
    size_t bytes; /* a copy, unless 0 */
    const edge_kernel_entry *kernel;
    unsigned x, y, threads;
    uint64_t values[80];
    event wait; /* of a wait */
};

enum { MOST_BLOCKS = 4096 };
typedef struct { char *start; size_t bytes; } allocation;
static allocation blocks[MOST_BLOCKS], pinned[MOST_BLOCKS];
static int block_count, pinned_count;
static stream default_stream;
static long launches, graph_launches;

static int fault(const char *name) {
    const char *set = getenv("CUDA_MACHINE");
    return set != NULL && strcmp(set, name) == 0;
}

static stream *real(stream *s) { return s == NULL || (uintptr_t)s <= 2 ? &default_stream : s; }

static void enqueue(stream *s, const op *made) {
    op *copy = malloc(sizeof *copy);
    *copy = *made;
    copy->next = NULL;
    op **first = s->capturing ? &s->captured : &s->first, **last = s->capturing ? &s->captured_last : &s->last;
    if (*first == NULL) *first = copy; else (*last)->next = copy;
    *last = copy;
    s->queued += !s->capturing;
}

static void drain(stream *s, long position) {
    while (s->done < position) {
        op *now = s->first;
        s->first = now->next;
        if (now->wait.of != NULL) drain(now->wait.of, now->wait.position);
        if (now->bytes) memcpy(now->to, now->from, now->bytes);
        if (now->kernel != NULL && !fault("idle")) {
            void *parameters[80];
            for (int i = 0; i < now->kernel->parameters; i++) parameters[i] = &now->values[i];
            edge_run_grid(now->kernel, now->x, now->y, now->threads, parameters);
        }
        free(now);
        s->done++;
    }
}

int cuInit(unsigned flags) { (void)flags; return fault("no device") ? 100 : fault("mismatch") ? 803 : 0; }
int cuDriverGetVersion(int *version) { *version = fault("old driver") ? 11080 : 13000; return 0; }
int cuGetErrorName(int result, const char **name) {
    *name = result == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS" : result == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_OTHER";
    return 0;
}
int cuDeviceGetCount(int *count) { *count = fault("count 0") ? 0 : 1; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { (void)device; *context = &default_stream; return 0; }
int cuDevicePrimaryCtxRelease_v2(int device) { (void)device; return 0; }
int cuCtxPushCurrent_v2(void *context) { (void)context; return 0; }
int cuCtxPopCurrent_v2(void **context) { *context = NULL; return 0; }

int cuModuleLoadData(void **module, const void *image) {
    *module = (void *)image;
    if (fault("old device")) return 209;
    if (fault("old driver") || fault("broken image")) return 200;
    uint32_t magic = *(const uint32_t *)image;
    /* FATBIN_MAGIC of fatbinary.h; ELFMAG; PTX begins with a comment. */
    return magic == 0xBA55ED50u || magic == 0x464C457Fu || memcmp(image, "//", 2) == 0 ? 0 : 200;
}
int cuModuleUnload(void *module) { (void)module; return 0; }
int cuModuleGetFunction(const void **function, void *module, const char *name) {
    (void)module;
    for (int i = 0; i < edge_kernel_count; i++)
        if (strcmp(edge_kernels[i].symbol, name) == 0) {
            *function = &edge_kernels[i];
            return 0;
        }
    return 500;
}

static int allocate(void **pointer, size_t bytes) {
    if (fault("no memory")) return 2;
    *pointer = aligned_alloc(256, (bytes + 255) / 256 * 256);
    memset(*pointer, 0xAB, bytes);
    return 0;
}
int cuMemAlloc_v2(uint64_t *pointer, size_t bytes) {
    void *memory;
    int result = allocate(&memory, bytes);
    if (result != 0) return result;
    blocks[block_count].start = memory;
    blocks[block_count++].bytes = bytes;
    *pointer = (uint64_t)(uintptr_t)memory;
    return 0;
}
int cuMemFree_v2(uint64_t pointer) {
    for (int i = 0; i < block_count; i++)
        if (blocks[i].start == (char *)(uintptr_t)pointer) {
            blocks[i] = blocks[--block_count];
            free((void *)(uintptr_t)pointer);
            return 0;
        }
    return 1;
}
int cuMemHostAlloc(void **pointer, size_t bytes, unsigned flags) {
    (void)flags;
    int result = allocate(pointer, bytes);
    if (result != 0) return result;
    pinned[pinned_count].start = *pointer;
    pinned[pinned_count++].bytes = bytes;
    return 0;
}
int cuMemFreeHost(void *pointer) {
    for (int i = 0; i < pinned_count; i++)
        if (pinned[i].start == pointer) {
            pinned[i] = pinned[--pinned_count];
            free(pointer);
            return 0;
        }
    return 1;
}
static int lies_in(const allocation *table, int count, const char *address) {
    for (int i = 0; i < count; i++)
        if (table[i].start <= address && address < table[i].start + table[i].bytes) return 1;
    return 0;
}
int cuPointerGetAttribute(uint32_t *type, int attribute, uint64_t pointer) {
    /* CU_MEMORYTYPE_DEVICE, CU_MEMORYTYPE_HOST; other memory is unknown. */
    const char *address = (const char *)(uintptr_t)pointer;
    *type = lies_in(blocks, block_count, address) ? 2 : lies_in(pinned, pinned_count, address) ? 1 : 0;
    return attribute == 2 && *type != 0 ? 0 : 1;
}

static int copy(void *to, const void *from, size_t bytes, stream *s) {
    op made = {.to = to, .from = from, .bytes = bytes};
    enqueue(real(s), &made);
    return 0;
}
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, stream *s) {
    return copy((void *)(uintptr_t)to, from, bytes, s);
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, stream *s) {
    return copy(to, (const void *)(uintptr_t)from, bytes, s);
}

int cuStreamCreate(stream **s, unsigned flags) { (void)flags; *s = calloc(1, sizeof **s); return 0; }
int cuStreamDestroy_v2(stream *s) { drain(s, s->queued); free(s); return 0; }
int cuStreamSynchronize(stream *s) { s = real(s); drain(s, s->queued); return 0; }
int cuStreamWaitEvent(stream *s, event *e, unsigned flags) {
    (void)flags;
    op made = {.wait = *e};
    enqueue(real(s), &made);
    return 0;
}
int cuEventCreate(event **e, unsigned flags) { (void)flags; *e = calloc(1, sizeof **e); return 0; }
static double milliseconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}
int cuEventRecord(event *e, stream *s) {
    e->of = real(s);
    e->position = e->of->queued;
    e->at = milliseconds_now();
    return 0;
}
int cuEventDestroy_v2(event *e) { free(e); return 0; }

int cuLaunchKernel(const edge_kernel_entry *kernel, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned b,
                   unsigned c, unsigned shared, stream *s, void **parameters, void **extra) {
    (void)z, (void)b, (void)c, (void)shared, (void)extra;
    if (fault("illegal address")) return 700;
    if (x == 0 || y == 0 || y > 65535 || threads > MOST_THREADS) return 1;
    op made = {.kernel = kernel, .x = x, .y = y, .threads = threads};
    for (int i = 0; i < kernel->parameters; i++)
        memcpy(&made.values[i], parameters[i], i < kernel->parameters - 2 ? 8 : 4);
    launches++;
    enqueue(real(s), &made);
    return 0;
}

int cuStreamBeginCapture_v2(stream *s, int mode) {
    (void)mode;
    s->capturing = 1;
    s->captured = NULL;
    return 0;
}
int cuStreamEndCapture(stream *s, graph **g) {
    *g = calloc(1, sizeof **g);
    (*g)->first = s->captured;
    s->capturing = 0;
    return 0;
}
int cuGraphInstantiateWithFlags(graph **executable, graph *g, uint64_t flags) {
    (void)flags;
    *executable = calloc(1, sizeof **executable);
    (*executable)->first = g->first;
    return 0;
}
int cuGraphLaunch(graph *executable, stream *s) {
    for (op *o = executable->first; o != NULL; o = o->next) enqueue(real(s), o);
    graph_launches++;
    return 0;
}
int cuGraphDestroy(graph *g) { free(g); return 0; }
int cuGraphExecDestroy(graph *g) { free(g); return 0; }

/* What works at once, for clients without streams. */
int cuCtxSetCurrent(void *context) { (void)context; return 0; }
int cuCtxSynchronize(void) { return cuStreamSynchronize(NULL); }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    (void)device;
    /* Compute capability 9.0, or 7.0 of an older GPU; two multiprocessors. */
    *value = attribute == 75 ? (fault("older") ? 7 : 9) : attribute == 16 ? 2 : 0;
    return 0;
}
int cuDeviceGetName(char *name, int length, int device) {
    (void)device;
    snprintf(name, (size_t)length, "CPU in the place of a GPU");
    return 0;
}
/* Work is done when somebody waits for it: the time of two events is what passed until then. */
int cuEventSynchronize(event *e) {
    drain(e->of, e->position);
    e->at = milliseconds_now();
    return 0;
}
int cuEventElapsedTime(float *milliseconds, event *start, event *stop) {
    *milliseconds = (float)(stop->at - start->at);
    return 0;
}
int cuMemsetD8_v2(uint64_t pointer, unsigned char value, size_t bytes) {
    memset((void *)(uintptr_t)pointer, value, bytes);
    return 0;
}
int cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t bytes) {
    memcpy((void *)(uintptr_t)to, from, bytes);
    return 0;
}
int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t bytes) {
    memcpy(to, (const void *)(uintptr_t)from, bytes);
    return 0;
}

/* For tests. */
long machine_launches(void) { return launches; }
long machine_graph_launches(void) { return graph_launches; }
long machine_blocks(void) { return block_count; }
