"""CUDA's driver through ctypes, as far as checks and measurements of kernels need it."""

from __future__ import annotations

import ctypes
import statistics
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from edgeconv.codegen.cuda import GeneratedCuda
from edgeconv.ir import Program
from scripts.gpu.device_array import DeviceArray

__all__ = ["Gpu", "torch_on_gpu"]

_PROCESSORS, _MAJOR, _MINOR = 16, 75, 76  # CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, _COMPUTE_CAPABILITY_*
_PORTABLE = 1  # CU_MEMHOSTALLOC_PORTABLE
_FILL = 0xAB  # results must not depend on what memory held before
_WARM = 8


class Gpu:
    """The first GPU, in its primary context; work goes to the default stream.

    Attributes:
        architecture: such as `sm_90`.
        name: the driver's name of the GPU.
        processors: its multiprocessors.
    """

    def __init__(self) -> None:
        self._driver = ctypes.CDLL("libcuda.so.1")
        self._call("cuInit", 0)
        device, self._context = ctypes.c_int(), ctypes.c_void_p()
        self._call("cuDeviceGet", ctypes.byref(device), 0)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), device)
        self._call("cuCtxSetCurrent", self._context)
        numbers = []
        for attribute in (_MAJOR, _MINOR, _PROCESSORS):
            number = ctypes.c_int()
            self._call("cuDeviceGetAttribute", ctypes.byref(number), attribute, device)
            numbers.append(number.value)
        self.architecture, self.processors = f"sm_{numbers[0]}{numbers[1]}", numbers[2]
        text = ctypes.create_string_buffer(256)
        self._call("cuDeviceGetName", text, len(text), device)
        self.name = text.value.decode()

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

    def kernel(self, module: ctypes.c_void_p, symbol: str) -> ctypes.c_void_p:
        """A kernel of a module."""
        function = ctypes.c_void_p()
        self._call("cuModuleGetFunction", ctypes.byref(function), module, symbol.encode())
        return function

    def launch(
        self,
        kernel: ctypes.c_void_p,
        grid: tuple[int, int],
        threads: int,
        pointers: Sequence[int],
        numbers: Sequence[int],
    ) -> None:
        """Launch a kernel whose parameters are pointers and then int32 numbers."""
        arguments = [*map(ctypes.c_uint64, pointers), *map(ctypes.c_int32, numbers)]
        table = (ctypes.c_void_p * len(arguments))(*(ctypes.addressof(argument) for argument in arguments))
        self._call("cuLaunchKernel", kernel, *grid, 1, threads, 1, 1, 0, None, table, None)

    def synchronize(self) -> None:
        """Wait for everything."""
        self._call("cuCtxSynchronize")

    def allocate(self, size: int) -> int:
        """The address of so many bytes, none of which is what it should be."""
        place = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(place), ctypes.c_size_t(max(size, 1)))
        self._call("cuMemsetD8_v2", place, ctypes.c_ubyte(_FILL), ctypes.c_size_t(max(size, 1)))
        return place.value

    def free(self, *places: int) -> None:
        """Give memory back."""
        for place in places:
            self._call("cuMemFree_v2", ctypes.c_uint64(place))

    def copy_in(self, place: int, array: np.ndarray) -> None:
        """Copy an array to the GPU."""
        source = ctypes.c_void_p(array.ctypes.data)
        self._call("cuMemcpyHtoD_v2", ctypes.c_uint64(place), source, ctypes.c_size_t(array.nbytes))

    def copy_out(self, array: np.ndarray, place: int) -> None:
        """Fill an array from the GPU."""
        target = ctypes.c_void_p(array.ctypes.data)
        self._call("cuMemcpyDtoH_v2", target, ctypes.c_uint64(place), ctypes.c_size_t(array.nbytes))

    def array(self, values: np.ndarray) -> DeviceArray:
        """The same values in the GPU's memory."""
        made = DeviceArray(self.allocate(values.nbytes), values)
        self.copy_in(made.address, np.ascontiguousarray(values))
        return made

    def values(self, array: DeviceArray) -> np.ndarray:
        """What an array on the GPU holds, once all work is done."""
        found = array.like()
        self.synchronize()
        self.copy_out(found, array.address)
        return found

    def pinned(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """An array in host memory that the GPU copies from directly; it lives as long as the process."""
        place, size = ctypes.c_void_p(), prod(shape) * np.dtype(dtype).itemsize
        self._call("cuMemHostAlloc", ctypes.byref(place), ctypes.c_size_t(max(size, 1)), _PORTABLE)
        memory = (ctypes.c_uint8 * size).from_address(place.value or 0)
        return np.frombuffer(memory, dtype).reshape(shape)

    def median_seconds(self, call: Callable[[], object], calls: int) -> float:
        """Median time between two CUDA events in the default stream, before and after a call."""
        start, stop = ctypes.c_void_p(), ctypes.c_void_p()
        for event in (start, stop):
            self._call("cuEventCreate", ctypes.byref(event), 0)
        for _ in range(_WARM):
            call()
        times = []
        for _ in range(calls):
            self._call("cuEventRecord", start, None)
            call()
            self._call("cuEventRecord", stop, None)
            self._call("cuEventSynchronize", stop)
            milliseconds = ctypes.c_float()
            self._call("cuEventElapsedTime", ctypes.byref(milliseconds), start, stop)
            times.append(milliseconds.value / 1e3)
        for event in (start, stop):
            self._call("cuEventDestroy_v2", event)
        return statistics.median(times)

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
        blob = np.frombuffer(code.blob, np.uint8)
        given, results = [self.allocate(a.nbytes) for a in arrays], [self.allocate(a.nbytes) for a in outputs.values()]
        weights, scratch = self.allocate(blob.nbytes), self.allocate(code.scratch_bytes * count + 64)
        for place, array in zip((*given, weights), (*arrays, blob), strict=True):
            self.copy_in(place, array)
        pointers = [*given, *results, weights, scratch]
        for launch in code.launches:
            grid = (-(-count // code.samples), 1) if code.samples else (launch.blocks, count)
            numbers = (count if code.samples else launch.blocks, launch.number)
            self.launch(self.kernel(module, launch.symbol), grid, code.threads, pointers, numbers)
        self.synchronize()
        for place, array in zip(results, outputs.values(), strict=True):
            self.copy_out(array, place)
        self.free(*pointers)
        return outputs


def torch_on_gpu() -> Any:
    """The module torch, where it is installed and sees a GPU; else None."""
    try:
        import torch
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None
