"""Generated code, linked without the artifact around it and run on guarded memory."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen import GeneratedCode
from edgeconv.ir import Program
from tests.random_graphs.isolated import run_isolated
from tests.random_graphs.memory import Guarded

Arrays = Mapping[str, NDArray[np.generic]]
_SCRATCH_FILL = 0xAB  # results must not depend on what the scratch held before
_STEM = "edge_main_"


@dataclass(frozen=True)
class Call:
    """Generated code to be run on inputs.

    Attributes:
        at_start, odd: where the user's arrays lie against their guard pages, see `Guarded`.
        threads: that share it, where the code can be shared.
    """

    program: Program
    code: GeneratedCode
    inputs: Arrays
    at_start: bool = False
    odd: int = 0
    threads: int = 1

    @property
    def samples(self) -> int:
        """How many samples the inputs hold."""
        return len(next(iter(self.inputs.values()))) if self.inputs else 1

    def output_bytes(self, name: str) -> int:
        """Bytes of an output."""
        type_ = self.program.types[name]
        return self.samples * type_.size * type_.dtype.container.itemsize

    def output_array(self, name: str, content: bytes) -> NDArray[np.generic]:
        """An output from its bytes."""
        type_ = self.program.types[name]
        return np.frombuffer(content, type_.dtype.container).reshape((self.samples, *type_.shape))


@dataclass(frozen=True)
class Outcome:
    """What a call gave: its outputs, or how it failed."""

    outputs: Arrays = field(default_factory=dict)
    failure: str = ""


class _Frame:
    """The guarded memory of one call and the arguments that point into it."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.inputs = [self._input(call.inputs[name]) for name in call.program.inputs]
        self.outputs = [self._output(name) for name in call.program.outputs]
        self.blob, self.scratch = Guarded.aligned(len(call.code.blob)), Guarded.aligned(call.code.scratch_bytes)
        self.blob.bytes[:] = np.frombuffer(call.code.blob, np.uint8)
        self.scratch.bytes[:] = _SCRATCH_FILL

    def _input(self, array: NDArray[np.generic]) -> Guarded:
        memory = Guarded(array.nbytes, at_start=self.call.at_start, odd=self.call.odd)
        memory.bytes[:] = np.frombuffer(array.tobytes(), np.uint8)
        return memory

    def _output(self, name: str) -> Guarded:
        return Guarded(self.call.output_bytes(name), at_start=self.call.at_start, odd=self.call.odd)

    def invoke(self, function: Callable[..., None]) -> None:
        """Call the generated function."""

        def pointers(memories: Sequence[Guarded]) -> ctypes.Array[ctypes.c_void_p]:
            return (ctypes.c_void_p * (len(memories) + 1))(*(memory.address for memory in memories))

        arguments = (
            pointers(self.inputs),
            pointers(self.outputs),
            ctypes.c_void_p(self.blob.address),
            ctypes.c_void_p(self.scratch.address),
        )
        if not self.call.code.phases:
            function(*arguments, ctypes.c_int64(self.call.samples))
            return
        for part in parts_in_any_order(self.call.samples, self.call.code.phases, self.call.threads):
            function(*arguments, (ctypes.c_int64 * 6)(*part))

    def outcome(self) -> Outcome:
        """The outputs, unless something was overwritten."""
        names = [f"input {name}" for name in self.call.program.inputs]
        names += [f"output {name}" for name in self.call.program.outputs] + ["weights", "scratch"]
        memories = [*self.inputs, *self.outputs, self.blob, self.scratch]
        broken = [name for name, memory in zip(names, memories, strict=True) if not memory.intact]
        broken += [
            f"input {name} itself"
            for name, memory in zip(self.call.program.inputs, self.inputs, strict=True)
            if memory.bytes.tobytes() != self.call.inputs[name].tobytes()
        ]
        if self.blob.bytes.tobytes() != self.call.code.blob:
            broken.append("weights themselves")
        if broken:
            return Outcome(failure=f"written outside of its memory: {', '.join(broken)}")
        arrays = {}
        for name, memory in zip(self.call.program.outputs, self.outputs, strict=True):
            arrays[name] = self.call.output_array(name, memory.bytes.tobytes())
        return Outcome(arrays)


def parts_in_any_order(samples: int, phases: int, threads: int) -> Iterator[tuple[int, ...]]:
    """The fields of edge_part for every call of shared code, one after the other.

    Threads may come in any order within a phase, so here they come in every other one than theirs: backwards, then from
    the middle on, and so forth. Code of which one part needs another's results, or overwrites them, cannot hide.
    """
    bounds = [(1 << 32) * thread // threads for thread in range(threads + 1)]
    for sample in range(samples):
        for phase in range(phases):
            start = (sample + phase) % threads
            for turn in range(threads):
                thread = (start - 1 - turn) % threads
                yield sample, sample + 1, phase, phase + 1, bounds[thread], bounds[thread + 1]


def run_calls(calls: Sequence[Call]) -> list[Outcome]:
    """Run every call, all linked into one library; one outcome per call, in order."""
    frames = [_Frame(call) for call in calls]
    with tempfile.TemporaryDirectory() as folder:
        library, symbols = _link(calls, Path(folder))
        tasks = [_task(frame, symbol) for frame, symbol in zip(frames, symbols, strict=True)]
        failures = run_isolated(lambda: ctypes.CDLL(str(library)), tasks)
    return [Outcome(failure=failures[k]) if k in failures else frame.outcome() for k, frame in enumerate(frames)]


def _task(frame: _Frame, symbol: str) -> Callable[[ctypes.CDLL], None]:
    def task(library: ctypes.CDLL) -> None:
        function = getattr(library, symbol)
        function.restype = None
        frame.invoke(function)

    return task


def _link(calls: Sequence[Call], folder: Path) -> tuple[Path, list[str]]:
    """One shared library of all objects; each call's symbol in it."""
    sources, symbols = unique_objects(calls, folder)
    library = folder / "all.so"
    subprocess.run(["gcc", "-shared", "-o", library, *sources], check=True)
    return library, symbols


def unique_objects(calls: Sequence[Call], folder: Path) -> tuple[list[str], list[str]]:
    """Object files that define a symbol of their own each, and each call's symbol."""
    sources, symbols, known = [], [], {}
    for index, call in enumerate(calls):
        if id(call.code) not in known:
            # Every object defines the same name. One of equal length, written over it, saves a process per object.
            unique = f"edge_{index:04x}_"
            path = folder / f"{index}.o"
            path.write_bytes(call.code.object_bytes.replace(_STEM.encode(), unique.encode()))
            sources.append(str(path))
            known[id(call.code)] = call.code.symbol.replace(_STEM, unique)
        symbols.append(known[id(call.code)])
    return sources, symbols
