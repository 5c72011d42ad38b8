"""`edgeconv diff` names the first place where two things differ."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from edgeconv.artifact.compare import compare_arrays, compare_programs
from edgeconv.cli import main
from edgeconv.ir import Program, dtype, save_program
from edgeconv.ir.exact import Grid
from edgeconv.ir.operators import Quantize
from tests.artifact.double import built, quantize_program


def _with_quantizer(**changes: object) -> Program:
    program = quantize_program()
    quantizer = program.operators[0]
    assert isinstance(quantizer, Quantize)
    changed = dataclasses.replace(quantizer, **changes)  # type: ignore[arg-type]
    return Program(program.inputs, program.outputs, (changed, *program.operators[1:]))


def _saved(program: Program, folder: Path) -> str:
    folder.mkdir()
    save_program(program, folder)
    return str(folder)


@pytest.mark.needs_gcc
def test_equal_artifacts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", str(built()), str(built())]) == 0
    assert capsys.readouterr().out == "the programs are equal\n"


def test_the_first_operator_and_the_first_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left = _saved(quantize_program(), tmp_path / "left")
    right = _saved(_with_quantizer(grid=Grid(dtype("i8"), -128, 100)), tmp_path / "right")
    assert main(["diff", left, right, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["differences"]
    assert found[0]["place"] == "operator 0, quantize %q, grid"
    assert "hi=127" in found[0]["left"]
    assert "hi=100" in found[0]["right"]
    assert found[1]["place"].startswith("quantize %q, value at (")
    assert int(found[1]["left"]) > 100 == int(found[1]["right"])


def test_a_difference_without_effect_is_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left = _saved(quantize_program(), tmp_path / "left")
    right = _saved(_with_quantizer(origin="elsewhere"), tmp_path / "right")
    assert main(["diff", left, right]) == 1
    assert "the reference gives the same values in 2 tensors" in capsys.readouterr().out


def test_inputs_and_outputs_are_compared() -> None:
    other = Program({"z": quantize_program().inputs["x"]}, ("z",), ())
    places = [difference.place for difference in compare_programs(quantize_program(), other)]
    assert places == ["input %x", "input %z", "outputs", "operators"]


def test_arrays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = np.zeros((2, 3), np.float32)
    b = a.copy()
    b[1, 2] = 0.5
    np.savez(tmp_path / "a.npz", y=a, same=a, shape=a)
    np.savez(tmp_path / "b.npz", y=b, same=a, shape=a[:1])
    assert main(["diff", str(tmp_path / "a.npz"), str(tmp_path / "b.npz")]) == 1
    text = capsys.readouterr().out
    assert "array 'y' at (1, 2) (first of 1 differing of 6)" in text
    assert "array 'shape'" in text
    assert "'same'" not in text
    assert main(["diff", str(tmp_path / "a.npz"), str(tmp_path / "a.npz")]) == 0


def test_nan_equals_nan_and_zeros_have_signs() -> None:
    nan = np.array([np.nan], np.float32)
    assert compare_arrays({"a": nan}, {"a": nan.copy()}) == []
    assert len(compare_arrays({"a": np.array([0.0])}, {"a": np.array([-0.0])})) == 1
    assert compare_arrays({"a": nan}, {})[0].right == "(absent)"


def test_different_kinds_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "a.npy", np.zeros(1))
    assert main(["diff", str(tmp_path / "a.npy"), str(tmp_path)]) == 2
    assert "of different kinds" in capsys.readouterr().err
