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
from math import gcd, isqrt, sqrt

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


@dataclass(frozen=True)
class Offsets:
    """Offsets of functions that are equal otherwise: numerators[s] / denominator, the latter positive."""

    numerators: tuple[int, ...]
    denominator: int

    @staticmethod
    def of(value: Fraction) -> Offsets:
        """A single one."""
        return Offsets((value.numerator,), value.denominator)


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
    (changes,) = level_changes(channel, Offsets.of(channel.offset), levels, grid.rounding, lo, hi)
    return StepFunction(lo, hi, at_lo, direction, np.ascontiguousarray(changes))


def level_changes(
    channel: ChannelLinear, offsets: Offsets, levels: NDArray[np.int64], rounding: Rounding, lo: int, hi: int
) -> NDArray[np.int64]:
    """(offsets, levels): the operands in [lo, hi] at which a function that has each of the offsets passes each level.

    Of a rising function the first operand with a rounded value of at least the level; of a falling one, with the levels
    in falling order, the first with a smaller value. lo stands for anything up to there, hi + 1 for anything beyond hi.

    Args:
        channel: a function of one operand, its factor not 0; its own offset does not count.
        levels: rising by ones, zero point left out.
    """
    (factor,) = channel.factors
    if factor > 0:
        return _first_reaching(channel, offsets, levels, rounding, (lo, hi))
    # value(x) = mirrored(-x): it reaches a level up to x = -first, so it leaves the level at 1 - first
    mirrored = ChannelLinear((-factor,), channel.offset, channel.radicand, channel.shift)
    return 1 - _first_reaching(mirrored, offsets, levels, rounding, (-hi, -lo))[:, ::-1]


def _first_reaching(
    channel: ChannelLinear, offsets: Offsets, levels: NDArray[np.int64], rounding: Rounding, ends: tuple[int, int]
) -> NDArray[np.int64]:
    """The smallest integer whose rounded value is >= each level; the factor is positive."""
    inclusive = (levels & 1) == 0 if rounding is Rounding.HALF_EVEN else levels >= 1
    rational = channel.as_rational()
    if rational is not None:
        return _first_reaching_rational(channel, rational.factors[0], offsets, levels, inclusive, ends)
    return _first_reaching_root(channel, offsets, levels, inclusive, ends)


