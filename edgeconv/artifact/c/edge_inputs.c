/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of edge.h that are the same for all processors: checks of the values of inputs, and messages.
 */
#include "edge_model.h"

#define EXPORT __attribute__((visibility("default")))

/* The user's arrays may lie at any address. */
#define UNALIGNED __attribute__((aligned(1), may_alias))
typedef int8_t any_i8 UNALIGNED;
typedef int16_t any_i16 UNALIGNED;
typedef int32_t any_i32 UNALIGNED;
typedef int64_t any_i64 UNALIGNED;
typedef uint16_t any_u16 UNALIGNED;
typedef uint32_t any_u32 UNALIGNED;

static int in_range(const edge_tensor *tensor, const void *data, int64_t count) {
    uint32_t bits = tensor->bits;
    uint64_t outside = 0;
    /* Shifted by half the range, a signed value lies in its type exactly when no higher bit is set. */
    uint64_t half = tensor->kind == 'i' ? (uint64_t)1 << (bits - 1) : 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t value;
        switch (tensor->item_bytes) {
        case 1: value = half ? ((const any_i8 *)data)[i] : ((const uint8_t *)data)[i]; break;
        case 2: value = half ? ((const any_i16 *)data)[i] : ((const any_u16 *)data)[i]; break;
        case 4: value = half ? (int64_t)((const any_i32 *)data)[i] : (int64_t)((const any_u32 *)data)[i]; break;
        default: value = ((const any_i64 *)data)[i]; break;
        }
        outside |= ((uint64_t)value + half) >> bits;
    }
    return outside == 0;
}

static int has_nan(const any_u32 *words, int64_t count) {
    uint32_t found = 0;
    for (int64_t i = 0; i < count; i++) found |= (words[i] & 0x7FFFFFFFu) > 0x7F800000u;
    return found != 0;
}

EXPORT int edge_check(const void *const *in, int64_t n, int allow_nan) {
    const edge_model *model = &edge_this_model;
    if (in == NULL || n < 0) return EDGE_ERROR_ARGUMENT;
    for (uint32_t i = 0; i < model->input_count; i++) {
        const edge_tensor *tensor = &model->inputs[i];
        if (in[i] == NULL) return EDGE_ERROR_ARGUMENT;
        if (tensor->kind == 'f') {
            if (!allow_nan && has_nan(in[i], n * tensor->elements)) return EDGE_ERROR_NAN;
        } else if (tensor->bits < 8 * tensor->item_bytes && !in_range(tensor, in[i], n * tensor->elements)) {
            return EDGE_ERROR_RANGE;
        }
    }
    return EDGE_OK;
}

EXPORT const char *edge_strerror(int status) {
    switch (status) {
    case EDGE_OK: return "success";
    case EDGE_ERROR_ABI: return "the context was made for another version of the C interface";
    case EDGE_ERROR_ISA: return "this CPU cannot run that instruction set, or the library does not carry it";
    case EDGE_ERROR_CONTEXT: return "the context was not initialized by edge_init";
    case EDGE_ERROR_ARGUMENT: return "a null pointer or a negative number of samples";
    case EDGE_ERROR_SCRATCH: return "the scratch memory is null or not aligned";
    case EDGE_ERROR_RANGE: return "an integer input holds a value outside its type";
    case EDGE_ERROR_NAN: return "a float input holds NaN";
    case EDGE_ERROR_NO_DRIVER: return "there is no CUDA driver: libcuda.so.1 cannot be loaded";
    case EDGE_ERROR_NO_DEVICE: return "the CUDA driver sees no such GPU";
    case EDGE_ERROR_OLD_DEVICE: return "there is no code for a GPU of this kind";
    case EDGE_ERROR_OLD_DRIVER: return "the CUDA driver is older than the compiler that made the code";
    case EDGE_ERROR_IMAGE: return "the CUDA driver refuses the code as damaged";
    case EDGE_ERROR_MEMORY: return "not enough memory for the GPU";
    case EDGE_ERROR_CUDA: return "the CUDA driver reports an error";
    case EDGE_ERROR_ALIGNMENT: return "an array on the GPU is not aligned to its elements";
    default: return "unknown status";
    }
}
