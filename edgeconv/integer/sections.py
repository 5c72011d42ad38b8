"""All steps of a sum along one operand, for every combination of the others ("sections"), in bulk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import lcm, prod

import numpy as np
from numpy.typing import NDArray

from edgeconv.integer.steps import MAX_STEPS, Offsets, level_changes
from edgeconv.ir.exact import ChannelLinear, Grid, quantize_exact

__all__ = ["MAX_SECTIONS", "SumPoints", "section_points"]

Interval = tuple[int, int]

MAX_SECTIONS = 1 << 14
_MAX_THRESHOLDS = 1 << 21
_CELLS = 1 << 18  # sections × levels that are looked at together


@dataclass(frozen=True, eq=False)
class SumPoints:
    """Operand tuples at which a form must equal the definition.

    Attributes:
        operands: one int64 array per operand.
        expected: the exact final integers.
        thresholds: number of steps over all sections.
    """

    operands: tuple[NDArray[np.int64], ...]
    expected: NDArray[np.int64]
    thresholds: int


@dataclass(frozen=True)
class _Part:
    """Some sections: points (index of the section, operand along it), what is exact there, and the number of steps."""

    section: NDArray[np.intp]
    along: NDArray[np.int64]
    expected: NDArray[np.int64]
    thresholds: int


def section_points(linear: ChannelLinear, grid: Grid, ranges: Sequence[Interval]) -> SumPoints | None:
    """Both ends and both sides of every step of every section; None where there are too many.

    The widest operand runs, the others are fixed.
    """
    extents = [hi - lo + 1 for lo, hi in ranges]
    swept = max(range(len(extents)), key=extents.__getitem__)
    if prod(extents) // extents[swept] > MAX_SECTIONS:
        return None
    fixed = [index for index in range(len(extents)) if index != swept]
    tuples = list(product(*(range(ranges[index][0], ranges[index][1] + 1) for index in fixed)))
    denominator = lcm(linear.offset.denominator, *(linear.factors[index].denominator for index in fixed))
    weights = [int(linear.factors[index] * denominator) for index in fixed]
    start = int(linear.offset * denominator)
    numerators = [start + sum(w * v for w, v in zip(weights, values, strict=True)) for values in tuples]
    # Neighbours in this order have steps at much the same levels.
    order = sorted(range(len(tuples)), key=numerators.__getitem__)
    section = ChannelLinear((linear.factors[swept],), Fraction(0), linear.radicand, linear.shift)
    parts = _parts(section, grid, ranges[swept], Offsets(tuple(numerators[index] for index in order), denominator))
    if parts is None:
        return None
    of_section = np.concatenate([part.section for part in parts])
    columns = np.array([tuples[index] for index in order], np.int64).reshape(len(order), len(fixed))
    operands: list[NDArray[np.int64]] = [np.empty(0, np.int64)] * len(extents)
    operands[swept] = np.concatenate([part.along for part in parts])
    for place, index in enumerate(fixed):
        operands[index] = columns[of_section, place]
    expected = np.concatenate([part.expected for part in parts])
    return SumPoints(tuple(operands), expected, sum(part.thresholds for part in parts))


def _parts(linear: ChannelLinear, grid: Grid, bounds: Interval, offsets: Offsets) -> list[_Part] | None:
    parts = []
    thresholds = 0
    for first, count, levels in _batches(linear, grid, bounds, offsets):
        if len(levels) > MAX_STEPS:
            return None
        some = Offsets(offsets.numerators[first : first + count], offsets.denominator)
        part = _part(linear, grid, bounds, some, levels, first)
        thresholds += part.thresholds
        if thresholds > _MAX_THRESHOLDS:
            return None
        parts.append(part)
    return parts


def _batches(linear: ChannelLinear, grid: Grid, bounds: Interval, offsets: Offsets) -> Iterator[tuple[int, int, range]]:
    """(first section, sections, final values that are reached in them from below), as many sections as fit."""
    first, count = 0, 1
    while first < len(offsets.numerators):
        count = min(count, len(offsets.numerators) - first)
        ends = [Fraction(offsets.numerators[index], offsets.denominator) for index in (first, first + count - 1)]
        sections = [ChannelLinear(linear.factors, end, linear.radicand, linear.shift) for end in ends]
        # Monotone in the operand and in the offset: the extremes are at the corners.
        corners = [quantize_exact(section, grid, (x,)) for section in sections for x in bounds]
        levels = range(min(corners) + 1, max(corners) + 1)
        if count > 1 and count * len(levels) > 4 * _CELLS:
            count = max(1, count // 4)
            continue
        yield first, count, levels
        first += count
        count = max(1, _CELLS // max(1, len(levels)))


def _part(linear: ChannelLinear, grid: Grid, bounds: Interval, offsets: Offsets, reached: range, number: int) -> _Part:
    lo, hi = bounds
    count = len(offsets.numerators)
    levels = np.arange(reached.start, reached.stop, dtype=np.int64) - grid.zero_point
    rising = linear.factors[0] >= 0
    if linear.factors[0] == 0 or len(levels) == 0:
        changes = np.empty((count, 0), np.int64)
    else:
        changes = level_changes(linear, offsets, levels, grid.rounding, lo, hi)
    # Where no step can occur, sections may still differ from one another.
    if linear.factors[0] == 0:
        exact = [Fraction(numerator, offsets.denominator) for numerator in offsets.numerators]
        still = [ChannelLinear((Fraction(0),), offset, linear.radicand, linear.shift) for offset in exact]
        base = np.array([quantize_exact(section, grid, (lo,)) for section in still], np.int64)
    else:
        base = np.full(count, reached.start - 1 if rising else reached.stop - 1, np.int64)
    inside = (changes > lo) & (changes <= hi)
    # A jump by several levels is listed several times: its first entry is the point before, its last the one behind.
    edge, other = np.ones((count, 1), np.bool_), changes[:, 1:] != changes[:, :-1]
    before_section, before = np.nonzero(inside & np.concatenate([edge, other], 1)[:, : changes.shape[1]])
    behind_section, behind = np.nonzero(inside & np.concatenate([other, edge], 1)[:, : changes.shape[1]])
    every = np.arange(count)
    section = np.concatenate([every, every, before_section, behind_section])
    along = np.concatenate(
        [
            np.full(count, lo, np.int64),
            np.full(count, hi, np.int64),
            changes[before_section, before] - 1,
            changes[behind_section, behind],
        ]
    )
    passed = np.concatenate([(changes <= lo).sum(1), (changes <= hi).sum(1), before, behind + 1])
    expected = base[section] + (passed if rising else -passed)
    return _Part(section + number, along, expected, int(np.count_nonzero(inside)))
