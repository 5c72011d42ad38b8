/* SPDX-License-Identifier: Apache-2.0
 *
 * The C interface of edge.h over kernels of a GPU.
 *
 * A call in host memory goes by pieces through two lanes, each with a stream and memory of its own, so that one lane
 * copies while the other computes. A call of a few samples is copied into pinned memory that the GPU reads by itself:
 * two copies by the driver would take longer than the network does.
 */
#include "edge_cuda.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "edge_cuda_driver.h"
#include "edge_cuda_model.h"
#include "edge_model.h"

#define EXPORT __attribute__((visibility("default")))

enum { LANES = 2, MOST_ARRAYS = 64 };

static const int64_t LANE_BYTES = 32 << 20; /* of arrays and arenas of a lane, as far as one sample fits */
static const int64_t PINNED_BYTES = 256 << 10;
static const int64_t DIRECT_BYTES = 32 << 10; /* of a call through pinned memory: more is faster by copies */

typedef struct {
    cu_stream stream;
    cu_pointer memory; /* arrays, then arenas */
    cu_event done;     /* what this lane's arenas were last used for */
    cu_graph_exec graph;
    cu_pointer graph_arrays[MOST_ARRAYS]; /* what the graph was made for */
    int64_t graph_samples;
} lane;

typedef struct {
    const cu_driver *driver;
    cu_device device;
    cu_context context;
    cu_module module;
    cu_function *functions; /* by launch */
    cu_pointer weights;
    char *pinned;
    lane lanes[LANES];
    int64_t chunk; /* samples of a piece */
    pthread_mutex_t turn;
} state;

/* Fields of edge_ctx.reserved. */
enum { STATE, DEVICE, RESULT };

static state *state_of(const edge_ctx *ctx) { return (state *)(uintptr_t)ctx->reserved[STATE]; }

static int64_t round_up(int64_t bytes) { return (bytes + 255) / 256 * 256; }

static int64_t sample_bytes(const edge_tensor *tensor) { return tensor->elements * tensor->item_bytes; }

static uint32_t array_count(void) { return edge_this_model.input_count + edge_this_model.output_count; }

static const edge_tensor *array(uint32_t index) {
    const edge_model *model = &edge_this_model;
    return index < model->input_count ? &model->inputs[index] : &model->outputs[index - model->input_count];
}

/* ---- errors ---- */

static int status_of(edge_ctx *ctx, cu_result result) {
    ctx->reserved[RESULT] = (uint64_t)(uint32_t)result;
    switch (result) {
    case CU_SUCCESS: return EDGE_OK;
    case CU_OUT_OF_MEMORY: return EDGE_ERROR_MEMORY;
    case CU_NO_DEVICE:
    case CU_INVALID_DEVICE: return EDGE_ERROR_NO_DEVICE;
    case CU_NO_BINARY_FOR_GPU: return EDGE_ERROR_OLD_DEVICE;
    case CU_UNSUPPORTED_PTX_VERSION:
    case CU_DRIVER_MISMATCH: return EDGE_ERROR_OLD_DRIVER;
    case CU_INVALID_IMAGE:
    case CU_INVALID_PTX:
    case CU_NOT_FOUND: return EDGE_ERROR_IMAGE;
    default: return EDGE_ERROR_CUDA;
    }
}

EXPORT const char *edge_cuda_error(const edge_ctx *ctx) {
    const cu_driver *driver = edge_cuda_driver();
    const char *name = NULL;
    cu_result result = (cu_result)(uint32_t)ctx->reserved[RESULT];
    if (result == CU_SUCCESS || driver == NULL || driver->error_name(result, &name) != CU_SUCCESS) return "";
    return name == NULL ? "" : name;
}

EXPORT uint32_t edge_cuda_driver_version(void) {
    const cu_driver *driver = edge_cuda_driver();
    int version = 0;
    return driver != NULL && driver->driver_version(&version) == CU_SUCCESS ? (uint32_t)version : 0;
}

EXPORT uint32_t edge_cuda_needed_version(void) { return edge_this_code.version; }

/* ---- beginning and end ---- */

EXPORT void edge_cuda_select(edge_ctx *ctx, uint32_t device) { ctx->reserved[DEVICE] = device; }

