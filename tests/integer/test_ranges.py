"""Reachable ranges: no value leaves them, and where they are exact they are reached."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from edgeconv import reference
from edgeconv.errors import ProgramError
from edgeconv.integer import program_ranges, prove
from edgeconv.integer.policy import FMA
from edgeconv.ir import Constant, Grid, Linear, Program, TensorType, dtype
from edgeconv.ir import operators as ops
from tests.generate.choices import Choices
from tests.generate.programs import random_case


@pytest.mark.parametrize("seed", range(40))
def test_no_value_of_a_random_program_leaves_its_range(seed: int) -> None:
    case = random_case(Choices.seeded(seed))
    ranges = program_ranges(case.program)
    written = [operator.output for operator in case.program.operators]
    values = reference.run(case.program, case.inputs, keep=[name for name in written if name in ranges])
    for name in written:
        if name not in ranges:
            assert case.program.types[name].dtype.is_float
            continue
        found, array = ranges[name], values[name]
        if found.axis is not None:
            array = np.moveaxis(array, 1 + found.axis, 0)
            assert len(array) == len(found.bounds)
        for (lo, hi), part in zip(found.bounds, array if found.axis is not None else [array], strict=True):
            assert lo <= part.min(), (seed, name)
            assert part.max() <= hi, (seed, name)


def conv_program(
    weights: np.ndarray, acc: str = "i32", x: str = "u8", bias: list[int] | None = None, **attributes: object
) -> Program:
    """One 1-D convolution over 16 positions."""
    constants = {"w": Constant(dtype("i8"), weights)}
    if bias is not None:
        constants["b"] = Constant(dtype("i32"), np.array(bias))
    conv = ops.Conv(
        "y", "x", "w", "b" if bias is not None else None, dtype(acc), (1,), (1,), **{"pads": (0, 0), **attributes},
        origin="Conv_7",
    )  # fmt: skip
    channels = weights.shape[1] * int(attributes.get("groups", 1))  # type: ignore[call-overload]
    return Program({"x": TensorType((1, channels, 16), dtype(x))}, ("y",), (conv,), constants)


def test_a_convolution_reaches_both_ends_of_its_range() -> None:
    weights = np.array([[[3, -5, 2]], [[-1, -1, 7]]])
    program = conv_program(weights, bias=[10, -20], x_zero_point=100)
    bounds = program_ranges(program)["y"].bounds
    assert bounds == ((10 - 5 * 155 - 5 * 100, 10 + 5 * 155 + 5 * 100), (-20 - 2 * 155 - 700, -20 + 200 + 7 * 155))
    for k in range(2):
        for sign, end in ((-1, 0), (1, 1)):
            x = np.where(np.resize(sign * weights[k, 0], 16) > 0, 255, 0).astype(np.uint8).reshape(1, 1, 1, 16)
            y = reference.run(program, {"x": x})["y"]
            assert bounds[k][end] in y[0, 0, k]


def test_padding_counts_as_zero() -> None:
    weights = np.array([[[1, 1, 1]]])
    inside = program_ranges(conv_program(weights, x_zero_point=-100, x="u8"))["y"].whole
    padded = program_ranges(conv_program(weights, x_zero_point=-100, x="u8", pads=(1, 1)))["y"].whole
    assert inside == (300, 3 * 355)
    assert padded == (0, 3 * 355)
    assert padded[0] <= 200  # two taps inside, one in the padding


def test_outputs_of_a_transposed_convolution_sum_the_taps_of_one_phase() -> None:
    weights, bias = np.array([[[1, 20, 300, 4000]]]), np.array([5])
    constants = {"w": Constant(dtype("i16"), weights), "b": Constant(dtype("i32"), bias)}
    conv = ops.ConvTranspose("y", "x", "w", "b", dtype("i32"), (2,), (1,), (0, 0), (0,), 1, 1)
    program = Program({"x": TensorType((1, 1, 8), dtype("u1"))}, ("y",), (conv,), constants)
    assert program_ranges(program)["y"].bounds == ((5 - 4020, 5),)  # taps 0 and 2, or 1 and 3; each 0 or -1


def test_pools_reach_over_the_positions_that_a_range_tells_apart() -> None:
    """After a matmul each column has its own range; a pool along the columns mixes them."""
    weights = Constant(dtype("i8"), np.diag([1, 100, 1, 1]))
    matmul = ops.MatMul("m", "x", "w", None, dtype("i32"))
    requant = ops.Requant("q", "m", Linear(((Fraction(1),),), axis=2), Grid.full(dtype("i16")))
    window = ((3,), (1,), (1,), (1, 1))
    pools = (ops.MaxPool("y", "q", *window), ops.AvgPool("z", "q", dtype("i32"), *window, (0, 0)))
    program = Program({"x": TensorType((1, 2, 4), dtype("u4"))}, ("y", "z"), (matmul, requant, *pools), {"w": weights})
    ranges = program_ranges(program)
    assert ranges["m"].bounds == ((0, 15), (0, 1500), (0, 15), (0, 15))
    assert ranges["y"].bounds == ((0, 1500),)
    assert ranges["z"].bounds == ((0, 6 * 1500),)


def test_groups_read_their_own_channels() -> None:
    weights = np.array([[[1]], [[2]], [[3]], [[4]]])
    grid = Grid.full(dtype("u8"))
    linear = Linear(((Fraction(0), Fraction(1)),), (Fraction(9), Fraction(0)))
    requant = ops.Requant("q", "x", linear, grid)
    conv = ops.Conv("y", "q", "w", None, dtype("i32"), (1,), (1,), (0, 0), 2)
    program = Program(
        {"x": TensorType((1, 2, 4), dtype("u4"))}, ("y",), (requant, conv), {"w": Constant(dtype("i8"), weights)}
    )
    assert program_ranges(program)["q"].bounds == ((9, 9), (0, 15))
    assert program_ranges(program)["y"].bounds == ((9, 9), (18, 18), (0, 45), (0, 60))


def test_an_accumulator_that_overflows_is_refused_by_name() -> None:
    weights = np.full((2, 300, 3), 127)
    weights[0] = 1
    program = conv_program(weights, x="u32")
    text = r"conv %y \(from Conv_7\): values reach \[0, \d+\] in channel 0, which i32 cannot hold"
    with pytest.raises(ProgramError, match=text) as caught:
        prove(program, FMA)
    assert "64-bit accumulator" in str(caught.value)
    assert program_ranges(conv_program(weights, "i64", x="u32"))["y"].whole[1] == 127 * 900 * (2**32 - 1)


def test_a_sum_beyond_int64_is_refused_without_wrapping() -> None:
    mul = ops.Mul("y", "x", "x", dtype("i64"))
    square = ops.Mul("z", "y", "y", dtype("i64"))
    program = Program({"x": TensorType((1, 2), dtype("u32"))}, ("z",), (mul, square))
    with pytest.raises(ProgramError, match=r"mul %y: values reach \[0, 18446744065119617025\]"):
        program_ranges(program)


def test_a_cast_that_cannot_hold_its_values_is_refused() -> None:
    program = Program({"x": TensorType((1, 2), dtype("u8"))}, ("y",), (ops.Cast("y", "x", dtype("i8")),))
    with pytest.raises(ProgramError, match=r"cast %y: values reach \[0, 255\], which i8 cannot hold"):
        program_ranges(program)
