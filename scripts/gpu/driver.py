"""CUDA's driver through ctypes, as far as a check of kernels needs it."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

import numpy as np

from edgeconv.codegen.cuda import GeneratedCuda
from edgeconv.ir import Program

__all__ = ["Gpu"]

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
_FILL = 0xAB  # results must not depend on what memory held before


class Gpu:
    """The first GPU, in its primary context.

    Attributes:
        architecture: such as `sm_90`.
    """

    def __init__(self) -> None:
        self._driver = ctypes.CDLL("libcuda.so.1")
        self._call("cuInit", 0)
        device, self._context = ctypes.c_int(), ctypes.c_void_p()
        self._call("cuDeviceGet", ctypes.byref(device), 0)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), device)
        self._call("cuCtxSetCurrent", self._context)
        numbers = []
        for attribute in (_MAJOR, _MINOR):
            number = ctypes.c_int()
            self._call("cuDeviceGetAttribute", ctypes.byref(number), attribute, device)
            numbers.append(number.value)
        self.architecture = f"sm_{numbers[0]}{numbers[1]}"

    def _call(self, name: str, *arguments: object) -> None:
        status = getattr(self._driver, name)(*arguments)
        if status != 0:
            text = ctypes.c_char_p()
            self._driver.cuGetErrorName(status, ctypes.byref(text))
            raise RuntimeError(f"{name}: {(text.value or b'?').decode()} ({status})")

    def load(self, image: bytes) -> ctypes.c_void_p:
        """A module of kernels."""
        module = ctypes.c_void_p()
        self._call("cuModuleLoadData", ctypes.byref(module), image)
        return module

    def unload(self, module: ctypes.c_void_p) -> None:
        """Forget a module."""
        self._call("cuModuleUnload", module)

    def run(
        self, module: ctypes.c_void_p, code: GeneratedCuda, program: Program, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Launch a program's kernels on n samples.

        Returns:
            arrays (n, *shape) by output name.
        """
        count = len(next(iter(inputs.values()))) if inputs else 1
        arrays = [np.ascontiguousarray(inputs[name]) for name in program.inputs]
        outputs = {
            name: np.empty((count, *program.types[name].shape), program.types[name].dtype.container)
            for name in program.outputs
        }
        blob, scratch = np.frombuffer(code.blob, np.uint8), np.empty(code.scratch_bytes * count + 64, np.uint8)
        memory = [*arrays, *outputs.values(), blob, scratch]
        places = [self._allocate(array.nbytes) for array in memory]
        for place, array in zip(places, memory, strict=True):
            if any(array is given for given in (*arrays, blob)):
                self._call("cuMemcpyHtoD_v2", place, ctypes.c_void_p(array.ctypes.data), ctypes.c_size_t(array.nbytes))
        self._launch_all(module, code, places, count)
        self._call("cuCtxSynchronize")
        for place, array in zip(places[len(arrays) :], outputs.values(), strict=False):
            self._call("cuMemcpyDtoH_v2", ctypes.c_void_p(array.ctypes.data), place, ctypes.c_size_t(array.nbytes))
        for place in places:
            self._call("cuMemFree_v2", place)
        return outputs

    def _allocate(self, size: int) -> ctypes.c_uint64:
        place = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(place), ctypes.c_size_t(max(size, 1)))
        self._call("cuMemsetD8_v2", place, ctypes.c_ubyte(_FILL), ctypes.c_size_t(max(size, 1)))
        return place

    def _launch_all(
        self, module: ctypes.c_void_p, code: GeneratedCuda, places: list[ctypes.c_uint64], count: int
    ) -> None:
        for launch in code.launches:
            function = ctypes.c_void_p()
            self._call("cuModuleGetFunction", ctypes.byref(function), module, launch.symbol.encode())
            blocks, rows = (-(-count // code.samples), 1) if code.samples else (launch.blocks, count)
            size = ctypes.c_int32(count if code.samples else launch.blocks)
            arguments = [*places, size, ctypes.c_int32(launch.number)]
            table = (ctypes.c_void_p * len(arguments))(*(ctypes.addressof(argument) for argument in arguments))
            grid, block = (blocks, rows, 1), (code.threads, 1, 1)
            self._call("cuLaunchKernel", function, *grid, *block, 0, None, table, None)