/* Samples of a piece, and the bytes of a lane's memory for them. */
static int64_t choose_chunk(int64_t *bytes) {
    int64_t each = (int64_t)edge_this_code.scratch_bytes, chunk;
    for (uint32_t i = 0; i < array_count(); i++) each += sample_bytes(array(i));
    chunk = LANE_BYTES / (each > 0 ? each : 1);
    if (chunk > edge_this_code.chunk) chunk = edge_this_code.chunk;
    if (edge_this_code.samples > 0) chunk -= chunk % edge_this_code.samples;
    if (chunk < 1) chunk = 1;
    *bytes = round_up((int64_t)edge_this_code.scratch_bytes * chunk);
    for (uint32_t i = 0; i < array_count(); i++) *bytes += round_up(sample_bytes(array(i)) * chunk);
    return chunk;
}

static cu_pointer array_memory(const state *this, const lane *lane, uint32_t index) {
    cu_pointer place = lane->memory;
    for (uint32_t i = 0; i < index; i++) place += (cu_pointer)round_up(sample_bytes(array(i)) * this->chunk);
    return place;
}

static cu_pointer arenas(const state *this, const lane *lane) { return array_memory(this, lane, array_count()); }

static cu_result open_lanes(state *this) {
    const cu_driver *cu = this->driver;
    int64_t bytes;
    cu_result result = CU_SUCCESS;
    this->chunk = choose_chunk(&bytes);
    for (int i = 0; i < LANES && result == CU_SUCCESS; i++) {
        lane *lane = &this->lanes[i];
        result = cu->stream_create(&lane->stream, CU_STREAM_NON_BLOCKING);
        if (result == CU_SUCCESS) result = cu->event_create(&lane->done, CU_EVENT_DISABLE_TIMING);
        if (result == CU_SUCCESS) result = cu->allocate(&lane->memory, (size_t)bytes);
    }
    return result;
}

static cu_result open_code(state *this) {
    const cu_driver *cu = this->driver;
    const edge_cuda_code *code = &edge_this_code;
    cu_result result = edge_cuda_load(cu, this->device, &this->module);
    for (uint32_t i = 0; i < code->launch_count && result == CU_SUCCESS; i++)
        result = cu->module_function(&this->functions[i], this->module, code->launches[i].symbol);
    if (result == CU_SUCCESS) result = cu->allocate(&this->weights, code->weight_bytes);
    if (result == CU_SUCCESS) result = cu->host_allocate((void **)&this->pinned, (size_t)PINNED_BYTES, CU_HOST_ALLOC_PORTABLE);
    return result;
}

static cu_result open_device(state *this, uint32_t ordinal) {
    const cu_driver *cu = this->driver;
    int count = 0;
    cu_result result = cu->init(0);
    if (result == CU_SUCCESS) result = cu->device_count(&count);
    if (result == CU_SUCCESS && ordinal >= (uint32_t)count) result = CU_NO_DEVICE;
    if (result == CU_SUCCESS) result = cu->device_get(&this->device, (int)ordinal);
    if (result == CU_SUCCESS) result = cu->context_retain(&this->context, this->device);
    return result;
}

static void close_state(state *this) {
    const cu_driver *cu = this->driver;
    cu_context current;
    if (this->context != NULL && cu->context_push(this->context) == CU_SUCCESS) {
        for (int i = 0; i < LANES; i++) {
            lane *lane = &this->lanes[i];
            if (lane->stream != NULL) cu->stream_synchronize(lane->stream);
            if (lane->graph != NULL) cu->graph_exec_destroy(lane->graph);
            if (lane->memory != 0) cu->free(lane->memory);
            if (lane->done != NULL) cu->event_destroy(lane->done);
            if (lane->stream != NULL) cu->stream_destroy(lane->stream);
        }
        if (this->pinned != NULL) cu->host_free(this->pinned);
        if (this->weights != 0) cu->free(this->weights);
        if (this->module != NULL) cu->module_unload(this->module);
        cu->context_pop(&current);
    }
    if (this->context != NULL) cu->context_release(this->device);
    pthread_mutex_destroy(&this->turn);
    free(this->functions);
    free(this);
}

EXPORT void edge_cuda_release(edge_ctx *ctx) {
    state *this = state_of(ctx);
    ctx->ready = 0;
    ctx->reserved[STATE] = 0;
    if (this != NULL) close_state(this);
}

