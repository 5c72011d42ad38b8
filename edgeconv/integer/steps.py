"""A requantization as a step function: every accumulator at which its value changes, computed exactly and in bulk.

`ChannelLinear.first_reaching` defines one threshold; this module finds all thresholds of a channel inside a range at
once (a test holds the two equal). Floats only propose: a threshold whose float estimate lies within its error bound of
an integer is decided again with integers of any size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import isqrt, sqrt

import numpy as np
from numpy.typing import NDArray

from edgeconv.ir.exact import ChannelLinear, Grid, Rounding, quantize_exact

MAX_STEPS = 1 << 20
"""Steps of one channel that are still listed one by one (16 times those of a 16-bit output)."""

_INT64_SAFE = 1 << 62
_RATIONAL_ERROR, _ROOT_ERROR = 2.0**-50, 2.0**-47  # above the sum of 4 resp. 8 relative roundings of 2⁻⁵³


@dataclass(frozen=True, eq=False)
class StepFunction:
    """The value of one requantized channel on [lo, hi]: base + direction·#{j: acc >= changes[j]}.

    Attributes:
        changes: int64, in non-decreasing order, all in (lo, hi]; a jump by several levels is listed several times.
        direction: 1 where the value rises with the accumulator, -1 where it falls.
    """

    lo: int
    hi: int
    base: int
    direction: int
    changes: NDArray[np.int64]

    def __call__(self, acc: NDArray[np.int64]) -> NDArray[np.int64]:
        """The exact value at each accumulator."""
        return self.base + self.direction * np.searchsorted(self.changes, acc, side="right").astype(np.int64)

    @cached_property
    def points(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Both ends and both sides of every step: accumulators and exact values."""
        acc = np.concatenate([np.array([self.lo, self.hi], np.int64), self.changes - 1, self.changes])
        return acc, self(acc)


def step_function(channel: ChannelLinear, grid: Grid, lo: int, hi: int) -> StepFunction | None:
    """All steps of a requantization on [lo, hi]; None where there are more than `MAX_STEPS`.

    Args:
        channel: a function of one operand.
    """
    at_lo, at_hi = (quantize_exact(channel, grid, (acc,)) for acc in (lo, hi))
    direction = 1 if at_hi >= at_lo else -1
    if at_lo == at_hi:
        return StepFunction(lo, hi, at_lo, direction, np.empty(0, np.int64))
    bottom, top = min(at_lo, at_hi), max(at_lo, at_hi)
    if top - bottom > MAX_STEPS:
        return None
    levels = np.arange(bottom + 1, top + 1, dtype=np.int64) - grid.zero_point
    if direction > 0:
        changes = _first_reaching(channel, levels, grid.rounding)
    else:  # value(x) = mirrored(-x): it reaches a level up to x = -first, so it leaves the level at 1 - first
        mirrored = ChannelLinear((-channel.factors[0],), channel.offset, channel.radicand, channel.shift)
        changes = 1 - _first_reaching(mirrored, levels, grid.rounding)[::-1]
    return StepFunction(lo, hi, at_lo, direction, np.ascontiguousarray(changes))


def _first_reaching(channel: ChannelLinear, levels: NDArray[np.int64], rounding: Rounding) -> NDArray[np.int64]:
    """The smallest integer whose rounded value is >= each level; the factor is positive."""
    inclusive = (levels & 1) == 0 if rounding is Rounding.HALF_EVEN else levels >= 1
    rational = channel.as_rational()
    if rational is not None:
        return _first_reaching_rational(rational, levels, inclusive)
    return _first_reaching_root(channel, levels, inclusive)


