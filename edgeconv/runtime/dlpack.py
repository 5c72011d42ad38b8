"""Arrays of other libraries without copies, by the DLPack protocol: torch, CuPy, JAX and whatever else speaks it.

Only the fields of `DLManagedTensor` (dlpack.h, version 0 of its binary interface) are read. A capsule that nobody
consumes is released by its own destructor, so it is kept as long as its memory is used.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

from edgeconv.errors import InputError

__all__ = ["CPU", "CUDA", "CUDA_HOST", "CUDA_MANAGED", "DLTensor", "Tensor", "is_on_gpu", "tensor_of"]

CPU, CUDA, CUDA_HOST, CUDA_MANAGED = 1, 2, 3, 13  # DLDeviceType
_LETTERS = {0: "int", 1: "uint", 2: "float"}  # DLDataTypeCode


class DLTensor(ctypes.Structure):
    """DLTensor of dlpack.h, its device and its element type spelt out."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


@dataclass(frozen=True)
class Tensor:
    """A dense array somewhere.

    Attributes:
        address: of its first element.
        dtype: numpy's name of the element type.
        device: type and number, as DLPack counts.
        owner: what keeps the memory alive.
    """

    address: int
    dtype: str
    shape: tuple[int, ...]
    device: tuple[int, int]
    owner: object


def is_on_gpu(array: Any) -> bool:
    """Whether an object is an array in a GPU's memory."""
    locate = getattr(array, "__dlpack_device__", None)
    return locate is not None and int(locate()[0]) in (CUDA, CUDA_MANAGED)


def tensor_of(array: Any, name: str, stream: int | None = None) -> Tensor:
    """Look at an array without copying it.

    Args:
        name: what it is, for messages.
        stream: CUDA stream in which it is going to be used: its producer makes that stream wait for it.

    Raises:
        InputError: it does not speak DLPack, or is not dense and row-major.
    """
    if not hasattr(array, "__dlpack__"):
        raise InputError(f"{name} is of type {type(array).__name__}", expected="a numpy array or a DLPack tensor")
    capsule = array.__dlpack__(stream=stream) if is_on_gpu(array) else array.__dlpack__()
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    found = DLTensor.from_address(pointer(capsule, b"dltensor"))
    shape = tuple(found.shape[axis] for axis in range(found.ndim))
    if found.lanes != 1 or found.code not in _LETTERS:
        raise InputError(f"{name} holds elements that are no plain numbers")
    if found.strides and not _dense(shape, tuple(found.strides[axis] for axis in range(found.ndim))):
        raise InputError(f"{name} is not C-contiguous", advice="x.contiguous()")
    dtype = f"{_LETTERS[found.code]}{found.bits}"
    address = (found.data or 0) + found.byte_offset
    return Tensor(address, dtype, shape, (found.device_type, found.device_id), (capsule, array))


def _dense(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    expected = 1
    for extent, stride in zip(reversed(shape), reversed(strides), strict=True):
        if extent > 1 and stride != expected:
            return False
        expected *= extent
    return True
