"""Random requantizations whose outputs use their range, with ties made likely."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, log2, prod

import numpy as np
from numpy.typing import NDArray

from edgeconv.ir import DType, Grid, Linear, Rounding, dtype
from tests.generate.choices import Choices

STYLES = ("dyadic", "dyadic", "float", "float", "rational")


def random_grid(
    choose: Choices,
    types: tuple[str, ...] = ("u8", "i8", "i8", "u8", "u8", "i8", "i4", "u3", "i2", "u7", "i16", "u16", "i12"),
) -> Grid:
    """A grid over a random type: zero points, narrow clips and both rounding modes occur."""
    type_ = dtype(choose.pick(types))
    lo, hi = type_.lo, type_.hi
    if choose.chance(20):
        lo = choose.integer(lo, (lo + hi) // 2)
        hi = choose.integer(max(lo, (type_.lo + type_.hi) // 2), hi)
    zero_point = choose.integer(type_.lo, type_.hi) if choose.chance(40) else 0
    return Grid(type_, lo, hi, zero_point, Rounding.HALF_AWAY if choose.chance(20) else Rounding.HALF_EVEN)


def factor_near(choose: Choices, wanted: float, style: str, scale: Fraction, *, product: bool = True) -> Fraction:
    """A rational near `wanted`, of one of the kinds that occur in networks.

    Args:
        style: "dyadic", "float" (a quotient of float32 scales) or "rational" (a small denominator).
        scale: of the output, for quotients of scales.
        product: the numerator is a product of two scales, as behind a convolution.
    """
    if style == "dyadic":
        bits = choose.integer(0, 3)
        exponent = ceil(log2(wanted)) - bits - 1
        odd = 2 * choose.integer(0, (1 << bits) - 1) + 1
        return Fraction(odd) * Fraction(2) ** exponent
    if style == "rational":
        denominator = choose.pick((3, 5, 10, 12, 100))
        numerator = max(1, round(wanted * denominator)) if wanted * denominator < 1 << 40 else 1
        return (
            Fraction(numerator, denominator) if wanted * denominator >= 0.5 else Fraction(1, max(2, round(1 / wanted)))
        )
    scales = choose.numbers().uniform(0.5, 2, 2 if product else 1).astype(np.float32)
    return prod(Fraction(float(s)) for s in scales) / scale * Fraction(2) ** round(log2(wanted))


def random_linear(choose: Choices, operands: list[NDArray[np.int64]], grid: Grid, channels: int, axis: int) -> Linear:
    """A linear function that spreads the sum of the operands over the grid.

    Args:
        operands: sample values, to know their spread.
        channels: 1, or the extent of `axis` for per-channel factors.
    """
    width = max(1, grid.hi - grid.lo)
    scale = Fraction(float(np.float32(choose.numbers().uniform(0.5, 2))))
    # Channels that divide exactly beside channels of long fractions: finer grids may have no common form for them.
    style = choose.pick((*STYLES, "mixed") if width < 1 << 12 else STYLES)
    factors = []
    for values in operands:
        spread = max(1.0, float(values.max() - values.min()) if values.size else 1.0)
        wanted = width / spread / len(operands) * choose.pick((0.3, 0.8, 1.0, 1.3, 3.0))
        styles = [choose.pick(STYLES) if style == "mixed" else style for _ in range(channels)]
        row = [
            factor_near(choose, wanted, each, scale, product=len(operands) == 1) * (-1 if choose.chance(6) else 1)
            for each in styles
        ]
        factors.append(tuple(row))
    middle = [float((v.max() + v.min()) / 2) if v.size else 0.0 for v in operands]
    offset: list[Fraction] = []
    target = (grid.lo + grid.hi) / 2 - grid.zero_point
    for channel in range(channels):
        shift = target - sum(float(row[channel]) * m for row, m in zip(factors, middle, strict=True))
        offset.append(_offset(choose, shift))
    if choose.chance(50):
        offset = [Fraction(0)] * channels
    radicand, shift_row = (Fraction(1),), (Fraction(0),)
    if choose.chance(8) and len(operands) == 1:
        radicand = tuple(Fraction(float(np.float32(v))) for v in choose.numbers().uniform(0.5, 2, channels))
        shift_row = tuple(Fraction(choose.integer(-20, 20), 7) for _ in range(channels))
    return Linear(tuple(factors), _shorten(offset), radicand, shift_row, axis)


def _offset(choose: Choices, wanted: float) -> Fraction:
    style = choose.pick(("half", "float", "integer"))
    if style == "half":
        return Fraction(2 * round(wanted) + 1, 2)
    return Fraction(round(wanted)) if style == "integer" else Fraction(float(np.float32(wanted)))


def _shorten(row: list[Fraction]) -> tuple[Fraction, ...]:
    return (row[0],) if len(set(row)) == 1 else tuple(row)


def spread_values(choose: Choices, type_: DType, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Integers of a type: uniform, or at the ends of the range, where saturation shows."""
    rng = choose.numbers()
    values = rng.integers(type_.lo, type_.hi, shape, endpoint=True)
    if choose.chance(15):
        values = np.where(rng.integers(0, 2, shape) == 0, type_.lo, type_.hi)
    return np.asarray(values, np.int64)
