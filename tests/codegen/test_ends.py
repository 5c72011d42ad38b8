"""Quantize and dequantize: one rounding, whatever the scale, the layout and the value."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edgeconv.ir import Grid, Linear, Rounding, dtype
from edgeconv.ir import operators as ops

from .agreement import SAMPLES, Parts, assert_agrees, kernels

pytestmark = pytest.mark.needs_gcc

SCALES = (0.1, 0.0078125, 1.0, 7.3, 1e-38, 1e-45, 3e38)
SPECIAL = (np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 3.4e38, -3.4e38, 1e-45, -1e-45, 1e-39)


def floats(parts: Parts, count: int, scale: float) -> np.ndarray:
    """Ties, their neighbours, ordinary, huge and special numbers."""
    with np.errstate(over="ignore", invalid="ignore"):
        ties = (parts.rng.integers(-600, 600, count) / 2 * np.float32(scale)).astype(np.float32)
        kinds = (
            ties,
            np.nextafter(ties, np.float32(np.inf)),
            np.nextafter(ties, np.float32(-np.inf)),
            (parts.rng.standard_normal(count) * 80 * scale).astype(np.float32),
            parts.rng.integers(-(2**31), 2**31, count).astype(np.int32).view(np.float32),
            parts.rng.choice(np.array(SPECIAL, np.float32), count),
        )
    return np.choose(parts.rng.integers(0, len(kinds), count), kinds)


def quantize(parts: Parts, shape: tuple[int, ...], scale: tuple[float, ...], grid: Grid, offset: float = 0.0) -> None:
    values = floats(parts, SAMPLES * int(np.prod(shape)), scale[0])
    x = parts.input("f32", *shape, values=values)
    exact = tuple(float(np.float32(s)) for s in scale)
    parts.add(ops.Quantize(parts.fresh, x, exact, grid, float(np.float32(offset))))


@pytest.mark.parametrize("rounding", list(Rounding))
def test_quantize(isa: str, rounding: Rounding, tmp_path: Path) -> None:
    parts = Parts(seed=1)
    for scale in SCALES:
        quantize(parts, (1, 1, 150), (scale,), Grid.full(dtype("u8"), 3, rounding))
    quantize(parts, (1, 3, 53), (0.1, 0.7, 1e-3), Grid.full(dtype("i8"), -7, rounding))
    quantize(parts, (1, 5, 7, 6), (0.25,), Grid(dtype("i4"), -7, 7, 0, rounding))
    quantize(parts, (1, 70), (0.03,), Grid.full(dtype("i16"), 100, rounding))
    quantize(parts, (1, 2, 40), (0.003,), Grid.full(dtype("u16"), 32768, rounding))
    quantize(parts, (1, 1, 90), (0.05,), Grid.full(dtype("u8"), 0, rounding), offset=113.0)
    quantize(parts, (1, 2, 50), (0.05, 2.0), Grid.full(dtype("i8"), 0, rounding), offset=-3.5)
    for channels in (2, 3, 4, 12):
        quantize(parts, (1, channels, 37), (0.5,), Grid.full(dtype("i8"), 1, rounding))
    quantize(parts, (1, 3, 2, 34), (0.5,), Grid.full(dtype("u8"), 1, rounding))
    quantize(parts, (1, 33), (0.5,), Grid.full(dtype("i24"), 0, rounding))
    code = assert_agrees(parts, isa, tmp_path)
    assert ("quantize.rows" in kernels(code)) == (isa != "generic")


def test_dequantize_rows(any_isa: str, tmp_path: Path) -> None:
    """A signal, an image of one channel with and without a halo, and rows of numbers, of any width, clipped or not."""
    parts = Parts(seed=9)
    scale = Fraction(float(np.float32(0.037)))
    cases = (
        ("u8", (1, 1, 83), 128, None, None),
        ("i8", (1, 1, 5, 21), 0, Fraction(-1), Fraction(3)),
        ("u6", (1, 70), 3, Fraction(0), None),
        ("i16", (1, 1, 67), -300, None, Fraction(5, 3)),
        ("i20", (1, 9), 77, None, None),
    )
    for element, shape, zero, lo, hi in cases:
        x = parts.input(element, *shape)
        parts.add(ops.Dequantize(parts.fresh, (x,), Linear(((scale,),), (-scale * zero,)), lo, hi))
        if len(shape) == 4:  # a convolution that wants padding around the image
            w = parts.constant("i8", parts.rng.integers(-128, 127, (2, 1, 3, 3)))
            ones = (1, 1)
            parts.add(ops.Conv(parts.fresh, x, w, None, dtype("i32"), ones, ones, (1,) * 4, 1, 0))
    code = assert_agrees(parts, any_isa, tmp_path)
    assert ("dequantize.rows" in kernels(code)) == (any_isa != "generic")


def test_many_channels_between_floats(any_isa: str, tmp_path: Path) -> None:
    """Planes of more than sixteen channels put side by side, and channels taken apart into planes of floats."""
    parts = Parts(seed=12)
    scale = Fraction(float(np.float32(0.037)))
    cases = (
        ("u8", (1, 17, 37), 3, None, None),
        ("i8", (1, 64, 33), -5, Fraction(-1), Fraction(3)),
        ("u4", (1, 46, 3, 18), 0, None, Fraction(1, 3)),
        ("i16", (1, 30, 2, 21), 300, None, None),
        ("u16", (1, 23, 40), 32768, Fraction(0), None),
        ("i8", (1, 71, 2, 16), 0, None, None),
        ("u8", (1, 24, 2, 5), 1, None, None),
    )
    for element, shape, zero, lo, hi in cases:
        grid = Grid.full(dtype(element), zero)
        quantize(parts, shape, (0.5,), grid)
        quantized = parts.operators[-1].output
        parts.add(ops.Dequantize(parts.fresh, (quantized,), Linear(((scale,),), (-scale * zero,)), lo, hi))
        w = parts.constant("i8", parts.rng.integers(-128, 127, (shape[1], 1, *(3 for _ in shape[2:]))))
        ones = (1,) * len(shape[2:])
        parts.add(ops.Conv(parts.fresh, quantized, w, None, dtype("i32"), ones, ones, ones * 2, shape[1], 0))
    for element, shape in (("u8", (1, 33, 40)), ("i8", (1, 64, 2, 33)), ("i16", (1, 22, 19)), ("u16", (1, 47, 35))):
        ones = (1,) * len(shape[2:])
        parts.add(ops.MaxPool(parts.fresh, parts.input(element, *shape), ones, ones, ones, (0, 0) * len(ones)))
    code = assert_agrees(parts, any_isa, tmp_path)
    assert ("dequantize.planes" in kernels(code)) == (any_isa != "generic")


def scale_product(parts: Parts) -> Fraction:
    """The product of two float32 scales: 48 bits."""
    return Fraction(float(np.float32(parts.rng.uniform(1e-3, 0.1)))) * Fraction(float(np.float32(parts.rng.random())))


def test_dequantize(isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=2)
    one = Fraction(float(np.float32(0.037)))
    wide = scale_product(parts)

    def dequantize(
        elements: tuple[str, ...], linear: Linear, lo: Fraction | None = None, hi: Fraction | None = None
    ) -> None:
        inputs = []
        for element in elements:
            name = parts.input(element, 1, linear.channels, 40)
            # Short numbers too, where float32 has bits to spare.
            parts.arrays[name] >>= parts.rng.integers(0, dtype(element).bits, parts.arrays[name].shape).astype(
                parts.arrays[name].dtype
            )
            inputs.append(name)
        parts.add(ops.Dequantize(parts.fresh, tuple(inputs), linear, lo, hi))

    dequantize(("u8",), Linear(((one,),), (-one * 128,)))
    dequantize(("i16",), Linear(((one, one / 2, wide),)))
    dequantize(("i32",), Linear(((wide, wide / 3 * 3, scale_product(parts)),)))
    dequantize(("i32",), Linear(((wide,),), (wide * 77,)), Fraction(0), Fraction(6))
    dequantize(("i32",), Linear(((wide,),), (Fraction(1, 10),)), None, Fraction(1, 3))
    dequantize(("i32",), Linear(((wide / 49,),), (-wide,)))
    dequantize(("i32",), Linear(((-wide,),)))
    dequantize(("i64",), Linear(((Fraction(5, 3),),), (Fraction(1, 7),)))
    dequantize(("i64",), Linear(((Fraction(1),),)))
    dequantize(("i32", "u8"), Linear(((wide,), (one,)), (Fraction(-1, 10),)))
    batch_norm = Linear(((wide, one),), (one, Fraction(-3)), (one, Fraction(2)), (one, Fraction(3)))
    dequantize(("i32",), batch_norm)
    # Exactly zero left of the root, and a shift that is half way between two float32 numbers.
    dequantize(("i8",), Linear(((Fraction(1),),), (Fraction(-3),), (Fraction(2),), (Fraction(2**24 + 1),)))
    # Around the smallest float32 and beyond the largest.
    dequantize(("i32",), Linear(((Fraction(1, 3 << 149),),)))
    dequantize(("i32",), Linear(((Fraction(1, 1 << 160),),)))
    dequantize(("i32",), Linear(((Fraction(1 << 110),),)))
    code = assert_agrees(parts, isa, tmp_path)
    assert ("dequantize.float" in kernels(code)) == (isa != "generic")
