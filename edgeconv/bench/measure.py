"""Latency and throughput: warm, on one core, in shuffled passes, as medians with their spread.

The ways to run (Python, C, onnxruntime) take turns in an order that is drawn anew for every pass, so that a machine
that gets slower or busier meanwhile does not favour one of them.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from edgeconv.artifact import Artifact, read
from edgeconv.bench.peak import measured_peak
from edgeconv.errors import DeviceError, UsageError
from edgeconv.runtime.cpu_features import host_architecture
from edgeconv.runtime.emulated import is_native
from edgeconv.runtime.runner import Runner
from edgeconv.runtime.ways import open_runner

__all__ = ["BenchReport", "Subject", "Timing", "bench", "cpu_name", "pin", "summarize", "timed"]

_ROUND_SECONDS = 2e-4
"""One reading of the clock spans at least so long: a thousand times its resolution, a tenth of a scheduler's slice."""
_PASS_SECONDS, _WARM_SECONDS = 0.05, 0.1
_C_ROUNDS = 200


@dataclass(frozen=True)
class Timing:
    """Time of one call.

    Attributes:
        subject: "python", "python, out=", "c" or "onnxruntime".
        batch: samples in a call.
        median, low, high: seconds a call; low and high are the 5th and 95th percentile of the readings.
        readings: number of readings, each a mean over several calls.
    """

    subject: str
    batch: int
    median: float
    low: float
    high: float
    readings: int

    @property
    def samples_per_second(self) -> float:
        """Throughput on one core."""
        return self.batch / self.median


@dataclass(frozen=True)
class BenchReport:
    """All timings of one run.

    Attributes:
        isa: instruction set that was measured.
        macs: multiply-accumulates a sample.
        peak: most int8 multiply-accumulates a second of one core with this instruction set, measured; None where there
            is no such loop or no compiler.
        core: core that the process was pinned to, or None.
        threads: that share a call; onnxruntime has one all the same.
        load: load average of the last minute when the run began: above 1 on this core the figures are pessimistic.
    """

    artifact: str
    cpu: str
    isa: str
    macs: int
    core: int | None
    load: float
    timings: tuple[Timing, ...]
    peak: float | None = None
    notes: tuple[str, ...] = field(default=())
    threads: int = 1

    def share_of_peak(self, timing: Timing) -> float | None:
        """Multiply-accumulates a second as a share of the measured peak of as many cores as there are threads."""
        if not self.peak or not self.macs:
            return None
        return timing.samples_per_second * self.macs / (self.peak * self.threads)

    def speedup(self, timing: Timing) -> float | None:
        """How many times faster than onnxruntime at the same batch; None where that was not measured."""
        others = [t for t in self.timings if t.subject == "onnxruntime" and t.batch == timing.batch]
        return others[0].median / timing.median if others and timing.subject != "onnxruntime" else None

    def to_json(self) -> dict[str, Any]:
        """Plain values; times in seconds."""
        values = {
            name: getattr(self, name)
            for name in ("artifact", "cpu", "isa", "threads", "macs", "core", "load", "peak", "notes")
        }
        return values | {
            "timings": [
                {
                    "subject": timing.subject,
                    "batch": timing.batch,
                    "median_s": timing.median,
                    "p05_s": timing.low,
                    "p95_s": timing.high,
                    "readings": timing.readings,
                    "samples_per_s": timing.samples_per_second,
                    "share_of_peak": self.share_of_peak(timing),
                    "speedup_over_onnxruntime": self.speedup(timing),
                }
                for timing in self.timings
            ]
        }


@dataclass
class Subject:
    """One way to run a model. Every turn adds the seconds a call of `measure` to the readings."""

    name: str
    batch: int
    measure: Callable[[], list[float]]
    readings: list[float] = field(default_factory=list)


