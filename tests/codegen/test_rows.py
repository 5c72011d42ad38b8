"""Softmax, normalizations, reductions and products of two activations: code of each instruction set on odd shapes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edgeconv.integer.rows import exponentials
from edgeconv.ir import Grid, Linear, Rescale, dtype
from edgeconv.ir import operators as ops

from .agreement import Parts, assert_agrees, kernels

pytestmark = pytest.mark.needs_gcc

# types of both sides, their shapes, zero points, and how the right side is transposed
PRODUCTS = [
    ("u8", "i8", (2, 3, 7, 12), (2, 3, 12, 19), (0, 0), None),
    ("i8", "i8", (1, 4, 9, 16), (1, 4, 16, 33), (-3, 5), None),
    ("u8", "u8", (5, 21), (21, 16), (128, 100), None),
    ("u8", "i8", (1, 2, 8, 5), (1, 2, 40, 5), (3, 7), (0, 1, 3, 2)),
    ("u8", "i8", (1, 5, 9, 6), (1, 6, 7, 5), (3, 7), (0, 3, 1, 2)),
    ("i8", "u8", (1, 2, 13, 9), (1, 1, 9, 3), (1, 0), None),
    ("u8", "i8", (1, 1, 30, 64), (1, 4, 64, 64), (0, 0), None),
    ("i4", "u3", (1, 3, 3), (1, 3, 3), (0, 2), None),
    ("i16", "i8", (1, 3, 5), (1, 5, 4), (9, 1), None),
]


def test_products_of_two_activations(isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=3)
    for left, right, x_shape, w_shape, zero_points, permutation in PRODUCTS:
        x, w = parts.input(left, *x_shape), parts.input(right, *w_shape)
        if permutation is not None:
            w = parts.add(ops.Transpose(parts.fresh, w, permutation))
        acc = parts.add(ops.MatMul(parts.fresh, x, w, None, dtype("i32"), *zero_points))
        grid = Grid.full(dtype("u8"), 3)
        parts.add(ops.Requant(parts.fresh, acc, Linear(((parts.factor(0.01),),)), grid))
    x, w = parts.input("u8", 1, 4, 6), parts.input("u8", 1, 6, 37)
    plain = parts.add(ops.MatMul(parts.fresh, x, w, None, dtype("i32"), 1, 200))
    factors = tuple(parts.factor(0.01) for _ in range(37))
    parts.add(ops.Requant(parts.fresh, plain, Linear((factors,), axis=2), Grid.full(dtype("i8"))))
    code = assert_agrees(parts, isa, tmp_path)
    ways = {entry.detail.rsplit(", ", 1)[-1] for entry in code.report if entry.kernel == "matmul.dynamic"}
    expected = {"rows interleaved", "words copied", "byte by byte"}
    assert ways == (set() if isa == "generic" else expected)


SHAPES = [((1, 5, 70), 2), ((1, 3, 64), 2), ((2, 9), 1), ((1, 4, 3, 1), 3), ((1, 6, 130), 2), ((1, 7, 11), 1)]


def _rescale(parts: Parts, shape: tuple[int, ...], axis: int, bits: int, width: float) -> Rescale:
    """Spreads ±1 in `bits` fractional bits over ±width, per channel of the axis; the first one meets ties."""
    count = shape[axis]
    shift = 50
    multipliers = np.ldexp(parts.rng.uniform(0.5, 1, count) * width, shift - bits).astype(np.int64)
    multipliers[0] = 1 << (shift - bits + int(np.log2(width)))
    return Rescale(tuple(multipliers.tolist()), tuple((parts.rng.integers(-9, 9, count) << 49).tolist()), shift, axis)


def test_softmax(isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=4)
    for number, (shape, axis) in enumerate(SHAPES * 2):
        element = ("u8", "i8", "i16", "u4", "u12", "i8", "i16", "u8", "i8", "u16", "i3", "u8")[number]
        bits = dtype(element).bits
        scale = Fraction(1, 1 << max(0, bits - 4))
        low = parts.constant("i32", exponentials(scale, 1 << min(bits, 8)))
        high = parts.constant("i32", exponentials(scale * 256, 1 << (bits - 8))) if bits > 8 else None
        grid = Grid.full(dtype(("u8", "i16")[number % 2]), number)
        along = axis if number % 3 else len(shape) - 1
        x = parts.input(element, *shape)
        rescale = _rescale(parts, shape, along, 31, 128)
        if number % 3 == 0:
            rescale = Rescale(rescale.multipliers[:1], (0,), rescale.shift)
        parts.add(ops.Softmax(parts.fresh, x, low, high, axis, rescale, grid))
    code = assert_agrees(parts, isa, tmp_path)
    assert ("softmax.rows" in kernels(code)) == (isa != "generic")
    assert "softmax.scalar" in kernels(code)


# type, shape, axes, groups, centered, zero point
ROWS = [
    ("u8", (1, 5, 70), (2,), 1, True, 130),
    ("i8", (1, 5, 64), (2,), 1, False, 3),
    ("i8", (1, 6, 11), (1, 2), 3, True, 0),
    ("u8", (2, 17), (1,), 1, True, 0),
    ("u8", (1, 4, 3, 5), (2, 3), 1, True, 9),
    ("i16", (1, 3, 20), (2,), 1, True, -40),
    ("i8", (1, 9, 4), (1,), 1, False, -5),
    ("i4", (1, 2, 1), (2,), 1, True, 1),
]


def test_normalize(isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=5)
    for number, (element, shape, axes, groups, centered, zero_point) in enumerate(ROWS):
        x = parts.input(element, *shape)
        last = len(shape) - 1
        rescale = _rescale(parts, shape, last, 26, 32)
        if axes != (last,):
            rescale = Rescale(rescale.multipliers[:1], rescale.addends[:1], rescale.shift)
        epsilon = (0, 1 << 9)[number % 2]
        grid = Grid.full(dtype(("u8", "i8", "i16")[number % 3]), 3)
        parts.add(ops.Normalize(parts.fresh, x, axes, groups, centered, zero_point, epsilon, 10, 26, rescale, grid))
    code = assert_agrees(parts, isa, tmp_path)
    assert ("normalize.rows" in kernels(code)) == (isa != "generic")
    assert "normalize.scalar" in kernels(code)


def test_reductions(isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=6)
    for number, (shape, axis) in enumerate(SHAPES):
        x = parts.input(("u8", "i8", "i16", "u3", "u16", "i32")[number], *shape)
        for axes in {(axis,), tuple(range(len(shape)))}:
            parts.add(ops.ReduceMax(parts.fresh, x, axes))
            parts.add(ops.ReduceMin(parts.fresh, x, axes))
            acc = parts.add(ops.ReduceSum(parts.fresh, x, dtype("i64" if number == 5 else "i32"), axes, 3))
            if number != 5:
                parts.add(ops.Requant(parts.fresh, acc, Linear(((parts.factor(0.01),),)), Grid.full(dtype("i8"))))
        for largest, last in ((True, False), (True, True), (False, False), (False, True)):
            parts.add(ops.ArgMax(parts.fresh, x, axis, largest, last))
    code = assert_agrees(parts, isa, tmp_path)
    assert ("reduce_sum.rows" in kernels(code)) == ("reduce_max.rows" in kernels(code)) == (isa != "generic")
