"""Arrays in a GPU's memory without torch: what speaks DLPack, over memory that the driver has given."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from edgeconv.runtime.dlpack import CUDA, DLTensor

__all__ = ["DeviceArray"]

_NAME = b"dltensor"  # of a capsule that nobody has consumed; it must outlive the capsule
_CODES = {"i": 0, "u": 1, "f": 2}  # DLDataTypeCode


class _Managed(ctypes.Structure):
    """DLManagedTensor of dlpack.h."""

    _fields_ = (("tensor", DLTensor), ("manager", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


class DeviceArray:
    """A dense array at an address of a GPU; the memory is somebody else's.

    Args:
        like: shape and dtype.
        device: number of the GPU.
    """

    def __init__(self, address: int, like: np.ndarray, device: int = 0) -> None:
        self.address, self.nbytes, self._like, self._device = address, like.nbytes, like, device
        self._shape = (ctypes.c_int64 * like.ndim)(*like.shape)

    def __dlpack_device__(self) -> tuple[int, int]:
        return CUDA, self._device

    def __dlpack__(self, stream: int | None = None) -> Any:
        dtype, rank = self._like.dtype, self._like.ndim
        number = (_CODES[dtype.kind], 8 * dtype.itemsize, 1)
        tensor = DLTensor(self.address, CUDA, self._device, rank, *number, self._shape, None, 0)
        self._managed = _Managed(tensor, None, None)
        create = ctypes.pythonapi.PyCapsule_New
        create.restype, create.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        return create(ctypes.addressof(self._managed), _NAME, None)

    def like(self) -> np.ndarray:
        """An empty array of the same shape and dtype in host memory."""
        return np.empty_like(self._like)