def bench(
    artifact: str | Path,
    *,
    model: str | Path | None = None,
    batches: Sequence[int] = (1, 256),
    passes: int = 5,
    isa: str | None = None,
    threads: int = 1,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> BenchReport:
    """Measure an artifact from Python and from C; one thread is pinned to one core, several go where they like.

    Args:
        model: the int8 ONNX model, to be run by onnxruntime in the same passes.
        batches: samples in a call.
        passes: how often every subject has its turn.
        isa: instruction set; the fastest that this machine runs when None.
        threads: that share a call.
        progress: called with 1 after each turn.

    Raises:
        UsageError: no batch, or batches or passes below 1.
        ArtifactError, DeviceError: as for loading.
        ToolError: onnxruntime cannot run the model.
    """
    if not batches or min(batches) < 1 or passes < 1:
        raise UsageError(f"batches {list(batches)}, passes {passes}", expected="whole numbers from 1 on")
    opened = read(artifact)
    _require_native(opened)
    load = os.getloadavg()[0]
    core = pin() if threads == 1 else None
    notes: list[str] = []
    runner = open_runner(opened, isa, threads)
    subjects = [subject for batch in batches for subject in _own_subjects(opened, runner, batch, seed)]
    if model is not None:
        from edgeconv.bench.onnx_subject import onnx_callable

        for batch in batches:
            call = onnx_callable(Path(model), _samples(runner, batch, seed), batch, notes)
            if call is not None:
                subjects.append(Subject("onnxruntime", batch, timed(call)))
    rng = np.random.default_rng(seed)
    for _ in range(passes):
        for index in rng.permutation(len(subjects)):
            subject = subjects[int(index)]
            subject.readings += subject.measure()
            progress(1)
    timings = tuple(summarize(subject) for subject in subjects)
    peak = measured_peak(runner.isa)
    macs = opened.manifest.macs
    return BenchReport(str(artifact), cpu_name(), runner.isa, macs, core, load, timings, peak, tuple(notes), threads)


def _require_native(artifact: Artifact) -> None:
    architecture = artifact.manifest.architecture
    if not is_native(artifact.manifest):
        raise DeviceError(
            f"{artifact.path} is for {architecture} and this machine is {host_architecture()}: under emulation time "
            "says nothing about the board",
            advice="count instructions (edgeconv.bench.count_instructions), or run edge-run --bench 200 on the board",
        )


def _own_subjects(artifact: Artifact, runner: Runner, batch: int, seed: int) -> list[Subject]:
    inputs = _samples(runner, batch, seed)
    single = next(iter(inputs.values())) if len(inputs) == 1 else inputs
    out = runner(single)
    subjects = [
        Subject("python", batch, timed(lambda: runner(single))),
        Subject("python, out=", batch, timed(lambda: runner(single, out))),
    ]
    if artifact.manifest.executable and os.access(artifact.executable, os.X_OK):
        subjects.append(Subject("c", batch, lambda: _time_in_c(artifact, runner, batch)))
    return subjects


def _samples(runner: Runner, batch: int, seed: int) -> dict[str, Any]:
    """Golden inputs, repeated up to the batch; a batch of 1 has the shape of one sample."""
    golden, _ = runner.artifact.golden()
    rng = np.random.default_rng(seed)
    arrays: dict[str, Any] = {}
    for tensor in runner.inputs:
        chosen = golden[tensor.name][rng.integers(0, len(golden[tensor.name]), batch)]
        merge = tensor.shape[:1] == (1,)
        shape = tensor.shape if batch == 1 else (batch, *(tensor.shape[1:] if merge else tensor.shape))
        arrays[tensor.name] = np.ascontiguousarray(chosen.reshape(shape))
    return arrays


def timed(call: Callable[[], Any]) -> Callable[[], list[float]]:
    """A turn: warm up, choose how many calls one reading spans, read the clock for `_PASS_SECONDS`."""

    def measure() -> list[float]:
        begin = perf_counter()
        count = 0
        while perf_counter() - begin < _WARM_SECONDS or count < 2:
            call()
            count += 1
        calls = max(1, int(_ROUND_SECONDS * count / (perf_counter() - begin)))
        readings: list[float] = []
        begin = perf_counter()
        while perf_counter() - begin < _PASS_SECONDS or len(readings) < 3:
            start = perf_counter()
            for _ in range(calls):
                call()
            readings.append((perf_counter() - start) / calls)
        return readings

    return measure


def _time_in_c(artifact: Artifact, runner: Runner, batch: int) -> list[float]:
    command = [str(artifact.executable.absolute()), "--bench", str(_C_ROUNDS), "--batch", str(batch)]
    command += ["--isa", runner.isa, "--threads", str(runner.threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DeviceError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    found = json.loads(done.stdout)
    return [found[name] * 1e-9 for name in ("p05_ns", "median_ns", "p95_ns")]


def summarize(subject: Subject) -> Timing:
    """Median and spread of all readings."""
    readings = np.array(subject.readings)
    low, median, high = (float(np.percentile(readings, percent)) for percent in (5, 50, 95))
    return Timing(subject.name, subject.batch, median, low, high, len(readings))


def pin() -> int | None:
    """Stay on the core that the process is on, with everything it starts; None where the system cannot."""
    try:
        core = max(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {core})
    except (AttributeError, OSError):
        return None
    return core


def cpu_name() -> str:
    """The processor's name, as the system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
