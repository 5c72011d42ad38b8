"""Random ONNX models through importer, lowering and code generation, against onnxruntime without optimizations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgeconv import reference
from edgeconv.importer import read_onnx
from edgeconv.integer import lower
from edgeconv.runtime.cpu_features import supported_isas
from tests.generate import Case, Choices
from tests.onnx_cases.models import RandomModel
from tests.random_graphs.compare import Graph, compare_graphs


def _onnxruntime(path: Path, x: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.stack([session.run(None, {"x": sample})[0] for sample in x])


def _differences(seed: int, folder: Path, compiled: bool) -> list[str]:
    """What the reference, and generated code if asked for, gives otherwise than onnxruntime or refuses."""
    model = RandomModel(Choices.seeded(seed))
    path = folder / f"{seed}.onnx"
    model.save(path)
    program = lower(read_onnx(path))
    x = model.samples()
    (found,) = reference.run(program, {"x": x}).values()
    expected = _onnxruntime(path, x)
    differences = []
    if found.shape != expected.shape or found.dtype != expected.dtype:
        differences.append(f"seed {seed}: {found.dtype}{found.shape} and not {expected.dtype}{expected.shape}")
    elif not np.array_equal(found, expected, equal_nan=True):
        differences.append(f"seed {seed}: {np.count_nonzero(found != expected)} of {found.size} values differ")
    if compiled:
        (compared,) = compare_graphs([Graph(f"model of seed {seed}", Case(program, {"x": x}), supported_isas())])
        differences += [*compared.refusals, *([compared.report()] if compared.differences else [])]
    return differences


@pytest.mark.needs_gcc
@pytest.mark.parametrize("start", [0, *(pytest.param(start, marks=pytest.mark.slow) for start in range(30, 300, 30))])
def test_models_with_power_of_two_scales_equal_onnxruntime(start: int, tmp_path: Path) -> None:
    differences = [
        each for seed in range(start, start + 30) for each in _differences(seed, tmp_path, compiled=seed % 10 == 0)
    ]
    assert differences == [], "\n".join(differences)
