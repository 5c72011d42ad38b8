"""The C driver, compiled for this machine, with its registers on the simulated wrapper."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.hw.axi.simulator import OKAY, SimulatedAxi
from edgeconv.hw.export import FOLDER

STATUSES = ("ok", "no image", "other array", "busy", "late", "range")
"""Names of enum edge_axi_status, in its order."""
_READ = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32)
_WRITE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)


class _Array(ctypes.Structure):
    _fields_ = (("read", _READ), ("write", _WRITE), ("context", ctypes.c_void_p))


def compile_driver(folder: Path) -> ctypes.CDLL:
    """The driver as a shared library; warnings are errors."""
    library = folder / "libdriver.so"
    warnings = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
    sources = [f"-I{FOLDER / 'include'}", str(FOLDER / "axi" / "driver" / "edge_axi.c")]
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", *warnings, *sources, "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


class Driver:
    """The driver's calls; each gives the name of its status. `failures`: registers whose writes were refused."""

    def __init__(self, library: ctypes.CDLL, simulated: SimulatedAxi) -> None:
        self._library = library
        self.failures: list[int] = []

        def read(context: object, offset: int) -> int:
            return simulated.read(offset)

        def write(context: object, offset: int, value: int) -> None:
            if simulated.write(offset, value) != OKAY:
                self.failures.append(offset)

        self._calls = _Array(_READ(read), _WRITE(write), None)  # held, since C calls them
        self._array = ctypes.byref(self._calls)

    def load(self, image: bytes) -> str:
        """Write a network into the memories."""
        return STATUSES[self._library.edge_axi_load(self._array, image, ctypes.c_size_t(len(image)))]

    def input(self, place: int, data: bytes) -> str:
        """Write bytes of a sample."""
        status = self._library.edge_axi_input(self._array, ctypes.c_uint32(place), data, ctypes.c_size_t(len(data)))
        return STATUSES[status]

    def run(self, polls: int = 10_000) -> tuple[str, int]:
        """Run once; status and cycles."""
        cycles = ctypes.c_uint32()
        status = self._library.edge_axi_run(self._array, ctypes.c_uint32(polls), ctypes.byref(cycles))
        return STATUSES[status], cycles.value

    def results(self, first: int, count: int) -> tuple[str, NDArray[np.int32]]:
        """Status and results."""
        found = np.zeros(count, np.int32)
        where = ctypes.c_void_p(found.ctypes.data)
        return STATUSES[self._library.edge_axi_results(self._array, first, where, ctypes.c_size_t(count))], found

    def stream(self, *window: int) -> str:
        """Turn the stream on; fields of struct edge_axi_window in their order."""
        fields = (ctypes.c_uint32 * 7)(*window)
        return STATUSES[self._library.edge_axi_stream(self._array, fields)]

    def stop(self) -> None:
        """Turn the stream off."""
        self._library.edge_axi_stop(self._array)