EXPORT int edge_init(edge_ctx *ctx) {
    const edge_cuda_code *code = &edge_this_code;
    if (ctx == NULL) return EDGE_ERROR_ARGUMENT;
    if (ctx->abi_version != EDGE_ABI_VERSION) return EDGE_ERROR_ABI;
    if (ctx->isa != EDGE_ISA_AUTO && ctx->isa != EDGE_ISA_CUDA) return EDGE_ERROR_ISA;
    edge_cuda_release(ctx);
    ctx->reserved[RESULT] = 0;
    const cu_driver *driver = edge_cuda_driver();
    if (driver == NULL) return EDGE_ERROR_NO_DRIVER;
    state *this = calloc(1, sizeof *this);
    if (this != NULL) this->functions = calloc(code->launch_count, sizeof *this->functions);
    if (this == NULL || this->functions == NULL) {
        free(this);
        return EDGE_ERROR_MEMORY;
    }
    this->driver = driver;
    pthread_mutex_init(&this->turn, NULL);
    cu_context current;
    int loading = 0;
    cu_result result = open_device(this, (uint32_t)ctx->reserved[DEVICE]);
    if (result == CU_SUCCESS) result = driver->context_push(this->context);
    if (result == CU_SUCCESS) {
        loading = 1;
        result = open_code(this);
        if (result == CU_SUCCESS) {
            loading = 0;
            result = open_lanes(this);
        }
        if (result == CU_SUCCESS)
            result = driver->copy_in(this->weights, code->weights, code->weight_bytes, this->lanes[0].stream);
        if (result == CU_SUCCESS) result = driver->stream_synchronize(this->lanes[0].stream);
        driver->context_pop(&current);
    }
    if (result != CU_SUCCESS) {
        int status = status_of(ctx, result);
        /* An older driver may find nothing that it knows in a fat binary, and calls that by several names. */
        int chosen = code->images[0].capability != 0;
        int refused = status == EDGE_ERROR_IMAGE || (status == EDGE_ERROR_OLD_DEVICE && !chosen);
        if (loading && refused && edge_cuda_driver_version() < code->version) status = EDGE_ERROR_OLD_DRIVER;
        close_state(this);
        return status;
    }
    ctx->reserved[STATE] = (uint64_t)(uintptr_t)this;
    ctx->isa = EDGE_ISA_CUDA;
    ctx->ready = 1;
    return EDGE_OK;
}

/* ---- running ---- */

/* All kernels for `n` samples, one behind the other. */
static cu_result launch_kernels(const state *this, cu_stream stream, cu_pointer *arrays, cu_pointer scratch, int32_t n) {
    const edge_cuda_code *code = &edge_this_code;
    cu_pointer weights = this->weights;
    void *parameters[MOST_ARRAYS + 4];
    uint32_t count = array_count();
    for (uint32_t i = 0; i < count; i++) parameters[i] = &arrays[i];
    parameters[count] = &weights;
    parameters[count + 1] = &scratch;
    for (uint32_t i = 0; i < code->launch_count; i++) {
        const edge_cuda_launch *launch = &code->launches[i];
        int32_t number = launch->number, size = code->samples > 0 ? n : (int32_t)launch->blocks;
        unsigned x = code->samples > 0 ? ((unsigned)n + code->samples - 1) / code->samples : launch->blocks;
        unsigned y = code->samples > 0 ? 1u : (unsigned)n;
        parameters[count + 2] = &size;
        parameters[count + 3] = &number;
        cu_result result =
            this->driver->launch(this->functions[i], x, y, 1, code->threads, 1, 1, 0, stream, parameters, NULL);
        if (result != CU_SUCCESS) return result;
    }
    return CU_SUCCESS;
}

static int same_graph(const lane *lane, const cu_pointer *arrays, int64_t n) {
    return lane->graph != NULL && lane->graph_samples == n &&
           memcmp(lane->graph_arrays, arrays, array_count() * sizeof *arrays) == 0;
}

