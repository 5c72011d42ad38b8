"""Derives program, certificates and library from the model again and compares them with the artifact, byte by byte."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgeconv.artifact import Artifact
from edgeconv.importer import read_onnx
from edgeconv.importer.graph import QuantizedGraph
from edgeconv.integer import lower, prove
from edgeconv.integer.certificate import Certificate
from edgeconv.integer.policy import POLICIES
from edgeconv.ir import Program, to_text
from edgeconv.verify.results import Problem


def check_derivation(
    artifact: Artifact,
    program: Program,
    model: Path,
    shapes: Mapping[str, int],
    problems: list[Problem],
    notes: list[str],
) -> QuantizedGraph:
    """Append a problem for everything in the artifact that the model does not give.

    Returns:
        The model's quantized graph.
    """
    graph = read_onnx(model, shapes=dict(shapes))
    derived = lower(graph)
    _compare_programs(program, derived, problems)
    certificates = {}
    for policy in artifact.manifest.policies:
        certificates[policy] = prove(derived, POLICIES[policy])
        _compare_certificates(policy, artifact.certificate(policy), certificates[policy], problems)
    _compare_library(artifact, derived, certificates, problems, notes)
    return graph


def _compare_programs(found: Program, expected: Program, problems: list[Problem]) -> None:
    if found == expected:
        return
    for name, constant in expected.constants.items():
        if found.constants.get(name) != constant:
            stored = found.constants.get(name)
            if stored is None or stored.type != constant.type:
                problems.append(Problem(f"weights.npz, constant %{name}", "is missing or has another type"))
                continue
            at = next(i for i, (a, b) in enumerate(zip(stored.array.flat, constant.array.flat, strict=True)) if a != b)
            place = f"weights.npz, constant %{name}, element {at}"
            problems.append(Problem(place, str(stored.array.flat[at]), str(constant.array.flat[at])))
    lines = zip(to_text(found).splitlines(), to_text(expected).splitlines(), strict=False)
    for number, (mine, theirs) in enumerate(lines, 1):
        if mine != theirs:
            at = next((i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), 0)
            clip = slice(max(0, at - 20), at + 40)
            place = f"program.txt, line {number} ({mine.split(':')[0]})"
            problems.append(Problem(place, f"…{mine[clip]}…", f"…{theirs[clip]}…"))
    if not any(p.place.startswith(("weights", "program")) for p in problems):
        problems.append(Problem("program.txt", "has other operators than the model gives"))


def _compare_certificates(policy: str, found: Certificate, expected: Certificate, problems: list[Problem]) -> None:
    if found == expected:
        return
    place = f"certificate of policy {policy}"
    if found.ranges != expected.ranges:
        problems.append(Problem(place, "ranges differ from those of the model"))
    for mine, theirs in zip(found.operators, expected.operators, strict=False):
        if mine == theirs:
            continue
        for index, (a, b) in enumerate(zip(mine.channels, theirs.channels, strict=False)):
            if a != b:
                problems.append(Problem(f"{place}, %{mine.output}, channel {index}", str(a.form), str(b.form)))
                break
        else:
            problems.append(Problem(f"{place}, %{mine.output}", "differs from the model's"))
    if not any(problem.place.startswith(place) for problem in problems):
        problems.append(Problem(place, "lists other operators than the model gives"))


def _compare_library(
    artifact: Artifact,
    program: Program,
    certificates: Mapping[str, Certificate],
    problems: list[Problem],
    notes: list[str],
) -> None:
    from edgeconv.artifact.backend import backend_of

    backend = backend_of(artifact.manifest.family)
    for place, found, expected in backend.differences(artifact, program, certificates, notes):
        problems.append(Problem(place, found, expected))
