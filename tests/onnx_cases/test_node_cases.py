"""ONNX's own cases for the quantized operators: imported, lowered, interpreted and compiled, against ONNX's results."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.backend.test.case.test_case import TestCase as NodeCase

from edgeconv import reference
from edgeconv.errors import ModelError
from edgeconv.importer import read_onnx
from edgeconv.integer import lower
from edgeconv.runtime.cpu_features import supported_isas
from tests.generate import Case
from tests.onnx_cases.cases import node_cases
from tests.random_graphs.compare import Graph, compare_graphs

_NAMES = ("test_*quantizelinear*", "test_qlinear*", "test_*integer*")
_OPSETS = 11, 25  # the cases are written for 10 and 28, in which these operators mean the same

NOT_TAKEN = {
    "*e4m3fn*": "8-bit floats are no integers",
    "*e5m2*": "8-bit floats are no integers",
    "*float4e2m1*": "4-bit floats are no integers",
    "*_float16": "scales of type float16: the importer takes float32 scales",
    "test_quantizelinear_axis": "one activation tensor with a zero point for each channel",
    "test_convinteger_with_padding": "weights with a zero point for each output channel in ConvInteger",
    "*blocked*": "scales for blocks along an axis: the importer takes one scale, or one for each index of an axis",
    "test_dynamicquantizelinear*": "the scale depends on the data: refused with the advice to quantize statically",
    "test_dequantizelinear_*int[24]": "inputs of 2 and 4 bits: a graph input has 8 or 16 bits, or is float32",
}
"""Patterns of cases that are refused, and why."""


CASES = node_cases(_NAMES)


def _reason(case: NodeCase) -> str | None:
    return next((why for pattern, why in NOT_TAKEN.items() if fnmatch.fnmatch(case.name, pattern)), None)


def _write(case: NodeCase, path: Path) -> dict[str, np.ndarray]:
    """The case as a model whose scales, zero points and weights are constants; its data input by name."""
    inputs, _ = case.data_sets[0]
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    data, *fixed = list(model.graph.input)
    for value, array in zip(fixed, inputs[1:], strict=True):
        tensor = array if isinstance(array, onnx.TensorProto) else numpy_helper.from_array(np.asarray(array))
        tensor.name = value.name
        model.graph.initializer.append(tensor)
    del model.graph.input[1:]
    model.opset_import[0].version = int(np.clip(model.opset_import[0].version, *_OPSETS))
    model.ir_version = 10
    onnx.save(model, path)
    return {data.name: _array(inputs[0])}


@pytest.mark.needs_gcc
@pytest.mark.parametrize("case", [c for c in CASES if _reason(c) is None], ids=lambda case: case.name)
def test_node_case_gives_its_expected_output(case: NodeCase, tmp_path: Path) -> None:
    inputs = _write(case, tmp_path / "model.onnx")
    program = lower(read_onnx(tmp_path / "model.onnx"))
    samples = {name: array[None] for name, array in inputs.items()}
    found = reference.run(program, samples)
    for name, expected in zip(program.outputs, case.data_sets[0][1], strict=True):
        array = _array(expected)
        assert found[name].dtype == program.types[name].dtype.container
        np.testing.assert_array_equal(found[name][0], array.astype(found[name].dtype))
    (compared,) = compare_graphs([Graph(case.name, Case(program, samples), supported_isas())])
    assert compared.differences == [], compared.report()
    assert compared.refusals == []


def _array(value: np.ndarray | onnx.TensorProto) -> np.ndarray:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


@pytest.mark.parametrize("case", [c for c in CASES if _reason(c) is not None], ids=lambda case: case.name)
def test_node_case_that_is_not_taken_is_refused(case: NodeCase, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        _write(case, tmp_path / "model.onnx")
        lower(read_onnx(tmp_path / "model.onnx"))


def test_every_pattern_of_the_list_names_a_case() -> None:
    for pattern in NOT_TAKEN:
        assert fnmatch.filter([case.name for case in CASES], pattern), f"{pattern} names no case"
