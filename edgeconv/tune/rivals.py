"""Versions of one unit's code, loaded into this process and timed over the same memory."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.artifact.compilers import find_compiler
from edgeconv.codegen.compile_tir import compile_function
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.plan import SLACK, Plan
from edgeconv.errors import ToolError
from edgeconv.runtime.cpu_features import host_architecture
from edgeconv.tune.race import CONTROL
from edgeconv.tune.units import Emission

__all__ = ["Rivals"]

_DRIVER = Path(__file__).parent / "c" / "repeat.c"
_LINE = 64


class Rivals:
    """Functions of one unit that can be timed. They run on zeros: dense kernels take as long on any values.

    Args:
        emissions: under different symbols.
        folder: for objects and libraries, to be used once.

    Raises:
        ToolError: TVM or gcc is missing, or fails.
    """

    def __init__(self, plan: Plan, emissions: Sequence[Emission], isa: Isa, folder: Path) -> None:
        objects = []
        for emission in emissions:
            objects.append(folder / f"{emission.symbol}.o")
            objects[-1].write_bytes(compile_function(emission.function, emission.symbol, isa))
        library, copy = folder / "rivals.so", folder / "control.so"
        _link(objects, library)
        shutil.copyfile(library, copy)
        loaded, again = ctypes.CDLL(str(library)), ctypes.CDLL(str(copy))
        self._repeat = loaded.edge_repeat
        self._repeat.restype = ctypes.c_int64
        self._functions = {number: getattr(loaded, rival.symbol) for number, rival in enumerate(emissions)}
        self._functions[CONTROL] = getattr(again, emissions[0].symbol)
        blobs = [_aligned(np.frombuffer(rival.blob, np.uint8)) for rival in emissions]
        self._blobs = dict(enumerate(blobs)) | {CONTROL: _aligned(blobs[0])}
        self._scratch = _aligned(np.zeros(max(rival.scratch_bytes for rival in emissions) + SLACK, np.uint8))
        self._arrays: list[NDArray[np.uint8]] = []
        self._inputs = self._pointers(plan, list(plan.program.inputs))
        self._outputs = self._pointers(plan, list(plan.program.outputs))

    def _pointers(self, plan: Plan, names: Sequence[str]) -> ctypes.Array[ctypes.c_void_p]:
        arrays = []
        for name in names:
            type_ = plan.program.types[name]
            arrays.append(_aligned(np.zeros(type_.size * type_.dtype.container.itemsize + SLACK, np.uint8)))
        self._arrays += arrays
        return (ctypes.c_void_p * len(arrays))(*[array.ctypes.data for array in arrays])

    def seconds(self, number: int, calls: int) -> float:
        """Seconds a call of a version, of one reading over so many calls (`edgeconv.tune.race`)."""
        nanoseconds = self._repeat(
            self._functions[number],
            self._inputs,
            self._outputs,
            ctypes.c_void_p(self._blobs[number].ctypes.data),
            ctypes.c_void_p(self._scratch.ctypes.data),
            ctypes.c_int64(calls),
        )
        return nanoseconds * 1e-9 / calls


def _link(objects: Sequence[Path], library: Path) -> None:
    gcc = find_compiler(host_architecture()).gcc
    command = [gcc, "-shared", "-fPIC", "-O2", "-o", str(library), str(_DRIVER), *map(str, objects)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolError(f"{gcc} could not link code to be timed: {done.stderr.strip()}", advice="edgeconv doctor")


def _aligned(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy that begins at a cache line."""
    room = np.zeros(len(data) + _LINE, np.uint8)
    start = -room.ctypes.data % _LINE
    room[start : start + len(data)] = data
    return room[start : start + len(data)]
