"""Linear resampling: generated code equals the reference bit for bit on every instruction set."""

from __future__ import annotations

from fractions import Fraction
from math import floor, lcm
from pathlib import Path

import numpy as np
import pytest

from edgeconv.codegen.isa.table import ISAS
from edgeconv.ir import Grid, Linear, dtype
from edgeconv.ir import operators as ops

from .agreement import Parts, assert_agrees

pytestmark = pytest.mark.needs_gcc
CASES = (
    ("u8", (20, 6), (12,)),
    ("i8", (3, 5), (7,)),
    ("u8", (70, 3, 4), (6, 8)),
    ("i16", (8, 4, 3), (7, 5)),
    ("u8", (16, 5, 7), (3, 2)),
    ("u8", (5, 9, 11), (23, 29)),
    ("u4", (33, 1, 1), (2, 3)),
)


def add(parts: Parts, element: str, shape: tuple[int, ...], resized: tuple[int, ...]) -> None:
    """Half-pixel resampling, requantized per channel."""
    lists, denominators = [], []
    for extent, out in zip(shape[1:], resized, strict=True):
        places = [(j + Fraction(1, 2)) * extent / out - Fraction(1, 2) for j in range(out)]
        places = [min(max(place, Fraction(0)), Fraction(extent - 1)) for place in places]
        denominators.append(lcm(*(place.denominator for place in places)))
        indices = tuple(map(floor, places))
        right = tuple(int((p - i) * denominators[-1]) for p, i in zip(places, indices, strict=True))
        lists.append((indices, tuple(denominators[-1] - weight for weight in right), right))
    indices, left, right = zip(*lists, strict=True)
    x = parts.input(element, 1, *shape)
    operator = ops.ResizeLinear(parts.fresh, x, dtype("i32"), indices, left, right, tuple(denominators), 3)
    acc = parts.add(operator)
    size = 2.0 ** (8 - dtype(element).bits) / operator.multiple
    linear = Linear((tuple(parts.factor(size) for _ in range(shape[0])),), axis=1)
    parts.add(ops.Requant(parts.fresh, acc, linear, Grid(dtype("u8"), 0, 255, 40)))


def test_equals_reference(isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=3)
    for case in CASES:
        add(parts, *case)
    code = assert_agrees(parts, isa, tmp_path)
    vectors = [entry.detail for entry in code.report if entry.kernel == "resize_linear.rows"]
    assert len(vectors) == (len(CASES) if ISAS[isa].lanes > 1 else 0)
    assert {detail.rpartition(" ")[2] for detail in vectors} == ({"int16", "int32"} if vectors else set())


def test_zeros_outside_and_sums_of_64_bits(isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=4)
    x = parts.input("u8", 1, 5, 3)
    zeros = ops.ResizeLinear(parts.fresh, x, dtype("i32"), ((0, 0, 2),), ((0, 1, 4),), ((0, 3, 0),), (4,), 9)
    parts.add(zeros)
    y = parts.input("i16", 1, 2, 2, 3)
    weights = ((0, 1, (1 << 20) - 1), (1 << 20, 7))
    wide = ops.ResizeLinear(
        parts.fresh, y, dtype("i64"), ((0, 0, 0), (1, 1)), weights,
        tuple(tuple((1 << 20) - w for w in row) for row in weights), (1 << 20, 1 << 20), -4,
    )  # fmt: skip
    acc = parts.add(wide)
    linear = Linear(((Fraction(float(np.float32(2.0**-48))),),), axis=1)
    parts.add(ops.Requant(parts.fresh, acc, linear, Grid(dtype("i8"), -128, 127)))
    assert_agrees(parts, isa, tmp_path)
