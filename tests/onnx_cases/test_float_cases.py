"""ONNX's own node cases of float operators: what the importer makes of them means what the specification says."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.backend.test.case.test_case import TestCase as NodeCase

from edgeconv.errors import ModelError
from edgeconv.importer import read_onnx
from tests.importer.interpreter import evaluate
from tests.onnx_cases.cases import node_cases

_NAMES = (
    *("test_convtranspose*", "test_resize_*", "test_slice*", "test_upsample*"),
    *("test_constant_pad*", "test_reflect_pad", "test_edge_pad", "test_wrap_pad"),
)
_OPSETS = 9, 25  # newer ones changed nothing about these operators

NOT_TAKEN = {
    "test_convtranspose_3d": "three spatial axes",
    "test_resize_*cubic*": "cubic interpolation is refused",
    "test_resize_downsample_*_linear_antialias": "a filter before shrinking is refused",
    "test_resize_tf_crop_and_resize_extrapolation_value": "values outside of the region other than zero are refused",
    "test_slice_start_out_of_bounds": "takes nothing",
}
"""Patterns of cases that are refused, and why."""

OTHERWISE = {
    "test_resize_downsample_scales_linear_align_corners": "it stretches corners over 2.4 outputs, runtimes over the 2",
}
"""Cases that runtimes read otherwise; the importer follows them (tests/importer/test_resize.py)."""


CASES = [case for case in node_cases(_NAMES) if case.name not in OTHERWISE]


def _is_taken(case: NodeCase) -> bool:
    return not any(fnmatch.fnmatch(case.name, pattern) for pattern in NOT_TAKEN)


def _write(case: NodeCase, path: Path) -> dict[str, np.ndarray]:
    """The case as a model whose inputs but the first are constants, the first one float32; its value by name."""
    inputs, _ = case.data_sets[0]
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    data, *fixed = list(model.graph.input)
    for value, array in zip(fixed, inputs[1:], strict=True):
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), value.name))
    del model.graph.input[1:]
    data.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    model.opset_import[0].version = int(np.clip(model.opset_import[0].version, *_OPSETS))
    model.ir_version = 10
    onnx.save(model, path)
    return {data.name: np.asarray(inputs[0]).astype(np.float32)}


@pytest.mark.parametrize("case", [c for c in CASES if _is_taken(c)], ids=lambda case: case.name)
def test_node_case_keeps_its_meaning(case: NodeCase, tmp_path: Path) -> None:
    inputs = _write(case, tmp_path / "model.onnx")
    found = evaluate(read_onnx(tmp_path / "model.onnx"), inputs)
    for ours, expected in zip(found, case.data_sets[0][1], strict=True):
        np.testing.assert_allclose(ours, np.asarray(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", [c for c in CASES if not _is_taken(c)], ids=lambda case: case.name)
def test_node_case_that_is_not_taken_is_refused(case: NodeCase, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        _write(case, tmp_path / "model.onnx")
        read_onnx(tmp_path / "model.onnx")


def test_every_pattern_of_the_list_names_a_case() -> None:
    for pattern in NOT_TAKEN:
        assert fnmatch.filter([case.name for case in CASES], pattern), f"{pattern} names no case"