def _first_reaching_rational(
    channel: ChannelLinear, levels: NDArray[np.int64], inclusive: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Ceilings of (slope·level + start) / divisor, plus one where that is an integer and the tie rounds down."""
    (factor,) = channel.factors
    scale = factor.denominator * channel.offset.denominator
    slope = 2 * scale
    start = -scale - 2 * channel.offset.numerator * factor.denominator
    divisor = 2 * factor.numerator * channel.offset.denominator
    largest = max(1, abs(int(levels[0])), abs(int(levels[-1])))
    if slope * largest + abs(start) < _INT64_SAFE and divisor < _INT64_SAFE:
        numerators = levels * slope + start
        return np.where(inclusive, -(-numerators // divisor), numerators // divisor + 1)

    def exactly(level: int, at_tie: bool) -> int:
        numerator = slope * level + start
        return -(-numerator // divisor) if at_tie else numerator // divisor + 1

    try:
        alpha, beta = slope / divisor, start / divisor
    except OverflowError:
        return _each(exactly, levels, inclusive)
    rising = levels.astype(np.float64) * alpha
    error = _RATIONAL_ERROR * (np.abs(rising) + abs(beta))
    return _decide(rising + beta, error, exactly, levels, inclusive)


def _first_reaching_root(
    channel: ChannelLinear, levels: NDArray[np.int64], inclusive: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The same for an irrational root: x·factor + offset against (level - 1/2 - shift)·sqrt(radicand)."""
    (factor,), offset, radicand, shift = channel.factors, channel.offset, channel.radicand, channel.shift
    common = factor.denominator * offset.denominator
    a, b = factor.numerator * offset.denominator, offset.numerator * factor.denominator
    under_root = common * common * radicand.numerator * radicand.denominator
    m = radicand.denominator * 2 * shift.denominator

    def exactly(level: int, at_tie: bool) -> int:
        # m·(a·x + b) >= p·sqrt(under_root), both sides integers or irrational; equality is possible only for p = 0.
        p = (2 * level - 1) * shift.denominator - 2 * shift.numerator
        root = isqrt(p * p * under_root)
        bound = root + 1 if p > 0 else -root if p < 0 else 0 if at_tie else 1
        return -((m * b - bound) // (m * a))

    try:
        alpha = sqrt(radicand) / float(factor)
        still = (float(shift) * alpha, float(offset / factor))
    except (OverflowError, ZeroDivisionError):
        return _each(exactly, levels, inclusive)
    rising = (levels.astype(np.float64) - 0.5) * alpha
    error = _ROOT_ERROR * (np.abs(rising) + abs(still[0]) + abs(still[1]))
    return _decide(rising - still[0] - still[1], error, exactly, levels, inclusive)


def _decide(
    estimate: NDArray[np.floating],
    error: NDArray[np.floating],
    exactly: Callable[[int, bool], int],
    levels: NDArray[np.int64],
    inclusive: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Ceilings of the estimates; those too close to an integer are computed exactly."""
    unsure = ~(np.abs(estimate - np.rint(estimate)) > error)
    first = np.ceil(np.where(unsure, 0.0, estimate)).astype(np.int64)
    if unsure.any():
        first[unsure] = _each(exactly, levels[unsure], inclusive[unsure])
    return first


def _each(
    exactly: Callable[[int, bool], int], levels: NDArray[np.int64], inclusive: NDArray[np.bool_]
) -> NDArray[np.int64]:
    pairs = zip(levels.tolist(), inclusive.tolist(), strict=True)
    return np.array([exactly(level, at_tie) for level, at_tie in pairs], np.int64)


def real_constants(channel: ChannelLinear) -> tuple[tuple[Fraction, ...], Fraction]:
    """Factors and offset of a channel with the root divided out: exact where it is rational, else to 2⁻¹²⁸ relative.

    Starting points for a search; no proof rests on them.
    """
    rational = channel.as_rational()
    if rational is not None:
        return rational.factors, rational.offset
    radicand = channel.radicand
    scaled = (radicand.numerator << 512) // radicand.denominator
    spare = max(0, 256 - scaled.bit_length() // 2) // 2 * 2
    root = Fraction(isqrt(scaled << (2 * spare)), 1 << (256 + spare))
    return tuple(factor / root for factor in channel.factors), channel.offset / root + channel.shift
