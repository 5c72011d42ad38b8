"""Differences are traced to their cause."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from edgeconv.ir import Grid, Linear, Program, Rescale, TensorType, dtype
from edgeconv.ir import operators as ops
from edgeconv.verify.causes import explain
from edgeconv.verify.inputs import random_inputs
from edgeconv.verify.results import compare_arrays, merge


def requant(factor: Fraction) -> tuple[Program, ops.Requant]:
    """A program of one requantization of an accumulator."""
    operator = ops.Requant("q", "acc", Linear(((factor,),)), Grid.full(dtype("i8")))
    return Program({"acc": TensorType((1, 4), dtype("i32"))}, ("q",), (operator,)), operator


@pytest.mark.parametrize(
    ("factor", "acc", "mine", "theirs", "inherited", "cause"),
    [
        (Fraction(1, 2), 5, 2, 3, False, "tie"),
        (Fraction(1, 3), 601, 127, 126, False, "saturation"),
        (Fraction(1, 10), 13, 1, 2, True, "inherited"),
        (Fraction(1, 2**20) + Fraction(1, 2**46), 2**19, 1, 0, False, "near-tie"),
        (Fraction(1, 2**20), 2**25 + 2**17, 32, 33, False, "float accumulation"),
        (Fraction(1, 10), 13, 1, 2, False, "defined differently"),
    ],
)
def test_each_cause_is_recognised(
    factor: Fraction, acc: int, mine: int, theirs: int, inherited: bool, cause: str
) -> None:
    program, operator = requant(factor)
    shape = (1, 1, 4)
    ours, others = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    ours[0, 0, 2], others[0, 0, 2] = mine, theirs
    found = explain(program, operator, [np.full(shape, acc)], ours, others, np.array([inherited]))
    assert dict(found) == {cause: 1}


def test_comparison_is_bit_for_bit_and_names_the_first_difference() -> None:
    mine = np.array([[1.0, np.nan, 3.0]], np.float32)
    assert compare_arrays("peer", "y", mine, mine.copy(), required=True).different == 0
    theirs = mine.copy()
    theirs[0, 2] = np.nextafter(np.float32(3), np.float32(4))
    found = compare_arrays("peer", "y", mine, theirs, required=True)
    assert (found.different, found.first) == (1, (0, 2))
    assert merge([compare_arrays("peer", "y", mine, mine, required=True), found]).different == 1


def test_signs_of_zeros_and_dtypes_count_where_arrays_have_to_be_equal_and_nowhere_else() -> None:
    zeros = np.zeros((2, 3), np.float32)
    signed = zeros.copy()
    signed[1, 0] = -0.0
    found = compare_arrays("artifact", "y", zeros, signed, required=True)
    assert (found.different, found.first) == (1, (1, 0))
    assert compare_arrays("onnxruntime", "y", zeros, signed, required=False).different == 0
    wider = zeros.astype(np.float64)
    assert compare_arrays("artifact", "y", zeros, wider, required=True).different == 6
    assert compare_arrays("torch", "y", zeros, wider, required=False).different == 0


def test_random_inputs_reach_ties_and_saturation() -> None:
    operator = ops.Quantize("q", "x", (0.5,), Grid.full(dtype("i8")))
    program = Program({"x": TensorType((1, 3, 50), dtype("f32"))}, ("q",), (operator,))
    steps = random_inputs(program, 40, seed=3)["x"].astype(np.float64) / 0.5
    assert steps.shape == (40, 1, 3, 50)
    assert (np.abs(steps % 1) == 0.5).sum() > 500
    assert (np.abs(steps) > 128).sum() > 500


def test_random_integer_inputs_stay_in_their_type() -> None:
    operator = ops.Reshape("y", "x", (6, 1))
    program = Program({"x": TensorType((1, 6), dtype("u12"))}, ("y",), (operator,))
    values = random_inputs(program, 60, seed=1)["x"]
    assert values.dtype == np.uint16
    assert values.min() == 0
    assert values.max() == 4095


def test_a_row_function_differs_because_it_is_defined_differently_unless_its_operand_did() -> None:
    rescale = Rescale((1 << 20,), (0,), 44)
    operator = ops.Normalize("q", "x", (1,), 1, True, 0, 1, 10, 28, rescale, Grid.full(dtype("i8")))
    program = Program({"x": TensorType((1, 4), dtype("i8"))}, ("q",), (operator,))
    mine, theirs = np.array([[[1, 2, 3, 4]]]), np.array([[[1, 2, 4, 4]]])
    for inherited, cause in ((False, "defined differently"), (True, "inherited")):
        assert explain(program, operator, [], mine, theirs, np.array([inherited])) == {cause: 1}
