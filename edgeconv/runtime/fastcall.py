"""A built-in function over `edge_python_call` of an artifact's library: one sample in, one array out.

ctypes converts arguments in about 1 µs each call, and asks numpy for an address in another; a function of C's own
takes arrays through the buffer protocol in a tenth of that. It is made without a compiler or Python's headers:
PyCFunction_NewEx, of the stable ABI, takes its address.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.artifact.manifest import Manifest
from edgeconv.runtime.library import Library

__all__ = ["make_fast_call"]

_METH_FASTCALL = 0x80  # methodobject.h
_MOST_MACS = 4_000_000
"""Above about 20 µs of work the lock of the interpreter is worth more to other threads than the call's overhead is."""


class _MethodDefinition(ctypes.Structure):
    """PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def make_fast_call(
    library: Library, manifest: Manifest, scratch: NDArray[np.uint8]
) -> tuple[Callable[..., Any], tuple[object, ...]] | None:
    """The function, and the objects that must live as long as it; None where the general way is the only one.

    The function takes (x) or (x, out), holds the interpreter's lock, uses `scratch`, and returns the output, or None
    where x or out is anything but one whole sample of exactly the right type and shape.
    """
    gil_is_off = hasattr(sys, "_is_gil_enabled") and not sys._is_gil_enabled()
    if sys.implementation.name != "cpython" or gil_is_off:
        return None
    if len(manifest.inputs) != 1 or len(manifest.outputs) != 1 or manifest.macs > _MOST_MACS:
        return None
    if not library.handle.edge_python_ready():
        return None
    output = manifest.outputs[0]
    shape, dtype = output.shape, np.dtype(output.dtype)
    address = ctypes.cast(library.handle.edge_python_call, ctypes.c_void_p).value
    definition = _MethodDefinition(b"edge_python_call", address, _METH_FASTCALL, None)
    # call_state of edge_python.c
    state = struct.pack(
        "6P",
        ctypes.addressof(library.context),
        scratch.ctypes.data,
        *(id(value) for value in (None, np.empty, shape, dtype)),
    )
    create = ctypes.pythonapi.PyCFunction_NewEx
    create.restype = ctypes.py_object
    create.argtypes = (ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    function: Callable[..., Any] = create(ctypes.addressof(definition), state, None)
    return function, (definition, state, shape, dtype, scratch, library)
