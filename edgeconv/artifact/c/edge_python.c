/* SPDX-License-Identifier: Apache-2.0
 *
 * The short way from Python: one input, one output, the interpreter's lock held. ctypes makes a built-in function of
 * edge_python_call (edgeconv/runtime/fastcall.py); converting arguments in ctypes itself costs more than a small
 * network does. Declared here is what is needed of Python's stable ABI (PEP 384; Py_buffer since 3.11), so no Python
 * headers are needed to build. The symbols are weak: without an interpreter in the process they are null, and nobody
 * calls edge_python_call.
 */
#include "edge_model.h"

typedef struct PyObject PyObject;

typedef struct {
    void *buf;
    PyObject *obj;
    intptr_t len, itemsize;
    int readonly, ndim;
    char *format;
    intptr_t *shape, *strides, *suboffsets;
    void *internal;
} Py_buffer;

enum { PYBUF_WRITABLE = 0x1, PYBUF_FORMAT = 0x4, PYBUF_C_CONTIGUOUS = 0x38 };

#define PYTHON extern __attribute__((weak))
PYTHON int PyObject_GetBuffer(PyObject *object, Py_buffer *view, int flags);
PYTHON void PyBuffer_Release(Py_buffer *view);
PYTHON PyObject *PyObject_CallFunctionObjArgs(PyObject *callable, ...);
PYTHON void PyErr_Clear(void);
PYTHON char *PyBytes_AsString(PyObject *object);
PYTHON void Py_IncRef(PyObject *object);
PYTHON void Py_DecRef(PyObject *object);

/* What a runner packs into a bytes object, the `self` of the function; it keeps the objects alive. */
typedef struct {
    const edge_ctx *ctx;
    void *scratch;
    PyObject *none;         /* returned where the general way has to be taken */
    PyObject *empty;        /* numpy.empty */
    PyObject *output_shape; /* of one sample */
    PyObject *output_dtype;
} call_state;

static int format_is(const edge_tensor *tensor, const char *format) {
    /* numpy's native codes; 8-byte integers are 'l' where a C long has 64 bits, else 'q'. */
    static const char SIGNED[] = {0, 'b', 'h', 0, 'i', 0, 0, 0, 'l'};
    char expected = tensor->kind == 'f' ? 'f' : SIGNED[tensor->item_bytes];
    if (tensor->kind == 'u') expected = (char)(expected - 'a' + 'A');
    return format != NULL && format[0] == expected && format[1] == 0;
}

static int shape_is(const edge_tensor *tensor, const Py_buffer *view) {
    if ((uint32_t)view->ndim != tensor->rank || !format_is(tensor, view->format)) return 0;
    for (int axis = 0; axis < view->ndim; axis++)
        if (view->shape[axis] != tensor->shape[axis]) return 0;
    return 1;
}

static PyObject *run_one(const call_state *state, const Py_buffer *input, PyObject *output) {
    const edge_model *model = &edge_this_model;
    Py_buffer result;
    const void *in[1] = {input->buf};
    int done = 0;
    if (PyObject_GetBuffer(output, &result, PYBUF_C_CONTIGUOUS | PYBUF_FORMAT | PYBUF_WRITABLE) != 0) {
        PyErr_Clear();
        return state->none;
    }
    const char *from = input->buf, *to = result.buf;
    int overlap = from < to + result.len && to < from + input->len;
    if (!overlap && shape_is(&model->outputs[0], &result)) {
        void *out[1] = {result.buf};
        done = edge_check(in, 1, 1) == EDGE_OK && edge_run(state->ctx, in, out, state->scratch, 1) == EDGE_OK;
    }
    PyBuffer_Release(&result);
    return done ? output : state->none;
}

/* call(x) or call(x, out) on one sample of exactly the model's shape: the output, or None where the arguments are
 * anything else, which says nothing about why. Nothing is written in that case. */
__attribute__((visibility("default"))) PyObject *edge_python_call(PyObject *self, PyObject *const *arguments,
                                                                  intptr_t count) {
    const call_state *state = (const call_state *)(void *)PyBytes_AsString(self);
    PyObject *output = count == 2 ? arguments[1] : NULL, *result = state->none;
    Py_buffer input;
    if (count < 1 || count > 2 || PyObject_GetBuffer(arguments[0], &input, PYBUF_C_CONTIGUOUS | PYBUF_FORMAT) != 0) {
        PyErr_Clear();
        Py_IncRef(result);
        return result;
    }
    if (shape_is(&edge_this_model.inputs[0], &input)) {
        PyObject *created = NULL;
        if (output == NULL)
            output = created = PyObject_CallFunctionObjArgs(state->empty, state->output_shape, state->output_dtype, NULL);
        if (output == NULL)
            PyErr_Clear();
        else
            result = run_one(state, &input, output);
        Py_IncRef(result);
        if (created != NULL) Py_DecRef(created);
    } else {
        Py_IncRef(result);
    }
    PyBuffer_Release(&input);
    return result;
}

/* Whether the interpreter's symbols were found when the library was loaded. */
__attribute__((visibility("default"))) int edge_python_ready(void) {
    return PyObject_GetBuffer != NULL && PyBuffer_Release != NULL && PyObject_CallFunctionObjArgs != NULL &&
           PyErr_Clear != NULL && PyBytes_AsString != NULL && Py_IncRef != NULL && Py_DecRef != NULL;
}