/* The same, as one graph where there are several kernels and the call is like the one before it. */
static cu_result run_kernels(const state *this, lane *lane, cu_stream stream, cu_pointer *arrays, int32_t n) {
    const cu_driver *cu = this->driver;
    cu_pointer scratch = arenas(this, lane);
    if (edge_this_code.launch_count < 2) return launch_kernels(this, stream, arrays, scratch, n);
    if (same_graph(lane, arrays, n)) return cu->graph_launch(lane->graph, stream);
    int again = lane->graph_samples == n && memcmp(lane->graph_arrays, arrays, array_count() * sizeof *arrays) == 0;
    if (lane->graph != NULL) cu->graph_exec_destroy(lane->graph);
    lane->graph = NULL;
    lane->graph_samples = n;
    memcpy(lane->graph_arrays, arrays, array_count() * sizeof *arrays);
    if (!again) return launch_kernels(this, stream, arrays, scratch, n);
    /* Captured in the lane's own stream, which nobody else uses: the caller's may be the default one, which cannot be. */
    cu_graph graph = NULL;
    cu_result result = cu->capture_begin(lane->stream, CU_CAPTURE_THREAD_LOCAL);
    if (result != CU_SUCCESS) return result;
    result = launch_kernels(this, lane->stream, arrays, scratch, n);
    cu_result ended = cu->capture_end(lane->stream, &graph);
    if (result == CU_SUCCESS) result = ended;
    if (result == CU_SUCCESS) result = cu->graph_instantiate(&lane->graph, graph, 0);
    if (graph != NULL) cu->graph_destroy(graph);
    return result == CU_SUCCESS ? cu->graph_launch(lane->graph, stream) : result;
}

typedef struct {
    char *pointer[MOST_ARRAYS];
    int on_device[MOST_ARRAYS];
    int all_on_device, any_on_device;
} arrays;

/* Where arrays lie: what the driver does not know, or knows as the host's, is host memory. */
static int find_arrays(const state *this, const void *const *in, void *const *out, arrays *found) {
    found->all_on_device = 1;
    found->any_on_device = 0;
    for (uint32_t i = 0; i < array_count(); i++) {
        uint32_t inputs = edge_this_model.input_count, type = 0;
        found->pointer[i] = i < inputs ? (char *)(uintptr_t)in[i] : out[i - inputs];
        if (found->pointer[i] == NULL) return EDGE_ERROR_ARGUMENT;
        cu_pointer address = (cu_pointer)(uintptr_t)found->pointer[i];
        int known = this->driver->pointer_attribute(&type, CU_POINTER_MEMORY_TYPE, address) == CU_SUCCESS;
        found->on_device[i] = known && type != 0 && type != CU_MEMORY_HOST;
        if (found->on_device[i] && address % array(i)->item_bytes != 0) return EDGE_ERROR_ALIGNMENT;
        found->all_on_device = found->all_on_device && found->on_device[i];
        found->any_on_device = found->any_on_device || found->on_device[i];
    }
    return EDGE_OK;
}

static cu_result run_on_device(state *this, const edge_ctx *ctx, const arrays *all, int64_t n) {
    const cu_driver *cu = this->driver;
    lane *lane = &this->lanes[0];
    cu_stream stream = ctx->stream;
    int64_t most = edge_this_code.samples > 0 ? edge_this_code.chunk : this->chunk;
    /* Another call's work may still be in another stream, with the same arenas. */
    cu_result result = edge_this_code.samples > 0 ? CU_SUCCESS : cu->stream_wait(stream, lane->done, 0);
    for (int64_t first = 0; first < n && result == CU_SUCCESS; first += most) {
        cu_pointer place[MOST_ARRAYS];
        int64_t count = n - first < most ? n - first : most;
        for (uint32_t i = 0; i < array_count(); i++)
            place[i] = (cu_pointer)(uintptr_t)(all->pointer[i] + first * sample_bytes(array(i)));
        result = run_kernels(this, lane, stream, place, (int32_t)count);
    }
    if (result == CU_SUCCESS && edge_this_code.samples == 0) result = cu->event_record(lane->done, stream);
    return result;
}

/* A piece of a call in host memory: copies in, kernels, copies out, in the lane's stream. */
static cu_result run_piece(state *this, lane *lane, const arrays *all, int64_t first, int64_t count) {
    const cu_driver *cu = this->driver;
    cu_pointer place[MOST_ARRAYS];
    cu_result result = CU_SUCCESS;
    for (uint32_t i = 0; i < array_count() && result == CU_SUCCESS; i++) {
        char *mine = all->pointer[i] + first * sample_bytes(array(i));
        place[i] = all->on_device[i] ? (cu_pointer)(uintptr_t)mine : array_memory(this, lane, i);
        if (!all->on_device[i] && i < edge_this_model.input_count)
            result = cu->copy_in(place[i], mine, (size_t)(count * sample_bytes(array(i))), lane->stream);
    }
    if (result == CU_SUCCESS) result = run_kernels(this, lane, lane->stream, place, (int32_t)count);
    for (uint32_t i = edge_this_model.input_count; i < array_count() && result == CU_SUCCESS; i++)
        if (!all->on_device[i]) {
            char *mine = all->pointer[i] + first * sample_bytes(array(i));
            result = cu->copy_out(mine, place[i], (size_t)(count * sample_bytes(array(i))), lane->stream);
        }
    return result;
}

