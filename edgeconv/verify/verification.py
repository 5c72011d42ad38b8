"""The whole verification of an artifact."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeconv import reference
from edgeconv.artifact import Artifact, read
from edgeconv.errors import ArtifactError, EdgeconvError, ModelError, ToolError, UsageError
from edgeconv.ir import Program
from edgeconv.runtime.runner import Runner
from edgeconv.runtime.ways import SIMULATION, open_runner, require_device, way_of
from edgeconv.verify.inputs import random_inputs
from edgeconv.verify.results import (
    Comparison,
    LayerComparison,
    Metric,
    Problem,
    VerifyReport,
    compare_arrays,
    merge,
)

if TYPE_CHECKING:
    from edgeconv.verify.peers import OnnxComparison

Array = NDArray[np.generic]
Peer = Callable[[Mapping[str, Array]], Mapping[str, Array]]
_CHUNK_ELEMENTS = 4_000_000


@dataclass
class _Findings:
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    comparisons: dict[tuple[str, str], list[Comparison]] = field(default_factory=dict)

    def compare(self, peer: str, output: str, mine: Array, theirs: Array, *, required: bool) -> None:
        found = compare_arrays(peer, output, mine, theirs, required=required)
        self.comparisons.setdefault((peer, output), []).append(found)


def verify(
    artifact: str | Path,
    *,
    model: str | Path | None = None,
    float_model: str | Path | None = None,
    inputs: Mapping[str, Array] | None = None,
    samples: int = 64,
    seed: int = 0,
    shapes: Mapping[str, int] | None = None,
    peers: Mapping[str, Peer] | None = None,
    progress: Callable[[str], None] = lambda _: None,
    device: str | None = None,
) -> VerifyReport:
    """Check an artifact against the reference and against everything else at hand.

    Args:
        artifact: the compiled folder.
        model: the ONNX file it was compiled from: the program, the certificates and the library are derived again and
            compared, and onnxruntime is run with optimizations off (per layer, with causes) and on.
        float_model: the float ONNX file: SQNR per layer and at the outputs.
        inputs: arrays of shape (n, *shape) by input name; random ones (biased to ties and saturation) by default.
        samples, seed: of the random inputs.
        shapes: values of symbolic dimensions, as for `compile`.
        peers: further implementations by name, such as a torch module in evaluation mode: each takes the inputs and
            returns arrays by output name.
        progress: called with a line about what is being done.
        device: where an artifact for the accelerator is run, as for `edgeconv.load`.

    Returns:
        The report; `report.ok` is False on any difference between artifact and reference or any broken promise.

    Raises:
        EdgeconvError: a file is missing, or the model is not supported.
    """
    if samples < 1:
        raise UsageError(f"{samples} samples", expected="at least 1")
    findings = _Findings()
    try:
        opened = read(artifact)
        program = opened.program()
    except (ArtifactError, ModelError) as error:
        if not Path(artifact).exists():
            raise
        problem = Problem(str(artifact), error.problem, error.expected or "")
        return VerifyReport(str(artifact), 0, (), (), (problem,), (), (), 0, 0.0)
    require_device(opened.manifest, device)
    progress("checking the certificates")
    proved, seconds = _check_certificates(opened, program, findings)
    _check_golden(opened, program, findings)
    data = dict(inputs) if inputs is not None else random_inputs(program, samples, seed)
    layers: tuple[LayerComparison, ...] = ()
    metrics: tuple[Metric, ...] = ()
    if model is None:
        if float_model is not None:
            raise UsageError("a float model was given without the quantized one", advice="add --model MODEL.onnx")
        _compare_artifact(opened, program, data, peers or {}, findings, progress, device=device)
    else:
        # Only here: these need onnx and onnxruntime, which take a second to import.
        from edgeconv.verify.derivation import check_derivation
        from edgeconv.verify.peers import OnnxComparison

        progress("deriving the program, the certificates and the library again")
        graph = check_derivation(opened, program, Path(model), shapes or {}, findings.problems, findings.notes)
        if float_model is not None and inputs is None:
            findings.notes.append("random inputs saturate on purpose; give real samples to judge the float figures")
        onnx_comparison = OnnxComparison(Path(model), float_model, program, graph, findings.notes)
        _compare_artifact(opened, program, data, peers or {}, findings, progress, onnx_comparison, device)
        layers, metrics = onnx_comparison.rows(), onnx_comparison.metrics()
    merged = tuple(merge(parts) for parts in findings.comparisons.values())
    count = len(next(iter(data.values()))) if data else 0
    return VerifyReport(
        str(artifact), count, merged, layers, tuple(findings.problems), metrics, tuple(findings.notes), proved, seconds
    )


def _check_certificates(artifact: Artifact, program: Program, findings: _Findings) -> tuple[int, float]:
    from edgeconv.integer.check import check_certificate

    start = time.perf_counter()
    proved = 0
    for policy in artifact.manifest.policies:
        try:
            certificate = artifact.certificate(policy)
        except EdgeconvError as error:
            findings.problems.append(Problem(f"certificate of policy {policy}", error.problem))
            continue
        proved += sum(len(proof.channels) for proof in certificate.operators)
        for problem in check_certificate(program, certificate):
            findings.problems.append(Problem(f"certificate of policy {policy}", str(problem)))
    return proved, time.perf_counter() - start


def _check_golden(artifact: Artifact, program: Program, findings: _Findings) -> None:
    inputs, outputs = artifact.golden()
    expected = reference.run(program, inputs)
    for name, array in expected.items():
        stored = outputs[name]
        found = compare_arrays("golden", name, array, stored, required=True)
        if found.different:
            place = f"golden output {name!r}, first at {found.first}"
            values = found.first_values or (float("nan"), float("nan"))
            findings.problems.append(Problem(place, f"holds {values[1]:g}", f"{values[0]:g}"))


def _compare_artifact(
    artifact: Artifact,
    program: Program,
    data: Mapping[str, Array],
    peers: Mapping[str, Peer],
    findings: _Findings,
    progress: Callable[[str], None],
    onnx_comparison: OnnxComparison | None = None,
    device: str | None = None,
) -> None:
    manifest = artifact.manifest
    code = (manifest.library, *([manifest.executable] if manifest.executable else ["src/", "include/"]))
    altered = [p for p in findings.problems if p.place.startswith(code)]
    if altered:
        findings.notes.append("the artifact was not run: its machine code is not what the model gives")
    runners = {} if altered else _runners(artifact, device, findings.notes)
    keep = sorted(onnx_comparison.tensors) if onnx_comparison else []
    done = 0
    total = len(next(iter(data.values()))) if data else 0
    for chunk in _chunks(program, data):
        mine = reference.run(program, chunk, keep=keep)
        for name, runner in runners.items():
            result = runner.run(chunk)
            for output in program.outputs:
                findings.compare(f"artifact ({name})", output, mine[output], result[output], required=True)
        for name, peer in peers.items():
            theirs = peer(chunk)
            for output in program.outputs:
                if output in theirs:
                    shaped = np.asarray(theirs[output]).reshape(mine[output].shape)
                    findings.compare(name, output, mine[output], shaped, required=False)
        if onnx_comparison:
            for name, output, theirs_array in onnx_comparison.add(chunk, mine):
                findings.compare(name, output, mine[output], theirs_array, required=False)
        done += len(next(iter(chunk.values()))) if chunk else 1
        progress(f"compared {done} of {total} samples")


def _runners(artifact: Artifact, device: str | None, notes: list[str]) -> dict[str, Runner]:
    if device not in (None, SIMULATION):
        runner = open_runner(artifact, device=device)
        return {f"{runner.isa}, {device}": runner}
    way = way_of(artifact.manifest)
    here, how = way.runnable_isas(artifact.manifest), way.how(artifact.manifest)
    under = f", under {how}" if how else ""
    runners = {}
    for isa in artifact.manifest.isas:
        if isa.name in here:
            runners[isa.name + under] = open_runner(artifact, isa.name)
        else:
            notes.append(f"instruction set {isa.name} was not run: this machine lacks it")
    if not runners:
        raise ToolError(
            f"{artifact.path}: no instruction set of the artifact runs on this machine",
            advice=way.advice(artifact.manifest),
        )
    return runners


def _chunks(program: Program, data: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
    """Samples in pieces whose intermediate tensors fit in memory."""
    elements = sum(type_.size for type_ in program.types.values())
    step = max(1, _CHUNK_ELEMENTS // max(1, elements))
    total = len(next(iter(data.values()))) if data else 0
    for start in range(0, total, step):
        yield {name: array[start : start + step] for name, array in data.items()}
