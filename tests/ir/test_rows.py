"""Reductions and functions of whole rows refuse what does not fit, and print and parse back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgeconv.errors import ProgramError
from edgeconv.ir import Constant, Grid, Program, Rescale, TensorType, dtype, from_text, to_text
from edgeconv.ir import operators as ops

GRID = Grid.full(dtype("u8"), 7)
RESCALE = Rescale((1 << 20, 3, 1 << 30), (0,), 44, 1)
SOFTMAX = ops.Softmax("y", "x", "low", "high", 2, RESCALE, GRID)
NORMALIZE = ops.Normalize("y", "x", (1, 2), 3, True, -5, 17, 10, 28, RESCALE, GRID)


def program(operator: ops.Operator, type_: str = "i12", shape: tuple[int, ...] = (1, 3, 4)) -> Program:
    """The operator alone, with tables of exp for 12 bits."""
    tables = {"low": np.arange(256), "high": np.arange(16)}
    constants = {name: Constant(dtype("i32"), tables[name]) for name in operator.operands if name in tables}
    return Program({"x": TensorType(shape, dtype(type_))}, ("y",), (operator,), constants)


@pytest.mark.parametrize(
    "operator",
    [
        SOFTMAX,
        NORMALIZE,
        ops.ReduceSum("y", "x", dtype("i32"), (0, 2), 3),
        ops.ReduceMax("y", "x", (1,)),
        ops.ReduceMin("y", "x", (2,)),
        ops.ArgMax("y", "x", 1, False, True),
    ],
    ids=lambda operator: operator.keyword,
)
def test_text_form_parses_back(operator: ops.Operator) -> None:
    found = program(operator)
    assert from_text(to_text(found), found.constants) == found


REFUSED = [
    (SOFTMAX, "i32", "a row of i32"),
    (replace(SOFTMAX, exp_high=None), "i12", "no table of the high bits for i12"),
    (SOFTMAX, "i16", r"table %high of shape \(16,\)"),
    (replace(SOFTMAX, axis=3), "i12", r"reduces axes \(3,\)"),
    (replace(SOFTMAX, rescale=replace(RESCALE, shift=62)), "i12", "a shift of 62"),
    (replace(SOFTMAX, rescale=replace(RESCALE, multipliers=(1 << 31,))), "i12", "a multiplier of more than 30 bits"),
    (replace(SOFTMAX, rescale=replace(RESCALE, addends=(1 << 62,))), "i12", "an addend of more than 61 bits"),
    (replace(SOFTMAX, rescale=replace(RESCALE, axis=2)), "i12", "3 multipliers for axis 2"),
    (replace(SOFTMAX, grid=replace(GRID, lo=9, hi=3)), "i12", "clip bounds"),
    (replace(NORMALIZE, groups=2), "i12", "2 groups of axis 1"),
    (replace(NORMALIZE, epsilon_shift=3), "i12", "an even shift"),
    (replace(NORMALIZE, epsilon=-1), "i12", "epsilon -1"),
    (replace(NORMALIZE, epsilon_shift=40), "i16", "rows of 4 elements that reach"),
    (replace(NORMALIZE, precision=30), "i12", "30 fractional bits for rows of 4 elements"),
    (replace(NORMALIZE, axes=(2, 1)), "i12", "increasing axes"),
    (ops.ReduceSum("y", "x", dtype("i16"), (1,)), "i12", "accumulator type i16"),
    (ops.ReduceMax("y", "x", ()), "i12", r"reduces axes \(\)"),
]


@pytest.mark.parametrize(("operator", "type_", "text"), REFUSED, ids=[case[2] for case in REFUSED])
def test_what_does_not_fit_is_refused(operator: ops.Operator, type_: str, text: str) -> None:
    with pytest.raises(ProgramError, match=text):
        program(operator, type_)
