"""Random requantizations for the tests of proofs, ties and odd cases made likely."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeconv.integer.search import Channel
from edgeconv.ir import ChannelLinear, Grid, Rounding, dtype
from edgeconv.ir.exact import quantize_exact

DTYPES = ("u8", "i8", "u4", "i3", "i12")


@st.composite
def factors(draw: st.DrawFn) -> Fraction:
    """Dyadic (ties are exact), small odd denominators (ties no multiplier can hold), quotients of float32, or zero."""
    kind = draw(st.sampled_from(["dyadic", "odd", "float32", "float32", "zero"]))
    sign = draw(st.sampled_from([1, 1, -1]))
    if kind == "dyadic":
        return sign * Fraction(draw(st.integers(1, 15)), 1 << draw(st.integers(0, 8)))
    if kind == "odd":
        return sign * Fraction(draw(st.integers(1, 9)), 2 * draw(st.sampled_from([3, 5, 7, 9, 15, 25])))
    if kind == "zero":
        return Fraction(0)
    a, b = (Fraction(float(np.float32(draw(st.floats(0.01, 1.0))))) for _ in range(2))
    return sign * a / b


@st.composite
def offsets(draw: st.DrawFn) -> Fraction:
    """Nothing, an integer, a half (exact ties), or any rational."""
    return draw(
        st.one_of(
            st.just(Fraction(0)),
            st.integers(-50, 50).map(Fraction),
            st.integers(-50, 50).map(lambda n: Fraction(n, 2)),
            st.fractions(-20, 20, max_denominator=1000),
        )
    )


@st.composite
def channels(draw: st.DrawFn, roots: bool = True) -> Channel:
    """One channel with a range small enough for brute force."""
    radicand = draw(st.sampled_from([Fraction(1), Fraction(1), Fraction(9, 4), Fraction(2), Fraction(7, 3)]))
    shift = draw(st.sampled_from([Fraction(0), Fraction(0), Fraction(1, 2), Fraction(-7, 3)]))
    if not roots:
        radicand, shift = Fraction(1), Fraction(0)
    linear = ChannelLinear((draw(factors()),), draw(offsets()), radicand, shift)
    lo = draw(st.integers(-400, 300))
    return Channel(linear, draw(grids()), lo, lo + draw(st.integers(0, 500)))


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """A quantizer's integers, often narrower than their type."""
    type_ = dtype(draw(st.sampled_from(DTYPES)))
    lo = draw(st.integers(type_.lo, type_.hi))
    hi = draw(st.integers(lo, type_.hi))
    if draw(st.booleans()):
        lo, hi = type_.lo, type_.hi
    zero_point = draw(st.one_of(st.just(0), st.integers(type_.lo, type_.hi)))
    return Grid(type_, lo, hi, zero_point, draw(st.sampled_from(list(Rounding))))


@lru_cache(maxsize=4)
def everywhere(channel: Channel) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every accumulator of the range and its exact value, straight from the definition."""
    acc = np.arange(channel.lo, channel.hi + 1)
    return acc, np.array([quantize_exact(channel.linear, channel.grid, (int(a),)) for a in acc], np.int64)


def float32_channels(
    rng: np.random.Generator, fan_in: int, count: int, grid: Grid, offset: bool = False
) -> list[Channel]:
    """Channels as convolutions of this fan-in with float32 scales and 8-bit operands have them."""
    found = []
    for _ in range(count):
        weights = np.clip(np.rint(rng.standard_normal(fan_in) * 40), -127, 127).astype(np.int64)
        x_scale, w_scale = (_float32(rng.uniform(*bounds)) for bounds in ((0.005, 0.05), (0.001, 0.01)))
        spread = 2400 * np.sqrt(fan_in) * 2.5 / ((grid.hi - grid.lo) / (1 if grid.lo == 0 else 2))
        y_scale = _float32(float(x_scale * w_scale) * spread * rng.uniform(0.6, 1.6))
        bias = _float32(rng.uniform(-1, 1)) / y_scale if offset else Fraction(0)
        lo, hi = (int(255 * weights[side].sum()) for side in (weights < 0, weights > 0))
        linear = ChannelLinear((x_scale * w_scale / y_scale,), bias)
        found.append(Channel(linear, grid, lo - 3000, hi + 3000))
    return found


def _float32(value: float) -> Fraction:
    return Fraction(float(np.float32(value)))
