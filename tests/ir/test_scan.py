"""The selective scan: its tables are correctly rounded, what could overflow is refused, the text parses back."""

from __future__ import annotations

from dataclasses import replace

import mpmath
import numpy as np
import pytest

from edgeconv.errors import ProgramError
from edgeconv.ir import Constant, Program, TensorType, dtype, from_text, to_text
from edgeconv.ir import operators as ops
from edgeconv.ir.operators.scan import LEAST_EXP_BITS, MOST_EXP_BITS, decay_tables

CHANNELS, STATES, LENGTH = 3, 4, 5
SCAN = ops.SelectiveScan("y", "x", "delta", "a", "b", "c", "skip", (6, 7, 8), (11,))
TYPES = {
    "x": TensorType((1, CHANNELS, LENGTH), dtype("i8")),
    "delta": TensorType((1, CHANNELS, LENGTH), dtype("u16")),
    "b": TensorType((1, STATES, LENGTH), dtype("i8")),
    "c": TensorType((1, STATES, LENGTH), dtype("i8")),
}


def program(operator: ops.SelectiveScan, types: dict[str, TensorType], a: str = "u8", skip: str = "i20") -> Program:
    """The operator alone."""
    constants = {
        "a": Constant(dtype(a), np.full((CHANNELS, STATES), 3)),
        "skip": Constant(dtype(skip), np.arange(CHANNELS)),
    }
    return Program(TYPES | types, ("y",), (operator,), constants)


@pytest.mark.parametrize("exp_bits", range(LEAST_EXP_BITS, MOST_EXP_BITS + 1))
def test_tables_are_the_nearest_integers(exp_bits: int) -> None:
    with mpmath.workprec(200):
        for table, steps in zip(decay_tables(exp_bits), (4, 256), strict=True):
            exact = [mpmath.exp(mpmath.mpf(-i) / steps) * 2**exp_bits for i in range(64)]
            assert [int(mpmath.nint(value)) for value in exact] == list(table)


def test_text_form_parses_back() -> None:
    found = program(SCAN, {})
    assert str(found.types["y"]) == "i32[1,3,5]"
    assert from_text(to_text(found), found.constants) == found


def _tensor(element: str, *shape: int) -> TensorType:
    return TensorType(shape, dtype(element))


REFUSED = [
    (SCAN, {"x": _tensor("i8", 2, CHANNELS, LENGTH)}, "x of shape"),
    (SCAN, {"x": _tensor("i9", 1, CHANNELS, LENGTH)}, "operand %x is i9"),
    (SCAN, {"delta": _tensor("i16", 1, CHANNELS, LENGTH)}, "operand %delta is i16"),
    (SCAN, {"delta": _tensor("u17", 1, CHANNELS, LENGTH)}, "operand %delta is u17"),
    (SCAN, {"b": _tensor("i8", 1, 3, LENGTH)}, r"operand %b of shape \(1, 3, 5\)"),
    (SCAN, {"x": _tensor("u8", 1, CHANNELS, LENGTH), "b": _tensor("u8", 1, STATES, LENGTH)}, "products delta·x·b"),
    (replace(SCAN, decay_shifts=(6, 7)), {}, "2 decay shifts"),
    (replace(SCAN, decay_shifts=(0,)), {}, "decay shifts from 0 to 0"),
    (replace(SCAN, input_shifts=(31,)), {}, "input shifts from 31 to 31"),
    (replace(SCAN, exp_bits=16), {}, "exp_bits of 16"),
    (replace(SCAN, state_bits=17), {}, "state_bits of 17"),
]


@pytest.mark.parametrize(("operator", "types", "text"), REFUSED, ids=[case[2] for case in REFUSED])
def test_what_does_not_fit_is_refused(operator: ops.SelectiveScan, types: dict[str, TensorType], text: str) -> None:
    with pytest.raises(ProgramError, match=text):
        program(operator, types)


def test_sums_that_may_leave_32_bits_are_refused() -> None:
    with pytest.raises(ProgramError, match="sums over 4 states"):
        program(SCAN, {}, skip="i25")
    with pytest.raises(ProgramError, match="operand %a is i8"):
        program(SCAN, {}, a="i8")
