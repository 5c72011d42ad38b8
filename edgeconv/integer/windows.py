"""Constants of `FmaBitsF32`: a slope of 24 bits and an intercept that the start of the accumulator brings along.

The form computes round(acc·c + d), half-even, where d = base·c + shift with integers base (where the accumulator starts
in the window of floats that are integers) and shift (in the addend). Around r·acc + o every value has a little room
before it rounds to another integer; for one float c the admissible d are an interval, an exact one. base·c takes very
many values modulo 1, so that some base of the window nearly always puts d inside: base·m mod 2ˢ in an interval, where
c = m / 2ˢ, a linear inequality that Euclid's algorithm solves. So a float32 multiplier that is right at its slope but
for a few accumulators is made right at all of them, and real offsets need no second rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from edgeconv.integer.steps import StepFunction
from edgeconv.ir.exact import Grid
from edgeconv.ir.forms import MAGIC_F32, WINDOW, WINDOW_BITS, FmaBitsF32

__all__ = ["first_residue", "window_forms"]

_LARGEST_ADDEND = 1 << 24  # integers up to here are float32
_INT64_SAFE = 1 << 61
_OPEN = 1 << 62  # beyond every bound
_MARGIN = 1  # a fix moves an accumulator by one


def first_residue(factor: int, modulus: int, lo: int, hi: int) -> int | None:
    """The least x >= 0 with lo <= factor·x mod modulus <= hi, or None; 0 <= lo <= hi < modulus, 0 <= factor < modulus.

    Where no multiple of the factor lies in the interval itself, it is reached after y turns of the modulus, and
    modulus·y mod factor has to lie in the negated interval: the same question with smaller numbers.
    """
    if lo == 0:
        return 0
    if factor == 0:
        return None
    steps = -(-lo // factor)
    if steps * factor <= hi:
        return steps
    turns = first_residue(modulus % factor, factor, -hi % factor, -lo % factor)
    return None if turns is None else -(-(lo + modulus * turns) // factor)


@dataclass(frozen=True, eq=False)
class _Room:
    """For each point of a channel the bounds of d·2ˢ inside which acc·c + d rounds as it should.

    Attributes:
        multiplier, digits: c = multiplier / 2^digits.
        low, high: int64, inclusive.
    """

    multiplier: int
    digits: int
    low: NDArray[np.int64]
    high: NDArray[np.int64]

    def interval(self, kept: NDArray[np.bool_]) -> tuple[int, int]:
        """The common interval of the points that are kept; at most one turn of the intercept where a side is open."""
        lo, hi = int(self.low[kept].max()), int(self.high[kept].min())
        if lo == -_OPEN:
            lo = (0 if hi == _OPEN else hi) - (1 << self.digits)
        return lo, lo + (1 << self.digits) if hi == _OPEN else hi


def _room(steps: StepFunction, grid: Grid, factor: float) -> _Room | None:
    """The room around each step, or None where a number may leave int64."""
    multiplier, denominator = Fraction(factor).as_integer_ratio()
    digits = denominator.bit_length() - 1
    if digits == 0:
        multiplier, digits = 2 * multiplier, 1
    acc, expected = steps.points
    level = expected - grid.zero_point
    half = 1 << (digits - 1)
    reach = max(abs(steps.lo), abs(steps.hi)) * abs(multiplier) + (2 * int(np.abs(level).max()) + 1) * half
    if multiplier == 0 or reach >= _INT64_SAFE:
        return None
    # A tie goes to the even level: only there the bound itself is admissible. Levels that are clipped are open outward.
    odd = level & 1
    low = (2 * level - 1) * half - acc * multiplier + odd
    high = (2 * level + 1) * half - acc * multiplier - odd
    low[expected == grid.lo] = -_OPEN
    high[expected == grid.hi] = _OPEN
    return _Room(multiplier, digits, low, high)


def window_forms(steps: StepFunction, grid: Grid, factors: Sequence[float], spared: int) -> Iterator[FmaBitsF32]:
    """Forms that are right everywhere but at `spared` of the points next to steps, one or none for each factor.

    Args:
        factors: float32 next to the slope of the channel.
        spared: points that may be wrong, because fixes will serve them.
    """
    for factor in factors:
        room = _room(steps, grid, factor) if np.isfinite(factor) else None
        if room is None:
            continue
        kept = np.ones(room.low.shape, bool)
        for _ in range(spared):
            if kept.any():
                kept &= ~_tightest(room, kept)
        form = _start_inside(steps, factor, room, room.interval(kept)) if kept.any() else None
        if form is not None:
            yield form


def _tightest(room: _Room, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The accumulator whose absence leaves the widest interval."""
    places = np.flatnonzero(kept)
    found = []
    for place in (places[np.argmax(room.low[places])], places[np.argmin(room.high[places])]):
        same = (room.low == room.low[place]) & (room.high == room.high[place])
        rest = kept & ~same
        lo, hi = room.interval(rest) if rest.any() else (0, 0)
        found.append((hi - lo, same))
    return max(found, key=lambda pair: pair[0])[1]


def _start_inside(steps: StepFunction, factor: float, room: _Room, interval: tuple[int, int]) -> FmaBitsF32 | None:
    """The first start in the window whose intercept lies in the interval."""
    lo, hi = interval
    first, last = WINDOW + _MARGIN - steps.lo, 2 * WINDOW - 1 - _MARGIN - steps.hi
    if lo > hi or first > last:
        return None
    one = 1 << room.digits
    base: int | None = first
    begin = (lo - first * room.multiplier) % one
    if begin + hi - lo < one:
        found = first_residue(room.multiplier % one, one, begin, begin + hi - lo)
        base = None if found is None or first + found > last else first + found
    if base is None:
        return None
    shift = -((base * room.multiplier - lo) // one)  # the least with base·c + shift inside
    addend = MAGIC_F32 + shift
    if abs(addend) > _LARGEST_ADDEND:
        return None
    return FmaBitsF32(factor, float(addend), base + WINDOW_BITS - WINDOW)