static cu_result run_in_pieces(state *this, const edge_ctx *ctx, const arrays *all, int64_t n) {
    const cu_driver *cu = this->driver;
    cu_result result = all->any_on_device ? cu->stream_synchronize(ctx->stream) : CU_SUCCESS;
    /* The arenas may still be in use by a call whose arrays lie on the device. */
    if (result == CU_SUCCESS && edge_this_code.samples == 0)
        result = cu->stream_wait(this->lanes[0].stream, this->lanes[0].done, 0);
    /* At least two pieces where there are samples for them, so that copies and kernels overlap. */
    int64_t piece = this->chunk, half = (n + LANES - 1) / LANES;
    if (n >= 4096 && half < piece) piece = half;
    int number = 0;
    for (int64_t first = 0; first < n && result == CU_SUCCESS; first += piece, number++)
        result = run_piece(this, &this->lanes[number % LANES], all, first, n - first < piece ? n - first : piece);
    for (int i = 0; i < LANES; i++) {
        cu_result ended = cu->stream_synchronize(this->lanes[i].stream);
        if (result == CU_SUCCESS) result = ended;
    }
    return result;
}

/* A few samples through pinned memory, which the kernels read and write themselves. */
static cu_result run_pinned(state *this, const arrays *all, int64_t n) {
    const cu_driver *cu = this->driver;
    cu_pointer place[MOST_ARRAYS];
    char *next = this->pinned;
    lane *lane = &this->lanes[0];
    for (uint32_t i = 0; i < array_count(); i++) {
        place[i] = (cu_pointer)(uintptr_t)next;
        if (i < edge_this_model.input_count) memcpy(next, all->pointer[i], (size_t)(n * sample_bytes(array(i))));
        next += round_up(n * sample_bytes(array(i)));
    }
    cu_result result = edge_this_code.samples > 0 ? CU_SUCCESS : cu->stream_wait(lane->stream, lane->done, 0);
    if (result == CU_SUCCESS) result = run_kernels(this, lane, lane->stream, place, (int32_t)n);
    cu_result ended = cu->stream_synchronize(lane->stream);
    if (result == CU_SUCCESS) result = ended;
    for (uint32_t i = edge_this_model.input_count; i < array_count() && result == CU_SUCCESS; i++)
        memcpy(all->pointer[i], (const char *)(uintptr_t)place[i], (size_t)(n * sample_bytes(array(i))));
    return result;
}

static int fits_pinned(const arrays *all, int64_t n) {
    int64_t bytes = 0, room = 0;
    for (uint32_t i = 0; i < array_count(); i++) {
        if (n > DIRECT_BYTES) return 0;
        bytes += n * sample_bytes(array(i));
        room += round_up(n * sample_bytes(array(i)));
    }
    return !all->any_on_device && bytes <= DIRECT_BYTES && room <= PINNED_BYTES;
}

EXPORT int edge_run(const edge_ctx *ctx, const void *const *in, void *const *out, void *scratch, int64_t n) {
    (void)scratch;
    if (ctx == NULL || in == NULL || out == NULL || n < 0) return EDGE_ERROR_ARGUMENT;
    if (ctx->abi_version != EDGE_ABI_VERSION) return EDGE_ERROR_ABI;
    state *this = state_of(ctx);
    if (!ctx->ready || this == NULL) return EDGE_ERROR_CONTEXT;
    if (n == 0) return EDGE_OK;
    arrays all;
    cu_context current;
    cu_result result = this->driver->context_push(this->context);
    if (result != CU_SUCCESS) return status_of((edge_ctx *)ctx, result);
    pthread_mutex_lock(&this->turn);
    int status = find_arrays(this, in, out, &all);
    if (status == EDGE_OK) {
        if (all.all_on_device) {
            result = run_on_device(this, ctx, &all, n);
        } else if (fits_pinned(&all, n)) {
            result = run_pinned(this, &all, n);
        } else {
            result = run_in_pieces(this, ctx, &all, n);
        }
        status = status_of((edge_ctx *)ctx, result);
    }
    pthread_mutex_unlock(&this->turn);
    this->driver->context_pop(&current);
    return status;
}

EXPORT const char *edge_isa_name(uint32_t isa) { return isa == EDGE_ISA_CUDA ? "cuda" : NULL; }
