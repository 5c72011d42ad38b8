"""Requantizations, sums, products, tables and thresholds of single elements."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edgeconv.integer import FMA
from edgeconv.integer.sums import SumChannel, find_sum_forms
from edgeconv.ir import Grid, Linear, Rounding, dtype
from edgeconv.ir import operators as ops
from edgeconv.ir.forms import PANEL, ProvedForms

from .agreement import Parts, assert_agrees, kernels

pytestmark = pytest.mark.needs_gcc

SHAPES = ((1, 5, 13), (1, 64, 9), (1, 3, 5, 7), (1, 70))


def add(
    parts: Parts, elements: tuple[str, ...], shapes: tuple[tuple[int, ...], ...], grid: Grid, channels: int = 1
) -> None:
    names = tuple(parts.input(element, *shape) for element, shape in zip(elements, shapes, strict=True))
    spread = [(grid.hi - grid.lo + 1) / (dtype(e).hi - dtype(e).lo + 1) for e in elements]
    factors = tuple(tuple(parts.factor(s) for _ in range(channels)) for s in spread)
    offset = tuple(Fraction(int(parts.rng.integers(-40, 40)), 2) for _ in range(channels))
    parts.add(ops.Add(parts.fresh, names, Linear(factors, offset), grid))


def test_add(isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=3)
    for shape in SHAPES[:2]:
        add(parts, ("u8", "u8"), (shape, shape), Grid.full(dtype("u8"), 17))
    for shape in SHAPES[2:]:
        add(parts, ("i8", "i8"), (shape, shape), Grid(dtype("i8"), 0, 127, -3))
    add(parts, ("u8", "i5", "i8"), ((1, 9, 4),) * 3, Grid.full(dtype("i8")))
    add(parts, ("i16", "u8"), ((1, 6, 21), (1, 6, 21)), Grid.full(dtype("i16")))
    add(parts, ("u8", "u8"), ((1, 7, 5, 6), (1, 7, 1, 1)), Grid.full(dtype("u8")))
    add(parts, ("u8", "i8"), ((1, 7, 5, 6), (6,)), Grid.full(dtype("u8")))
    add(parts, ("u8", "i8"), ((1, 5, 8), (1, 5, 8)), Grid.full(dtype("u8"), 5, Rounding.HALF_AWAY), channels=5)
    code = assert_agrees(parts, isa, tmp_path)
    assert ("add.rows" in kernels(code)) == (isa != "generic")


@pytest.mark.slow
def test_sums_of_rows_with_a_factor_for_each_channel(any_isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=10)
    for shape in ((1, 24, 23), (1, 16, 40), (1, 5, 7, 9), (1, 70), (1, 1, 30)):
        add(parts, ("i20", "i8"), (shape, shape), Grid.full(dtype("i8"), -3), channels=shape[1])
    add(parts, ("u8", "i8"), ((1, 33, 13), (1, 33, 13)), Grid.full(dtype("u8"), 5), channels=33)
    add(parts, ("i8", "i18", "u3"), ((1, 24, 11),) * 3, Grid(dtype("i8"), -100, 127, 77), channels=24)
    add(parts, ("i18", "i4"), ((1, 24, 11),) * 2, Grid(dtype("i16"), -30000, 31000, 77), channels=24)
    code = assert_agrees(parts, any_isa, tmp_path)
    assert ("add.rows" in kernels(code)) == (any_isa != "generic")
    assert any_isa == "generic" or any("in float64" in entry.detail for entry in code.report)


def test_a_sum_whose_panels_carry_different_kinds(any_isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=9)
    add(parts, ("i12", "u4"), ((1, 40, 21), (1, 40, 21)), Grid.full(dtype("i8"), -3), channels=40)
    (operator,) = parts.operators
    assert isinstance(operator, ops.Add)
    kinds = ("add_fma_f32", "add_mul_shift", "ratio")
    ranges = ((-2048, 2047), (0, 15))
    sums = [SumChannel(operator.linear.channel(k), operator.grid, ranges) for k in range(40)]
    panels = [sums[first : first + PANEL] for first in range(0, 40, PANEL)]
    proved = [find_sum_forms(panel, replace(FMA, add=(kind,))) for panel, kind in zip(panels, kinds, strict=True)]
    bounds = tuple((bound,) for bound in ranges)
    forms = ProvedForms(operator.output, tuple(form for panel in proved for form in panel), bounds)
    code = assert_agrees(parts, any_isa, tmp_path, forms={operator.output: forms})
    first = "integer division or multiply and shift" if any_isa == "generic" else "float32 fma or multiply and shift"
    assert any(entry.kernel == "add.scalar" and entry.detail.startswith(first) for entry in code.report)


def test_requant(isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=4)
    for source, target in (("u8", "u8"), ("i8", "u4"), ("i16", "i8"), ("u8", "i16"), ("i20", "u8"), ("i7", "i8")):
        for shape, channels in ((SHAPES[1], 1), (SHAPES[2], 1), (SHAPES[2], 3)):
            grid = Grid.full(dtype(target), int(parts.rng.integers(0, 5)))
            size = (grid.hi - grid.lo) / (dtype(source).hi - dtype(source).lo)
            factors = tuple(parts.factor(size) for _ in range(channels))
            x = parts.input(source, *shape)
            parts.add(ops.Requant(parts.fresh, x, Linear((factors,)), grid))
    assert_agrees(parts, isa, tmp_path)


def test_mul_and_cast(isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=5)
    for elements, shapes, type_ in (
        (("u8", "i8"), ((1, 5, 7), (1, 5, 7)), "i32"),
        (("i16", "u16"), ((1, 3, 4, 5), (1, 3, 1, 1)), "i64"),
        (("u3", "i4"), ((1, 17), (17,)), "i32"),
    ):
        x, y = (parts.input(e, *s) for e, s in zip(elements, shapes, strict=True))
        product = parts.add(ops.Mul(parts.fresh, x, y, dtype(type_), 3, -2))
        if type_ == "i32":
            reach = 300 * 300
            linear = Linear(((parts.factor(255 / reach),),))
            parts.add(ops.Requant(parts.fresh, product, linear, Grid.full(dtype("u8"))))
    for source, target in (("u8", "i32"), ("i8", "i16"), ("i5", "i64"), ("u8", "u16")):
        parts.add(ops.Cast(parts.fresh, parts.input(source, 1, 5, 9), dtype(target)))
    assert_agrees(parts, isa, tmp_path)


def test_table(isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=6)
    for source, target in (("u8", "u8"), ("i8", "i16"), ("i5", "u3"), ("i16", "i8"), ("u12", "u16"), ("i8", "f32")):
        for channels in (1, 6):
            entries = (1 << dtype(source).bits,) if channels == 1 else (channels, 1 << dtype(source).bits)
            if dtype(target).is_float:
                values = parts.rng.standard_normal(entries).astype(np.float32)
            else:
                values = parts.rng.integers(dtype(target).lo, dtype(target).hi, entries, endpoint=True)
            x = parts.input(source, 1, 6, 11)
            parts.add(ops.Table(parts.fresh, x, parts.constant(target, values)))
    assert_agrees(parts, isa, tmp_path)


def test_tables_of_bytes(any_isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=8)
    cases = (
        ("u8", "u8", (1, 16, 37)),
        ("i8", "i5", (1, 7, 5, 9)),
        ("u7", "i8", (1, 3, 300)),
        ("i4", "u8", (1, 70)),
        ("u1", "u3", (1, 2)),
    )
    for source, target, shape in cases:
        lo, hi, entries = dtype(target).lo, dtype(target).hi, 1 << dtype(source).bits
        values = parts.constant(target, parts.rng.integers(lo, hi, entries, endpoint=True))
        parts.add(ops.Table(parts.fresh, parts.input(source, *shape), values))
    code = assert_agrees(parts, any_isa, tmp_path)
    assert ("table.rows" in kernels(code)) == (any_isa != "generic")


def test_threshold(isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=7)
    for source, rows, levels in (("i8", 1, 3), ("i16", 5, 15), ("i32", 5, 255), ("u8", 1, 1), ("i64", 5, 16)):
        lo, hi = dtype(source).lo, dtype(source).hi
        x = parts.input(source, 1, 5, 23)
        # Thresholds that values meet exactly, some of them twice.
        met = parts.rng.choice(parts.arrays[x].reshape(-1), (rows, levels)).astype(np.int64)
        met[:, 0], met[:, -1] = lo, hi
        thresholds = parts.constant("i64", np.sort(met, axis=1))
        increasing = tuple(bool(flag) for flag in parts.rng.integers(0, 2, rows))
        base = tuple(0 if up else levels for up in increasing)
        parts.add(ops.Threshold(parts.fresh, x, thresholds, dtype("u8"), base, increasing))
    assert_agrees(parts, isa, tmp_path)
