"""The public functions behind `edgeconv.compile`, `load`, `quantize`, `verify`: thin, each stage does its own work."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from edgeconv.artifact.backend import CodeOptions
from edgeconv.errors import ArtifactError, UsageError
from edgeconv.runtime.cpu_features import host_architecture

if TYPE_CHECKING:
    from edgeconv.artifact import Artifact
    from edgeconv.codegen.emit import KernelReport
    from edgeconv.integer import Certificate
    from edgeconv.ir import Program
    from edgeconv.quantize.ptq import QuantizeReport
    from edgeconv.runtime.runner import Runner
    from edgeconv.targets import Target
    from edgeconv.verify import VerifyReport

__all__ = ["CompileReport", "compile_model", "compile_program", "load", "quantize", "verify"]

GOLDEN_SAMPLES = 16
"""Enough for every kind of random input (ties, saturation, …) and small against the weights."""
GOLDEN_MACS = 100_000_000
"""The reference interpreter takes about a second for so many: larger models get fewer samples, at least one."""
STAGES = ("read", "lower", "prove", "generate", "golden", "write", "check")
TUNED_STAGES = ("read", "lower", "prove", "tune", "generate", "golden", "write", "check")

StreamChanges = Mapping[str, str | int | bool | None]
"""Fields of `edgeconv.artifact.StreamSettings` by name."""
Progress = Callable[[str, int, int], None]
"""Called with the name of the stage that begins, its index, and the number of stages."""
TuneProgress = Callable[[int, int], None]
"""Called with the number of steps whose blockings are settled, and that of all steps."""


@dataclass(frozen=True)
class CompileReport:
    """What a compilation gave.

    Attributes:
        artifact: the folder that was written.
        kernels: per instruction set, what was generated for each step of the program.
        seconds: per stage.
        tested_isas: instruction sets whose results were compared with the reference on this machine, emulated or not.
    """

    artifact: Artifact
    kernels: Mapping[str, tuple[KernelReport, ...]]
    seconds: Mapping[str, float]
    tested_isas: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The artifact's folder."""
        return self.artifact.path

    def to_json(self) -> dict[str, Any]:
        """The report as plain values; the files' hashes are left out, the manifest has them."""
        manifest = self.artifact.manifest
        return {
            "artifact": str(self.path),
            "name": manifest.name,
            "target": manifest.target,
            "macs": manifest.macs,
            "weight_bytes": manifest.weight_bytes,
            "scratch_bytes": manifest.scratch_bytes,
            "bytes": self.artifact.size,
            "executable_libc": manifest.executable_libc,
            "isas": manifest.isas,
            "inputs": manifest.inputs,
            "outputs": manifest.outputs,
            "layers": manifest.layers,
            "kernels": dict(self.kernels),
            "tested_isas": self.tested_isas,
            "tuning": manifest.tuning,
            "seconds": dict(self.seconds),
        }


class _Clock:
    """Tells progress and keeps the time of each stage."""

    def __init__(self, stages: Sequence[str], progress: Progress | None, tune_progress: TuneProgress | None) -> None:
        self.seconds: dict[str, float] = {}
        self.tune_progress = tune_progress or (lambda done, total: None)
        self._stages, self._progress = stages, progress
        self._running: tuple[str, float] | None = None

    @property
    def tunes(self) -> bool:
        """Whether blockings are to be measured."""
        return "tune" in self._stages

    def enter(self, stage: str) -> None:
        self.finish()
        if self._progress:
            self._progress(stage, self._stages.index(stage), len(self._stages))
        self._running = (stage, perf_counter())

    def finish(self) -> None:
        if self._running:
            stage, start = self._running
            self.seconds[stage] = perf_counter() - start


