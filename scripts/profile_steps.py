"""Time of every step of a network alone, beside the peak of the instruction set.

    python scripts/profile_steps.py pulse.edge --isa avx512vnni

Each step becomes a function of its own that runs on whatever its memory holds: the time of dense kernels does not
depend on values. The activations are those of one sample and stay in the cache, as in a run at batch 1.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from edgeconv.artifact import read
from edgeconv.artifact.layers import macs_of
from edgeconv.bench.peak import measured_peak
from edgeconv.codegen.blob import Blob
from edgeconv.codegen.compile_tir import compile_function
from edgeconv.codegen.emit import KernelReport, emit_function
from edgeconv.codegen.isa.table import ISAS
from edgeconv.codegen.kernels import load_all
from edgeconv.codegen.plan import Plan, Step, make_plan
from edgeconv.integer import POLICY_OF_ISA
from edgeconv.ir.operators import Operator

_READING_SECONDS = 4e-4
_MOST_REPEATS = 1 << 20


@dataclass(frozen=True)
class StepTime:
    """Best and median seconds of one run of a step, and its multiply-accumulates."""

    output: str
    operators: str
    kernel: str
    macs: int
    seconds: float
    best: float


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--isa", default="avx512vnni", choices=list(ISAS))
    parser.add_argument("--passes", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    artifact, isa = read(options.artifact), ISAS[options.isa]
    load_all()
    forms = artifact.certificate(POLICY_OF_ISA[isa.name].name).forms
    plan = make_plan(artifact.program(), forms, isa, fuse=artifact.manifest.fused, bands=False)
    peak = measured_peak(isa.name)
    with tempfile.TemporaryDirectory(prefix="edgeconv-") as folder:
        calls = [_compiled(plan, step, index, options.isa, Path(folder)) for index, step in enumerate(plan.steps)]
        readings: list[list[float]] = [[] for _ in calls]
        for _ in range(options.passes):
            for (call, _), found in zip(calls, readings, strict=True):
                found += _readings(call)
    times = [
        StepTime(
            step.output,
            " + ".join(report.operators),
            f"{report.kernel} {report.detail}",
            _macs(plan, step),
            float(np.median(found)),
            float(np.percentile(found, 5)),
        )
        for step, (_, report), found in zip(plan.steps, calls, readings, strict=True)
    ]
    if options.json:
        json.dump({"isa": isa.name, "peak": peak, "steps": [asdict(time) for time in times]}, sys.stdout, indent=1)
    else:
        _print(times, peak)
    return 0


def _macs(plan: Plan, step: Step) -> int:
    return macs_of(plan.program, step.operator) if isinstance(step.operator, Operator) else 0


def _compiled(
    plan: Plan, step: Step, index: int, isa_name: str, folder: Path
) -> tuple[Callable[[int], None], KernelReport]:
    isa, blob, symbol = ISAS[isa_name], Blob(), f"step_{index}"
    emitted = emit_function(plan, blob, isa, symbol, only=step)
    (folder / f"{symbol}.o").write_bytes(compile_function(emitted.function, symbol, isa))
    subprocess.run(["gcc", "-shared", "-o", folder / f"{symbol}.so", folder / f"{symbol}.o"], check=True)
    function = getattr(ctypes.CDLL(str(folder / f"{symbol}.so")), symbol)
    function.restype = None
    memories = [_aligned(np.frombuffer(blob.bytes(), np.uint8)), _aligned(np.zeros(emitted.scratch_bytes, np.uint8))]
    users = []
    for names in (plan.program.inputs, plan.program.outputs):
        types = [plan.program.types[name] for name in names]
        arrays = [np.zeros(type_.size + 64, type_.dtype.container) for type_ in types]
        users.append((arrays, (ctypes.c_void_p * len(arrays))(*[array.ctypes.data for array in arrays])))
    pointers = [ctypes.c_void_p(memory.ctypes.data) for memory in memories]

    def call(repeats: int) -> None:
        assert memories
        function(users[0][1], users[1][1], *pointers, ctypes.c_int64(repeats))

    return call, emitted.report[0]


def _aligned(data: np.ndarray) -> np.ndarray:
    room = np.zeros(len(data) + 192, np.uint8)
    start = -room.ctypes.data % 64
    room[start : start + len(data)] = data
    return room[start : start + len(data) + 64]


def _readings(call: Callable[[int], None]) -> list[float]:
    repeats = 1
    while repeats < _MOST_REPEATS:  # of a step whose repetitions LLVM finds equal, only one is left
        begin = perf_counter()
        call(repeats)
        if perf_counter() - begin >= _READING_SECONDS:
            break
        repeats *= 2
    found = []
    for _ in range(20):
        begin = perf_counter()
        call(repeats)
        found.append((perf_counter() - begin) / repeats)
    return found


def _print(times: list[StepTime], peak: float | None) -> None:
    total = sum(time.seconds for time in times)
    for time in times:
        share = f"{100 * time.macs / time.seconds / peak:5.1f} %" if peak and time.macs else ""
        lost = time.seconds - (time.macs / peak if peak else 0.0)
        print(
            f"{time.seconds * 1e6:9.3f} µs  {time.best * 1e6:9.3f} µs  {100 * time.seconds / total:5.1f} %  {share:>8}"
            f"  lost {lost * 1e6:8.3f} µs  {time.operators:18} {time.kernel}"
        )
    macs = sum(time.macs for time in times)
    share = f", {100 * macs / total / peak:.1f} % of {peak / 1e9:.0f} GMAC/s" if peak else ""
    print(f"{total * 1e6:9.3f} µs in all, {macs} MACs{share}")


if __name__ == "__main__":
    sys.exit(main())
