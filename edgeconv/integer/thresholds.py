"""Thresholds: a monotone function of an accumulator, rounded to a grid, as the accumulators where it steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.integer.builder import Bounds
from edgeconv.integer.functions import direction
from edgeconv.integer.intervals import GridRounder, evaluate
from edgeconv.integer.values import Expression
from edgeconv.ir import Grid

LEVELS = 1 << 16
"""Most thresholds of one operator: 256 channels of 8 bits."""

_ALWAYS, _NEVER = np.iinfo(np.int64).min, np.iinfo(np.int64).max


@dataclass(frozen=True)
class Thresholds:
    """The attributes of a `threshold` operator, and the range of its output."""

    levels: NDArray[np.int64]
    base: tuple[int, ...]
    increasing: tuple[bool, ...]
    lo: int
    hi: int


def thresholds(expression: Expression, bounds: Bounds, grid: Grid) -> Thresholds:
    """Where clip(round(expression) + zero point) steps, for accumulators inside `bounds`.

    Args:
        expression: monotone in one integer tensor, channel by channel.

    Returns:
        levels of shape (channels, hi - lo), lo and hi being the smallest and largest value of any channel.
    """
    increasing = tuple(sign is not None and sign >= 0 for sign in direction(expression))
    rounder = GridRounder(grid)
    ends = evaluate(expression, np.array([bounds], np.int64), rounder)
    lo, hi = int(ends.min()), int(ends.max())
    rising = np.array(increasing)[:, None]
    # Rising rows look for the levels upwards from lo + 1, falling rows downwards from hi: both find where the value
    # first is on the other side of the level, seen from the low end of the range.
    wanted = np.where(rising, np.arange(lo + 1, hi + 1), np.arange(hi, lo, -1))
    left = np.full(wanted.shape, bounds[0], np.int64)
    right = np.full(wanted.shape, bounds[1] + 1, np.int64)
    while (left < right).any():
        middle = left + (right - left) // 2
        values = evaluate(expression, np.minimum(middle, bounds[1]), rounder)
        crossed = np.where(rising, values >= wanted, values < wanted)
        open_ = left < right
        right = np.where(open_ & crossed, middle, right)
        left = np.where(open_ & ~crossed, middle + 1, left)
    steps = np.where(left > bounds[1], _NEVER, np.where(left <= bounds[0], _ALWAYS, left))
    # A falling row counts x > t: the last accumulator that still has the level.
    inner = (left > bounds[0]) & (left <= bounds[1])
    levels = np.where(~rising & inner, steps - 1, steps)
    base = tuple(lo if up else hi for up in increasing)
    if len(set(increasing)) == 1:
        increasing, base = increasing[:1], base[:1]
    return Thresholds(levels, base, increasing, lo, hi)
