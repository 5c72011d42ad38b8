/* SPDX-License-Identifier: Apache-2.0
 *
 * The functions of CUDA's driver interface that are used, loaded when they are first needed. Types and numbers are those
 * of the driver's documented binary interface (CUDA Driver API reference); no header of NVIDIA's is needed.
 */
#ifndef EDGE_CUDA_DRIVER_H
#define EDGE_CUDA_DRIVER_H

#include <stddef.h>
#include <stdint.h>

typedef int cu_result;
typedef int cu_device;
typedef struct cu_context_ *cu_context;
typedef struct cu_module_ *cu_module;
typedef struct cu_function_ *cu_function;
typedef struct cu_stream_ *cu_stream;
typedef struct cu_event_ *cu_event;
typedef struct cu_graph_ *cu_graph;
typedef struct cu_graph_exec_ *cu_graph_exec;
typedef uint64_t cu_pointer;

enum {
    CU_SUCCESS = 0,
    CU_INVALID_VALUE = 1,
    CU_OUT_OF_MEMORY = 2,
    CU_NO_DEVICE = 100,
    CU_INVALID_DEVICE = 101,
    CU_INVALID_IMAGE = 200,
    CU_NO_BINARY_FOR_GPU = 209,
    CU_INVALID_PTX = 218,
    CU_UNSUPPORTED_PTX_VERSION = 222,
    CU_NOT_FOUND = 500,
    CU_DRIVER_MISMATCH = 803
};

enum {
    CU_EVENT_DISABLE_TIMING = 2,
    CU_STREAM_NON_BLOCKING = 1,
    CU_CAPTURE_THREAD_LOCAL = 1,
    CU_POINTER_MEMORY_TYPE = 2,
    CU_MEMORY_HOST = 1,
    CU_HOST_ALLOC_PORTABLE = 1,
    CU_CAPABILITY_MAJOR = 75, /* CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR */
    CU_CAPABILITY_MINOR = 76
};

#define CU_FUNCTIONS(F)                                                                                              \
    F(init, "cuInit", (unsigned flags))                                                                              \
    F(driver_version, "cuDriverGetVersion", (int *version))                                                          \
    F(error_name, "cuGetErrorName", (cu_result result, const char **name))                                           \
    F(device_count, "cuDeviceGetCount", (int *count))                                                                \
    F(device_get, "cuDeviceGet", (cu_device *device, int ordinal))                                                   \
    F(device_attribute, "cuDeviceGetAttribute", (int *value, int attribute, cu_device device))                       \
    F(context_retain, "cuDevicePrimaryCtxRetain", (cu_context *context, cu_device device))                           \
    F(context_release, "cuDevicePrimaryCtxRelease_v2", (cu_device device))                                           \
    F(context_push, "cuCtxPushCurrent_v2", (cu_context context))                                                     \
    F(context_pop, "cuCtxPopCurrent_v2", (cu_context *context))                                                      \
    F(module_load, "cuModuleLoadData", (cu_module *module, const void *image))                                       \
    F(module_unload, "cuModuleUnload", (cu_module module))                                                           \
    F(module_function, "cuModuleGetFunction", (cu_function *function, cu_module module, const char *name))           \
    F(allocate, "cuMemAlloc_v2", (cu_pointer *pointer, size_t bytes))                                                \
    F(free, "cuMemFree_v2", (cu_pointer pointer))                                                                    \
    F(host_allocate, "cuMemHostAlloc", (void **pointer, size_t bytes, unsigned flags))                               \
    F(host_free, "cuMemFreeHost", (void *pointer))                                                                   \
    F(copy_in, "cuMemcpyHtoDAsync_v2", (cu_pointer to, const void *from, size_t bytes, cu_stream stream))            \
    F(copy_out, "cuMemcpyDtoHAsync_v2", (void *to, cu_pointer from, size_t bytes, cu_stream stream))                 \
    F(pointer_attribute, "cuPointerGetAttribute", (void *value, int attribute, cu_pointer pointer))                  \
    F(stream_create, "cuStreamCreate", (cu_stream *stream, unsigned flags))                                          \
    F(stream_destroy, "cuStreamDestroy_v2", (cu_stream stream))                                                      \
    F(stream_wait, "cuStreamWaitEvent", (cu_stream stream, cu_event event, unsigned flags))                          \
    F(stream_synchronize, "cuStreamSynchronize", (cu_stream stream))                                                 \
    F(event_create, "cuEventCreate", (cu_event *event, unsigned flags))                                              \
    F(event_record, "cuEventRecord", (cu_event event, cu_stream stream))                                             \
    F(event_destroy, "cuEventDestroy_v2", (cu_event event))                                                          \
    F(launch, "cuLaunchKernel",                                                                                      \
      (cu_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,  \
       unsigned block_z, unsigned shared_bytes, cu_stream stream, void **parameters, void **extra))                  \
    F(capture_begin, "cuStreamBeginCapture_v2", (cu_stream stream, int mode))                                        \
    F(capture_end, "cuStreamEndCapture", (cu_stream stream, cu_graph *graph))                                        \
    F(graph_instantiate, "cuGraphInstantiateWithFlags", (cu_graph_exec *executable, cu_graph graph, uint64_t flags)) \
    F(graph_launch, "cuGraphLaunch", (cu_graph_exec executable, cu_stream stream))                                   \
    F(graph_destroy, "cuGraphDestroy", (cu_graph graph))                                                             \
    F(graph_exec_destroy, "cuGraphExecDestroy", (cu_graph_exec executable))

typedef struct {
#define MEMBER(name, symbol, parameters) cu_result(*name) parameters;
    CU_FUNCTIONS(MEMBER)
#undef MEMBER
} cu_driver;

/* The driver's functions, or NULL where there is no driver or it lacks one. Any threads may call it at once. */
__attribute__((visibility("hidden"))) const cu_driver *edge_cuda_driver(void);

/* Load the code that fits a GPU, whose context is current; CU_NO_BINARY_FOR_GPU where there is none. */
__attribute__((visibility("hidden"))) cu_result edge_cuda_load(const cu_driver *cu, cu_device device, cu_module *module);

#endif
