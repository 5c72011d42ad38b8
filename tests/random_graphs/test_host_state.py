"""The caller's floating-point state cannot change a result, through the C interface that an artifact has."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgeconv import reference
from edgeconv.api import compile_program
from edgeconv.artifact import Artifact
from edgeconv.runtime.cpu_features import host_architecture, supported_isas
from edgeconv.runtime.library import Library
from tests.generate import Case, Choices, random_case
from tests.random_graphs.compare import difference
from tests.random_graphs.isolated import run_isolated
from tests.random_graphs.memory import Guarded
from tests.random_graphs.native import Outcome

pytestmark = [
    pytest.mark.needs_gcc,
    pytest.mark.skipif(host_architecture() != "x86_64", reason="MXCSR is a register of x86-64"),
]

_DEFAULT, _FLUSH = 0x1F80, 0x8040  # all exceptions masked; flush to zero and denormals are zero
_ROUNDINGS = {"nearest": 0, "down": 0x2000, "up": 0x4000, "towards zero": 0x6000}
_STATES = {
    f"round {name}{', flush' if flush else ''}": _DEFAULT | bits | flush
    for name, bits in _ROUNDINGS.items()
    for flush in (0, _FLUSH)
}
_SOURCE = """#include <stdint.h>
#include <xmmintrin.h>
unsigned call_with(unsigned mxcsr, int (*run)(void *, void *, void *, void *, int64_t), void *ctx, void *in, void *out,
                   void *scratch, int64_t n, int *status) {
    unsigned before = _mm_getcsr(), after;
    _mm_setcsr(mxcsr);
    *status = run(ctx, in, out, scratch, n);
    after = _mm_getcsr();
    _mm_setcsr(before);
    return after & ~0x3Fu;
}
"""


_TARGETS = {"avx512vnni": "x86-64", "avxvnni": "x86-64-avxvnni", "avx2": "x86-64-avx2", "generic": "generic"}
"""A target whose artifacts carry an instruction set; `x86-64` carries three."""


class StateTest:
    """Artifacts of a random program for all instruction sets of this machine, and calls of them under every state."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.case = random_case(Choices.seeded(seed), size=3, first=("conv", "matmul", "avg_pool", "add")[seed % 4])
        self.artifacts: dict[str, Artifact] = {}
        for isa in reversed(supported_isas()):
            if isa not in self.artifacts:
                compiled = compile_program(self.case.program, folder / f"{isa}.edge", _TARGETS[isa]).artifact
                self.artifacts |= {carried.name: compiled for carried in compiled.manifest.isas}
        source = folder / "call.c"
        source.write_text(_SOURCE)
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", source, "-o", folder / "call.so"], check=True)
        self.helper = ctypes.CDLL(str(folder / "call.so"))

    def problems(self) -> list[str]:
        """Everything that differs from the reference, for each instruction set and state."""
        runs = [
            (isa, name, mxcsr, _Frame(self.case, self.artifacts[isa].manifest.scratch_bytes))
            for isa in supported_isas()
            for name, mxcsr in _STATES.items()
        ]
        libraries = {isa: Library(a.library, a.manifest, isa) for isa, a in self.artifacts.items()}
        tasks = [
            lambda _, isa=isa, mxcsr=mxcsr, frame=frame: frame.call(self.helper, libraries[isa], mxcsr)
            for isa, _, mxcsr, frame in runs
        ]
        failures = run_isolated(lambda: None, tasks)
        wanted = reference.run(self.case.program, self.case.inputs)
        found = []
        for index, (isa, name, mxcsr, frame) in enumerate(runs):
            outcome = Outcome(failure=failures[index]) if index in failures else frame.outcome(self.case, mxcsr)
            found += [f"{isa}, {name}: {problem}" for problem in difference(outcome, wanted)]
        return found


class _Frame:
    """Shared memory for one call."""

    def __init__(self, case: Case, scratch_bytes: int) -> None:
        self.inputs = [Guarded(case.inputs[name].nbytes) for name in case.program.inputs]
        for memory, name in zip(self.inputs, case.program.inputs, strict=True):
            memory.bytes[:] = np.frombuffer(case.inputs[name].tobytes(), np.uint8)
        self.samples = len(next(iter(case.inputs.values())))
        types = [case.program.types[name] for name in case.program.outputs]
        self.outputs = [Guarded(self.samples * t.size * t.dtype.container.itemsize) for t in types]
        self.scratch, self.result = Guarded.aligned(scratch_bytes), Guarded(8)

    def call(self, helper: ctypes.CDLL, library: Library, mxcsr: int) -> None:
        """edge_run under a floating-point state; the state and the status that it left behind go to `result`."""

        def pointers(memories: list[Guarded]) -> ctypes.Array[ctypes.c_void_p]:
            return (ctypes.c_void_p * len(memories))(*(memory.address for memory in memories))

        status = ctypes.c_int()
        after = helper.call_with(
            ctypes.c_uint(mxcsr),
            ctypes.cast(library.run, ctypes.c_void_p),
            ctypes.byref(library.context),
            pointers(self.inputs),
            pointers(self.outputs),
            ctypes.c_void_p(self.scratch.address),
            ctypes.c_int64(self.samples),
            ctypes.byref(status),
        )
        self.result.bytes.view(np.int32)[:] = np.array([after & 0xFFFF, status.value], np.int32)

    def outcome(self, case: Case, mxcsr: int) -> Outcome:
        """The outputs, unless the state was not restored or the call reported an error."""
        after, status = self.result.bytes.view(np.int32).tolist()
        if status:
            return Outcome(failure=f"status {status}")
        if after != mxcsr & ~0x3F:
            return Outcome(failure=f"MXCSR was {mxcsr:#x} and is {after:#x} after the call")
        arrays = {}
        for name, memory in zip(case.program.outputs, self.outputs, strict=True):
            type_ = case.program.types[name]
            arrays[name] = np.frombuffer(memory.bytes.tobytes(), type_.dtype.container).reshape(-1, *type_.shape)
        return Outcome(arrays)


@pytest.mark.parametrize("seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 15))])
def test_results_are_the_same_under_every_floating_point_state(seed: int, tmp_path: Path) -> None:
    assert StateTest(seed, tmp_path).problems() == []
