"""Runs generated code inside the test process, with guard pages around every array that is handed to it."""

from __future__ import annotations

import ctypes
import functools
import mmap
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgeconv.codegen import GeneratedCode
from edgeconv.ir import Program

_libc = ctypes.CDLL(None, use_errno=True)
_PROT_NONE = 0


class Guarded:
    """`size` bytes with an inaccessible page directly behind them (or directly before them)."""

    def __init__(self, size: int, *, before: bool = False) -> None:
        page = mmap.PAGESIZE
        span = max(1, -(-size // page)) * page
        self._map = mmap.mmap(-1, span + 2 * page)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        self._protect(base, page)
        self._protect(base + page + span, page)
        self.address = base + page if before else base + page + span - size
        self.bytes = np.frombuffer((ctypes.c_uint8 * max(size, 1)).from_address(self.address), np.uint8)[:size]

    @staticmethod
    def _protect(address: int, length: int) -> None:
        if _libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(length), _PROT_NONE):
            raise OSError(ctypes.get_errno(), "mprotect")


class Native:
    """Generated code as a callable."""

    def __init__(self, code: GeneratedCode, program: Program, folder: Path) -> None:
        object_file, library = folder / f"{code.symbol}.o", folder / f"{code.symbol}.so"
        object_file.write_bytes(code.object_bytes)
        subprocess.run(["gcc", "-shared", "-o", library, object_file], check=True)
        self.code, self.program = code, program
        self._function = getattr(ctypes.CDLL(str(library)), code.symbol)
        self._function.restype = None
        # A multiple of 64 bytes that ends at a guard page starts at a multiple of 64.
        self._blob = Guarded(-(-len(code.blob) // 64) * 64)
        self._blob.bytes[: len(code.blob)] = np.frombuffer(code.blob, np.uint8)
        self._scratch = Guarded(-(-max(code.scratch_bytes, 1) // 64) * 64)

    def __call__(
        self, inputs: Mapping[str, np.ndarray], *, before: bool = False, fill: int = 0xAB
    ) -> dict[str, np.ndarray]:
        """Run n samples.

        Args:
            before: guard the arrays' beginnings rather than their ends.
            fill: what the scratch holds at the start.
        """
        n = len(next(iter(inputs.values())))
        self._scratch.bytes[:] = fill
        arrays = []
        for name in self.program.inputs:
            data = np.ascontiguousarray(inputs[name])
            guarded = Guarded(data.nbytes, before=before)
            guarded.bytes[:] = np.frombuffer(data.tobytes(), np.uint8)
            arrays.append(guarded)
        results, shapes = [], []
        for name in self.program.outputs:
            type_ = self.program.types[name]
            shapes.append(((n, *type_.shape), type_.dtype.container))
            results.append(Guarded(n * type_.size * type_.dtype.container.itemsize, before=before))
        pack = functools.partial(lambda items: (ctypes.c_void_p * len(items))(*[item.address for item in items]))
        self._function(
            pack(arrays),
            pack(results),
            ctypes.c_void_p(self._blob.address),
            ctypes.c_void_p(self._scratch.address),
            ctypes.c_int64(n),
        )
        return {
            name: np.frombuffer(result.bytes.tobytes(), dtype).reshape(shape)
            for name, result, (shape, dtype) in zip(self.program.outputs, results, shapes, strict=True)
        }
