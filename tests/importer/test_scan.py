"""The function `edgeconv::SelectiveScan`: onnxruntime computes its bits unmodified; changed ones are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from edgeconv import reference
from edgeconv.errors import ModelError
from edgeconv.importer import read_onnx
from edgeconv.importer.scan_function import scan_function
from edgeconv.integer import lower

from .models import run_onnxruntime, save
from .scans import ScanModel

CASES = [
    {"rows": 5},
    {"channels": 3, "states": 1, "length": 1, "exp_bits": 12, "state_bits": 14},
    {"channels": 17, "states": 16, "length": 40, "opset": 17},
    {"exp_bits": 9, "state_bits": 8, "opset": 25},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_onnxruntime_and_the_program_agree_in_every_bit(case: dict[str, int], tmp_path: Path) -> None:
    model = ScanModel(**case)
    proto = model.proto()
    onnx.checker.check_model(proto)
    program = lower(read_onnx(save(proto, tmp_path)))
    assert [operator.keyword for operator in program.operators] == ["table", "selective_scan"]
    feeds = model.feeds(6)
    (found,) = run_onnxruntime(proto, feeds)
    expected = reference.run(program, {name: array[:, None] for name, array in feeds.items()})["y"]
    assert np.array_equal(found, expected[:, 0])
    assert np.unique(found).size > found.size // 4


def _refusal(proto: onnx.ModelProto, folder: Path) -> str:
    """What the error says with which a model is refused."""
    with pytest.raises(ModelError) as found:
        lower(read_onnx(save(proto, folder)))
    return str(found.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [("Floor", "Round"), ("one_real", "four"), ("high_step", "low_step")],
    ids=["another operator", "another constant", "another order"],
)
def test_a_function_with_another_body_is_refused(old: str, new: str, tmp_path: Path) -> None:
    proto = ScanModel().proto()
    changed = False
    for node in proto.functions[0].node:
        if changed:
            break
        if node.op_type == old:
            node.op_type, changed = new, True
        elif old in node.input:
            node.input[list(node.input).index(old)], changed = new, True
    assert changed
    onnx.checker.check_model(proto)
    assert "another body than the selective scan" in _refusal(proto, tmp_path)


def test_a_changed_step_of_the_recurrence_is_refused(tmp_path: Path) -> None:
    proto = ScanModel().proto()
    scan = next(node for node in proto.functions[0].node if node.op_type == "Scan")
    body = next(attribute.g for attribute in scan.attribute if attribute.name == "body")
    body.node[3].op_type = "Sub"
    assert "another body than the selective scan" in _refusal(proto, tmp_path)


def test_a_missing_function_is_refused(tmp_path: Path) -> None:
    proto = ScanModel().proto()
    del proto.functions[:]
    assert "does not hold that function" in _refusal(proto, tmp_path)


def test_notes_of_a_function_do_not_matter(tmp_path: Path) -> None:
    proto = ScanModel().proto()
    proto.functions[0].doc_string = "moved through another tool"
    proto.functions[0].node[5].name = "node 5"
    assert len(lower(read_onnx(save(proto, tmp_path))).operators) == 2


def test_a_function_of_functions_keeps_the_scan(tmp_path: Path) -> None:
    proto = ScanModel().proto()
    outer = helper.make_function(
        "edgeconv.test", "Layer", [*proto.graph.node[0].input], ["y"], [proto.graph.node[0]], proto.opset_import
    )
    proto.functions.append(outer)
    call = helper.make_node("Layer", [*proto.graph.node[0].input], ["y"], domain="edgeconv.test")
    del proto.graph.node[:]
    proto.graph.node.append(call)
    proto.opset_import.append(helper.make_opsetid("edgeconv.test", 1))
    program = lower(read_onnx(save(proto, tmp_path)))
    assert any(operator.keyword == "selective_scan" for operator in program.operators)


def test_constants_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    for name, change, text in (
        ("exp_low", lambda a: a + 1, "exp_low is no table of exp of 15 bits"),
        ("skip", lambda a: a.astype(np.int64), "skip is int64"),
        ("a", lambda a: a[:-1], "a is uint8 of shape"),
        ("steps", lambda a: np.repeat(a, 2, 0), "2 tables of step sizes"),
        ("steps", lambda a: a - 1 - a.min(), "step sizes of -1 to"),
        ("decay_shift", lambda a: a * 0, "decay shifts from 0 to 0"),
        ("skip", lambda a: a * 10000, "sums over 3 states that reach"),
    ):
        model = ScanModel()
        model.constants[name] = change(model.constants[name])
        assert text in _refusal(model.proto(), tmp_path)
    model = ScanModel()
    model.exp_bits = 16
    assert "exp_bits of 16" in _refusal(model.proto(), tmp_path)


def test_the_function_says_itself_what_it_reads() -> None:
    assert [*scan_function(21).attribute] == ["exp_bits", "state_bits"]