def _first_reaching_rational(
    channel: ChannelLinear,
    factor: Fraction,
    offsets: Offsets,
    levels: NDArray[np.int64],
    inclusive: NDArray[np.bool_],
    ends: tuple[int, int],
) -> NDArray[np.int64]:
    """Ceilings of (slope·level + start) / divisor, plus one where that is an integer and the tie rounds down.

    Args:
        factor: that of the channel divided by the root.
    """
    inverse_root, shift = factor / channel.factors[0], channel.shift
    scale = offsets.denominator * inverse_root.denominator * shift.denominator  # the denominator of all real offsets
    weight = inverse_root.numerator * shift.denominator
    still = shift.numerator * offsets.denominator * inverse_root.denominator
    slope, divisor = 2 * scale * factor.denominator, 2 * scale * factor.numerator
    starts = [-(scale + 2 * (n * weight + still)) * factor.denominator for n in offsets.numerators]
    common = gcd(slope, divisor, *starts)
    slope, divisor, starts = slope // common, divisor // common, [start // common for start in starts]
    largest = max(1, abs(int(levels[0])), abs(int(levels[-1]))) if len(levels) else 1
    if slope * largest + max(map(abs, starts)) < _INT64_SAFE and divisor < _INT64_SAFE:
        numerators = levels * slope + np.array(starts, np.int64)[:, None]
        return np.clip(np.where(inclusive, -(-numerators // divisor), numerators // divisor + 1), ends[0], ends[1] + 1)

    def exactly(section: int, level: int, at_tie: bool) -> int:
        numerator = slope * level + starts[section]
        return -(-numerator // divisor) if at_tie else numerator // divisor + 1

    try:
        alpha, betas = slope / divisor, np.array([start / divisor for start in starts])[:, None]
    except OverflowError:
        return _each(exactly, np.ones((len(starts), len(levels)), np.bool_), levels, inclusive, ends)
    rising = levels.astype(np.float64) * alpha
    error = _RATIONAL_ERROR * (np.abs(rising) + np.abs(betas))
    return _decide(rising + betas, error, exactly, levels, inclusive, ends)


def _first_reaching_root(
    channel: ChannelLinear,
    offsets: Offsets,
    levels: NDArray[np.int64],
    inclusive: NDArray[np.bool_],
    ends: tuple[int, int],
) -> NDArray[np.int64]:
    """The same for an irrational root: x·factor + offset against (level - 1/2 - shift)·sqrt(radicand)."""
    (factor,), radicand, shift = channel.factors, channel.radicand, channel.shift
    common = factor.denominator * offsets.denominator
    a = factor.numerator * offsets.denominator
    under_root = common * common * radicand.numerator * radicand.denominator
    m = radicand.denominator * 2 * shift.denominator

    def exactly(section: int, level: int, at_tie: bool) -> int:
        # m·(a·x + b) >= p·sqrt(under_root), both sides integers or irrational; equality is possible only for p = 0.
        b = offsets.numerators[section] * factor.denominator
        p = (2 * level - 1) * shift.denominator - 2 * shift.numerator
        root = isqrt(p * p * under_root)
        bound = root + 1 if p > 0 else -root if p < 0 else 0 if at_tie else 1
        return -((m * b - bound) // (m * a))

    try:
        alpha = sqrt(radicand) / float(factor)
        moved = float(shift) * alpha
        betas = np.array([n * factor.denominator / a for n in offsets.numerators])[:, None]
    except (OverflowError, ZeroDivisionError):
        return _each(exactly, np.ones((len(offsets.numerators), len(levels)), np.bool_), levels, inclusive, ends)
    rising = (levels.astype(np.float64) - 0.5) * alpha
    error = _ROOT_ERROR * (np.abs(rising) + abs(moved) + np.abs(betas))
    return _decide(rising - moved - betas, error, exactly, levels, inclusive, ends)


_Exactly = Callable[[int, int, bool], int]


def _decide(
    estimate: NDArray[np.floating],
    error: NDArray[np.floating],
    exactly: _Exactly,
    levels: NDArray[np.int64],
    inclusive: NDArray[np.bool_],
    ends: tuple[int, int],
) -> NDArray[np.int64]:
    """Ceilings of the estimates; those too close to an integer are computed exactly, unless beyond the ends."""
    lo, hi = ends
    below, beyond = estimate + error < lo - 1, estimate - error > hi + 1
    unsure = ~(np.abs(estimate - np.rint(estimate)) > error)
    first = np.ceil(np.where(unsure | below | beyond, 0.0, estimate)).astype(np.int64)
    first = np.clip(np.where(below, lo, np.where(beyond, hi + 1, first)), lo, hi + 1)
    unsure &= ~(below | beyond)
    if unsure.any():
        first[unsure] = _each(exactly, unsure, levels, inclusive, ends)[unsure]
    return first


def _each(
    exactly: _Exactly,
    asked: NDArray[np.bool_],
    levels: NDArray[np.int64],
    inclusive: NDArray[np.bool_],
    ends: tuple[int, int],
) -> NDArray[np.int64]:
    """Exact results where they are asked for, moved to the ends where they lie beyond."""
    results = np.zeros(asked.shape, np.int64)
    for section, place in zip(*(axis.tolist() for axis in np.nonzero(asked)), strict=True):
        result = exactly(section, int(levels[place]), bool(inclusive[place]))
        results[section, place] = min(max(result, ends[0]), ends[1] + 1)
    return results


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
