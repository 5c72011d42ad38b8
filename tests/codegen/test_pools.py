"""Pools: every window, with and without padding in the average."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeconv.ir import Grid, Linear, dtype
from edgeconv.ir import operators as ops

from .agreement import Parts, assert_agrees, kernels

pytestmark = pytest.mark.needs_gcc

WINDOWS = (
    ((23,), (3,), (2,), (1,), (1, 1)),
    ((24,), (2,), (2,), (1,), (0, 0)),
    ((19,), (3,), (1,), (2,), (2, 2)),
    ((9, 11), (3, 3), (2, 2), (1, 1), (1, 1, 1, 1)),
    ((8, 7), (2, 3), (1, 2), (1, 1), (1, 0, 0, 2)),
    ((5, 6), (5, 6), (1, 1), (1, 1), (0, 0, 0, 0)),
)


CHANNELS = (17, 70, 1)


def test_max_pool(isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=9)
    for number, (extents, kernel, strides, dilations, pads) in enumerate(WINDOWS):
        element = ("u8", "i8", "i16", "i3", "u16", "i32")[number]
        x = parts.input(element, 1, CHANNELS[number % 3], *extents)
        parts.add(ops.MaxPool(parts.fresh, x, kernel, strides, dilations, pads))
    code = assert_agrees(parts, isa, tmp_path)
    assert ("max_pool.rows" in kernels(code)) == (isa != "generic")


def test_avg_pool(isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=10)
    for number, (extents, kernel, strides, dilations, pads) in enumerate(WINDOWS):
        for counted in {pads, (0,) * len(pads)}:
            x = parts.input(("u8", "i8", "i16")[number % 3], 1, CHANNELS[number // 2], *extents)
            pool = ops.AvgPool(parts.fresh, x, dtype("i32"), kernel, strides, dilations, pads, counted, 3)
            acc = parts.add(pool)
            multiple = pool.window.count_multiple(extents, counted)
            grid = Grid.full(dtype(("u8", "i8", "i16")[number % 3]), 2)
            if number != 1:
                parts.add(ops.Requant(parts.fresh, acc, Linear(((parts.factor(1.1) / multiple,),)), grid))
    assert_agrees(parts, isa, tmp_path)
