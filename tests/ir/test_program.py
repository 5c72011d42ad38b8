"""Programs validate, print, parse back, and survive storage."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeconv.errors import ProgramError
from edgeconv.ir import (
    Constant,
    Grid,
    Linear,
    Program,
    Rounding,
    TensorType,
    dtype,
    from_text,
    load_program,
    save_program,
    smallest_dtype,
    to_text,
)
from edgeconv.ir import operators as ops
from edgeconv.ir.packing import pack_bits, unpack_bits


def small_program() -> Program:
    """One operator of several kinds, awkward names included."""
    third = Linear(((Fraction(3, 10), Fraction(1, 7)),))
    operators = (
        ops.Quantize("q", "x", (0.5,), Grid.full(dtype("u8"), 3)),
        ops.Conv("acc", "q", "w", "b", dtype("i32"), (1,), (1,), (1, 1), 1, 3, origin='/conv "1"'),
        ops.Requant("r", "acc", third, Grid(dtype("i8"), 0, 127, rounding=Rounding.HALF_AWAY)),
        ops.Add(
            "s",
            ("r", "r"),
            Linear(((Fraction(1, 3),), (Fraction(2, 3),)), radicand=(Fraction(2),)),
            Grid.full(dtype("i4")),
        ),
        ops.Dequantize("y", ("s",), Linear(((Fraction(1, 4),),)), lo=Fraction(0)),
        ops.Resize("z w", "s", ((0, 0, 1, 1),)),
    )
    constants = {
        "w": Constant(dtype("i4"), np.arange(-6, 12).reshape(2, 3, 3) % 8 - 1),
        "b": Constant(dtype("i32"), np.array([1, -5])),
    }
    return Program({"x": TensorType((1, 3, 8), dtype("f32"))}, ("y", "z w"), operators, constants)


def test_text_form_parses_back_to_an_equal_program() -> None:
    program = small_program()
    assert from_text(to_text(program), program.constants) == program


def test_storage_is_reproducible_and_loads_back(tmp_path: Path) -> None:
    program = small_program()
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        save_program(program, folder)
    assert load_program(first) == program
    assert (first / "weights.npz").read_bytes() == (second / "weights.npz").read_bytes()


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    save_program(small_program(), tmp_path)
    weights = tmp_path / "weights.npz"
    weights.write_bytes(weights.read_bytes()[:-40])
    with pytest.raises(ProgramError, match="cannot read the program"):
        load_program(tmp_path)


def _without_last(entries: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return dict(list(entries.items())[:-1])


def _flattened(entries: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array.reshape(1, -1) for name, array in entries.items()}


def _wider(entries: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array if array.dtype == np.uint8 else array.astype(np.int64) for name, array in entries.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without_last, "holds . entries\n  expected: .*one for each constant"),
        (_flattened, "has values of .*expected"),
        (_wider, "has values of int64"),
    ],
)
def test_values_that_do_not_fit_the_text_are_refused(
    tmp_path: Path, change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]], message: str
) -> None:
    save_program(small_program(), tmp_path)
    with np.load(tmp_path / "weights.npz") as archive:
        entries = {name: archive[name] for name in archive.files}
    np.savez(tmp_path / "weights.npz", **change(entries))
    with pytest.raises(ProgramError, match="(?s)" + message):
        load_program(tmp_path)


def test_abbreviated_text_shortens_long_lists() -> None:
    program = small_program()
    long = Linear((tuple(Fraction(1, k) for k in range(2, 18)),), axis=2)
    operators = (*program.operators[:2], dataclasses.replace(program.operators[2], linear=long))
    with pytest.raises(ProgramError, match="16 channels for axis 2 of extent 8"):
        Program(program.inputs, ("r",), operators, program.constants)
    factors = Linear((tuple(Fraction(1, k) for k in range(2, 10)) * 2,), axis=1)
    wide = {"x": TensorType((1, 16, 2), dtype("i8"))}
    text = to_text(Program(wide, ("r",), (ops.Requant("r", "x", factors, Grid.full(dtype("i8"))),)), abbreviate=True)
    assert "[1/2, … 16 values]" in text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("%y: i8[1] = frobnicate(%x) {}", "unknown operator 'frobnicate'"),
        ("%y: i8[1] = reshape(%nope) {shape=[1]}", "reads %nope, which is not written before it"),
        ("%y: i8[1] = reshape(%x) {shape=[2]}", "number of elements differs"),
        ("%y: i8[1] = reshape(%x) {shape=[1}", "found '}'"),
        ("%x: i8[1] = reshape(%x) {shape=[1]}", "writes %x, which exists already"),
        ("%y: i8[1] = pad(%x) {pads=[1, 1], value=300}", "pad value 300 is not a value of i8"),
        ("%y: i8[1] = slice(%x) {starts=[0], sizes=[2], steps=[1]}", "leaves axis 0 of extent 1"),
    ],
)
def test_bad_text_names_the_operator_and_what_is_wrong(line: str, message: str) -> None:
    with pytest.raises(ProgramError, match=message.replace("[", r"\[").replace("+", r"\+")):
        from_text(f"program 1\ninput %x: i8[1]\n{line}\nreturn %y\n", {})


def test_validator_names_operator_and_origin() -> None:
    program = small_program()
    wrong = dataclasses.replace(program.operators[1], pads=(1,))
    with pytest.raises(ProgramError, match=r'conv %acc \(from /conv "1"\).*pad entries'):
        Program(program.inputs, program.outputs, (program.operators[0], wrong), program.constants)


@given(st.integers(2, 8), st.booleans(), st.data())
def test_packed_values_unpack(bits: int, signed: bool, data: st.DataObject) -> None:
    type_ = dtype(f"{'i' if signed else 'u'}{bits}")
    values = np.array(data.draw(st.lists(st.integers(type_.lo, type_.hi), max_size=40)), np.int64)
    packed = pack_bits(values, type_)
    assert packed.size == (values.size * bits + 7) // 8
    assert np.array_equal(unpack_bits(packed, type_, values.shape), values)


@given(st.integers(-(2**40), 2**31), st.integers(0, 2**31 - 1))
def test_smallest_dtype_holds_and_is_smallest(lo: int, span: int) -> None:
    hi = min(lo + span, 2**32 - 1)
    found = smallest_dtype(lo, hi)
    assert found.holds(lo, hi)
    assert found.bits == (2 if found.signed else 1) or not dtype(f"{found.name[0]}{found.bits - 1}").holds(lo, hi)


def test_constants_outside_their_type_are_refused() -> None:
    with pytest.raises(ProgramError, match=r"constant holds -9…7"):
        Constant(dtype("i4"), np.array([-9, 7]))
