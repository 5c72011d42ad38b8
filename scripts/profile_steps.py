"""Time of every step of a network alone, beside the peak of the instruction set.

    python scripts/profile_steps.py pulse.edge --isa avx512vnni

Each step becomes a function of its own that runs on whatever its memory holds: the time of dense kernels does not
depend on values. The activations are those of one sample and stay in the cache, as in a run at batch 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from edgeconv.artifact import read
from edgeconv.artifact.layers import macs_of
from edgeconv.bench.peak import measured_peak
from edgeconv.codegen.emit import KernelReport
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.isa.table import ISAS
from edgeconv.codegen.kernels import load_all
from edgeconv.codegen.plan import Plan, Step, make_plan
from edgeconv.integer import POLICY_OF_ISA
from edgeconv.ir.operators import Operator
from edgeconv.tune.rivals import Rivals
from edgeconv.tune.units import Picks, Unit, emit

_READING_SECONDS = 4e-4
_READINGS = 20


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
        picks = artifact.manifest.tuning.picks(isa.name) if artifact.manifest.tuning else {}
        codes = [_compiled(plan, step, isa, picks, Path(folder) / str(index)) for index, step in enumerate(plan.steps)]
        readings: list[list[float]] = [[] for _ in codes]
        for _ in range(options.passes):
            for (code, _), found in zip(codes, readings, strict=True):
                found += _readings(code)
    times = [
        StepTime(
            step.output,
            " + ".join(report.operators),
            f"{report.kernel} {report.detail}",
            _macs(plan, step),
            float(np.median(found)),
            float(np.percentile(found, 5)),
        )
        for step, (_, report), found in zip(plan.steps, codes, readings, strict=True)
    ]
    if options.json:
        json.dump({"isa": isa.name, "peak": peak, "steps": [asdict(time) for time in times]}, sys.stdout, indent=1)
    else:
        _print(times, peak)
    return 0


def _macs(plan: Plan, step: Step) -> int:
    return macs_of(plan.program, step.operator) if isinstance(step.operator, Operator) else 0


def _compiled(plan: Plan, step: Step, isa: Isa, picks: Picks, folder: Path) -> tuple[Rivals, KernelReport]:
    folder.mkdir()
    emission = emit(plan, Unit(step), isa, "step", picks)
    return Rivals(plan, [emission], isa, folder), emission.report[0]


def _readings(code: Rivals) -> list[float]:
    calls = 1
    while code.seconds(0, calls) * calls < _READING_SECONDS:
        calls *= 2
    return [code.seconds(0, calls) for _ in range(_READINGS)]


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