def compile_model(
    model: str | Path,
    target: str | Path = "cpu",
    output: str | Path | None = None,
    *,
    shapes: Mapping[str, int] | None = None,
    units: Mapping[str, str] | None = None,
    stream: StreamChanges | None = None,
    fuse: bool = True,
    one_thread: bool = False,
    tune: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
    tune_progress: TuneProgress | None = None,
) -> CompileReport:
    """Compile a quantized ONNX model into an artifact.

    Args:
        model: the ONNX file (QCDQ, QONNX or QOperator).
        target: name of a target or path of a target file; `cpu` is this machine.
        output: folder to write; the model's name with `.edge` in the current folder when None.
        shapes: extents of symbolic dimensions by name, other than the batch.
        units: of the real values of inputs and outputs by name, for the header and the manifest.
        stream: defaults of `run --stream` by field of `StreamSettings`, where the model does not imply them.
        fuse: fuse requantizations into the operators before them; the results are the same bits either way.
        one_thread: no call is to be shared by threads: then images are computed by bands of rows where that makes the
            arena smaller; the results are the same bits either way.
        tune: measure on this machine which blockings of the kernels are fastest, instead of taking those of the cycle
            models; the results are the same bits either way. What was measured before is taken from the cache.
        seed: of the golden samples.
        progress: called as each stage begins.
        tune_progress: called while blockings are measured.

    Returns:
        a report with the artifact, which has been run on its golden samples with every instruction set that this
        machine has.

    Raises:
        UsageError: the output exists and is not an artifact, or cannot be written.
        ModelError: the model is missing, malformed or not supported; says why and what to do.
        TargetError, DeviceError: an unknown target, one that edgeconv cannot compile for yet, or one that is to be
            tuned and that this machine does not run.
        ToolError: TVM or the C compiler is missing or fails.
    """
    from edgeconv.artifact.store import require_replaceable

    path = Path(model)
    _require_possible(target, tune)
    folder = Path(output) if output is not None else Path(path.stem + ".edge")
    require_replaceable(folder)
    clock = _Clock(TUNED_STAGES if tune else STAGES, progress, tune_progress)

    clock.enter("read")
    from edgeconv.importer import read_onnx

    graph = read_onnx(path, shapes)
    clock.enter("lower")
    from edgeconv.integer import lower

    program = lower(graph)
    source = {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    options = CodeOptions(fuse, one_thread)
    return _compile(program, folder, target, folder.stem, source, units or {}, stream or {}, options, seed, clock)


def compile_program(
    program: Program,
    output: str | Path,
    target: str | Path = "cpu",
    *,
    units: Mapping[str, str] | None = None,
    stream: StreamChanges | None = None,
    fuse: bool = True,
    one_thread: bool = False,
    tune: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
    tune_progress: TuneProgress | None = None,
) -> CompileReport:
    """Compile an integer program into an artifact; arguments, result and errors are those of `compile_model`."""
    from edgeconv.artifact.store import require_replaceable

    _require_possible(target, tune)
    folder = Path(output)
    require_replaceable(folder)
    clock = _Clock(TUNED_STAGES if tune else STAGES, progress, tune_progress)
    options = CodeOptions(fuse, one_thread)
    return _compile(program, folder, target, folder.stem, {}, units or {}, stream or {}, options, seed, clock)


def _compile(
    program: Program,
    folder: Path,
    target: str | Path,
    name: str,
    source: Mapping[str, str],
    units: Mapping[str, str],
    stream: StreamChanges,
    options: CodeOptions,
    seed: int,
    clock: _Clock,
) -> CompileReport:
    from edgeconv.artifact.backend import backend_of
    from edgeconv.artifact.build import toolchain
    from edgeconv.artifact.write import Contents
    from edgeconv.targets import load_target

    chosen = load_target(target)
    _check_units(program, units)
    _check_stream(program, stream)
    backend = backend_of(chosen.family)
    backend.require(program)
    clock.enter("prove")
    certificates = prove_all(program, chosen.isa_names)
    if clock.tunes:
        clock.enter("tune")
        options = _tuned(program, certificates, chosen, options, seed, clock.tune_progress)
    clock.enter("generate")
    code = backend.generate(program, certificates, chosen, options)
    clock.enter("golden")
    inputs, outputs = golden_samples(program, seed)
    clock.enter("write")
    contents = Contents(
        name=name,
        target=chosen.name,
        triple=chosen.triple or "",
        program=program,
        certificates=certificates,
        kernels=(),
        golden_inputs=inputs,
        golden_outputs=outputs,
        source=source,
        units=units,
        stream=stream,
        fused=options.fuse,
        one_thread=options.one_thread,
        tuning=options.tuning,
        toolchain=toolchain(chosen.architecture or host_architecture()),
        family=chosen.family,
        settings=chosen.settings,
    )
    tested: list[str] = []

    def check(staged: Artifact) -> None:
        clock.enter("check")
        tested.extend(_check_golden(staged, folder, inputs, outputs))

    artifact = backend.write(contents, code, folder, check)
    clock.finish()
    return CompileReport(artifact, backend.reports(code), clock.seconds, tuple(tested))


def _require_possible(target: str | Path, tune: bool) -> None:
    from edgeconv.targets import load_target

    chosen = load_target(target)
    chosen.require_available()
    if tune:
        from edgeconv.tune.machine import tunable_isa

        tunable_isa(chosen)


def _tuned(
    program: Program,
    certificates: Mapping[str, Certificate],
    target: Target,
    options: CodeOptions,
    seed: int,
    progress: TuneProgress,
) -> CodeOptions:
    """The options with measured blockings."""
    from edgeconv.tune.tuner import tune

    settings = {"fuse": options.fuse, "one_thread": options.one_thread}
    return replace(options, tuning=tune(program, certificates, target, seed=seed, progress=progress, **settings))


def _check_units(program: Program, units: Mapping[str, str]) -> None:
    known = [*program.inputs, *program.outputs]
    for name in units:
        if name not in known:
            raise UsageError(f"a unit for '{name}', which is no input or output", expected=", ".join(known))


def _check_stream(program: Program, stream: StreamChanges) -> None:
    from edgeconv.artifact.layers import describe_inputs
    from edgeconv.artifact.stream import default_settings, settings_for

    if stream:
        inputs = describe_inputs(program, {})
        settings_for(inputs, default_settings(inputs), stream)


def prove_all(program: Program, isas: Sequence[str]) -> dict[str, Certificate]:
    """A certificate for each policy that the instruction sets follow, by its name.

    Raises:
        ProgramError: a requantization cannot be proved.
    """
    from edgeconv.integer import POLICIES, POLICY_OF_ISA, prove

    names = dict.fromkeys(POLICY_OF_ISA[isa].name for isa in isas)
    return {name: prove(program, POLICIES[name]) for name in names}


def golden_samples(program: Program, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Random inputs, biased to ties and saturation, and what the reference makes of them."""
    from edgeconv.artifact.layers import macs_of
    from edgeconv.reference import run
    from edgeconv.verify.inputs import random_inputs

    macs = sum(macs_of(program, operator) for operator in program.operators)
    inputs = random_inputs(program, max(1, min(GOLDEN_SAMPLES, GOLDEN_MACS // max(1, macs))), seed)
    return inputs, run(program, inputs)


def _check_golden(
    artifact: Artifact, folder: Path, inputs: Mapping[str, Any], outputs: Mapping[str, Any]
) -> tuple[str, ...]:
    """Run what was compiled; a difference is a fault of edgeconv, and nobody is to learn of it later than now."""
    from edgeconv.runtime.ways import open_runner, runnable_isas

    runnable = runnable_isas(artifact.manifest)
    for isa in runnable:
        results = open_runner(artifact, isa)(inputs)
        found = results if isinstance(results, dict) else {artifact.manifest.outputs[0].name: results}
        for name, expected in outputs.items():
            if found[name].tobytes() != expected.tobytes():
                raise ArtifactError(
                    f"{folder} was not written: output '{name}' of the {isa} code differs from the reference",
                    advice="report it as a fault of edgeconv, with the model",
                )
    return runnable


def load(path: str | Path, isa: str | None = None, threads: int = 1, device: str | None = None) -> Runner:
    """Open an artifact and get it ready to run on this machine; numpy in, numpy out.

    Args:
        isa: instruction set; the fastest that this machine runs when None.
        threads: that share a call; the results are the same bits for any number.
        device: of an artifact for the accelerator: "sim", "sim-soc" or "serial:PORT" (docs/soc.md).

    Raises:
        ArtifactError: not an artifact, altered, or of a newer version.
        DeviceError: this machine lacks the CPU features that it needs, or the device does not answer.
    """
    from edgeconv.runtime.runner import load as load_runner

    return load_runner(path, isa, threads, device)


def verify(artifact: str | Path, **options: Any) -> VerifyReport:
    """Check an artifact against the reference and everything else at hand; see `edgeconv.verify.verify`.

    Args:
        options: model, float_model, inputs, samples, seed, shapes, peers, progress, device.
    """
    from edgeconv.verify import verify as run_verification

    return run_verification(artifact, **options)


def quantize(
    model: Any, example_inputs: Any = None, output: str | Path | None = None, **options: Any
) -> QuantizeReport:
    """Quantize a float network after training, to an ONNX file that `compile` takes (docs/quantize.md).

    Args:
        model: path of a float ONNX file, or a torch module.
        example_inputs: of a torch module: one batch, a tensor or a sequence of tensors.
        output: file to write.
        options: calibration, policy, evaluation, shapes, seed, progress: see `edgeconv.quantize.ptq.quantize_onnx`.

    Raises:
        UsageError: a module without example inputs, or a file with them.
        EdgeconvError: see `edgeconv.quantize.ptq.quantize_onnx`.
    """
    is_file = isinstance(model, (str, Path))
    if is_file != (example_inputs is None):
        found = "a file with example_inputs" if is_file else "a module without example_inputs"
        raise UsageError(
            found, expected="edgeconv.quantize(path, ...) or edgeconv.quantize(module, example_inputs, ...)"
        )
    if is_file:
        from edgeconv.quantize.ptq import quantize_onnx

        return quantize_onnx(model, output, **options)
    from edgeconv.quantize.ptq.torch_module import quantize_module  # needs torch

    return quantize_module(model, example_inputs, output, **options)
