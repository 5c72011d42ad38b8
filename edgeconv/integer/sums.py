"""Requantized sums of several operands: where they must be checked, and the cheapest form that is proved.

With all operands but one fixed, a sum is a requantization of the remaining one, with another offset. The proof goes
through every combination of the fixed operands ("sections") and checks each as proof.py does, so all 65,536 pairs of
two 8-bit operands are decided. Where there are too many sections, only forms that are exact by construction are used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import product
from math import floor, prod

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import ProgramError
from edgeconv.integer.policy import Policy
from edgeconv.integer.proof import Interval, Refutation, exact_by_construction, first_difference, precondition_problem
from edgeconv.integer.search import move_f32, neighbours, ratio_of
from edgeconv.integer.steps import real_constants, step_function
from edgeconv.ir.exact import ChannelLinear, Grid, Rounding
from edgeconv.ir.forms import PANEL, AddFmaF32, AddMulShift, Form, Ratio

MAX_SECTIONS = 1 << 14
_MAX_THRESHOLDS = 1 << 21
_CRITICAL = 2048
_NARROWER = 6  # shifts that are tried where products are narrow: each rounds the ratios anew


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
class SumChannel:
    """One channel of a sum to be proved: its function, its grid, the reachable range of each operand."""

    linear: ChannelLinear
    grid: Grid
    ranges: tuple[Interval, ...]

    @cached_property
    def points(self) -> SumPoints | None:
        """Both ends and both sides of every step of every section; None where there are too many."""
        return _points(self)

    def refute(self, form: Form) -> Refutation | None:
        """Why the form is not equal to the definition on all operands, or None: it is proved."""
        problem = precondition_problem(form, self.ranges, self.grid)
        if problem is not None:
            return Refutation(problem)
        if self.by_construction(form):
            return None
        if self.points is None:
            return Refutation("too many operand values to check")
        return first_difference(form, self.points.operands, self.points.expected, self.grid)

    def by_construction(self, form: Form) -> bool:
        """Whether the form needs no check beyond its preconditions."""
        half_even = self.grid.rounding is Rounding.HALF_EVEN or isinstance(form, Ratio)
        return half_even and exact_by_construction(form, self.linear)


@lru_cache(maxsize=16)
def _points(channel: SumChannel) -> SumPoints | None:
    extents = [hi - lo + 1 for lo, hi in channel.ranges]
    swept = max(range(len(extents)), key=extents.__getitem__)
    if prod(extents) // extents[swept] > MAX_SECTIONS:
        return None
    fixed = [index for index in range(len(extents)) if index != swept]
    columns: list[list[NDArray[np.int64]]] = [[] for _ in extents]
    expected: list[NDArray[np.int64]] = []
    thresholds = 0
    factors, linear = channel.linear.factors, channel.linear
    for values in product(*(range(channel.ranges[index][0], channel.ranges[index][1] + 1) for index in fixed)):
        offset = linear.offset + sum((factors[i] * v for i, v in zip(fixed, values, strict=True)), Fraction(0))
        section = ChannelLinear((factors[swept],), offset, linear.radicand, linear.shift)
        steps = step_function(section, channel.grid, *channel.ranges[swept])
        if steps is None or thresholds + len(steps.changes) > _MAX_THRESHOLDS:
            return None
        thresholds += len(steps.changes)
        along, exact = steps.points
        columns[swept].append(along)
        for index, value in zip(fixed, values, strict=True):
            columns[index].append(np.full(along.shape, value, np.int64))
        expected.append(exact)
    return SumPoints(tuple(map(np.concatenate, columns)), np.concatenate(expected), thresholds)


def find_sum_forms(channels: Sequence[SumChannel], policy: Policy) -> tuple[Form, ...]:
    """One proved form per channel; all channels of a panel carry the cheapest kind that serves them all.

    Raises:
        ProgramError: no allowed form can be proved; the message names channel and reasons.
    """
    forms: list[Form] = []
    known: dict[tuple[str, SumChannel], tuple[Form | None, str]] = {}
    for first in range(0, len(channels), PANEL):
        panel = channels[first : first + PANEL]
        reasons: dict[int, list[str]] = {}
        for kind in policy.add:
            found = []
            for k, channel in enumerate(panel):
                if (kind, channel) not in known:
                    known[kind, channel] = _first_proved(kind, channel, policy)
                form, reason = known[kind, channel]
                found.append(form)
                if form is None:
                    reasons.setdefault(first + k, []).append(f"{kind}: {reason}")
            if all(form is not None for form in found):
                forms += [form for form in found if form is not None]
                break
        else:
            stuck = max(reasons, key=lambda k: len(reasons[k]))
            raise ProgramError(
                f"channel {stuck}: no form reproduces the exact sum on {channels[stuck].ranges}: "
                + "; ".join(reasons[stuck]),
                expected=f"one of {', '.join(policy.add)}",
                advice="operands of at most 16 bits, each requantized before the addition",
            )
    return tuple(forms)


def _first_proved(kind: str, channel: SumChannel, policy: Policy) -> tuple[Form | None, str]:
    reason = "does not apply"
    for form in _PROPOSALS[kind](channel, policy):
        refutation = channel.refute(form)
        if refutation is None:
            return form, ""
        reason = str(refutation)
    return None, reason


def _propose_add_fma_f32(channel: SumChannel, policy: Policy) -> Iterator[Form]:
    """Floats around the exact numbers that are right at the tuples nearest to a tie, nearest floats first."""
    factors, offset = real_constants(channel.linear)
    near = [neighbours(factor, np.float32)[0] for factor in factors]
    start = neighbours(offset, np.float32)[0]
    critical = _nearest_to_ties(channel)
    if critical is None or not np.isfinite([start, *near]).all():
        return
    largest = abs(start) + sum(abs(c) * max(-lo, hi) for c, (lo, hi) in zip(near, channel.ranges, strict=True))
    unit = float(np.spacing(np.float32(largest))) / 4
    moves = product(range(-4, 5), *(range(-2, 3) for _ in factors))
    for move, *ulps in sorted(moves, key=lambda steps: sum(map(abs, steps))):
        constants = tuple(move_f32(c, n) for c, n in zip(near, ulps, strict=True))
        form = AddFmaF32(constants, float(np.float32(start + move * unit)))
        if first_difference(form, critical.operands, critical.expected, channel.grid) is None:
            yield form


def _nearest_to_ties(channel: SumChannel) -> SumPoints | None:
    """The points at which the sum lies closest to the middle of two integers: where a wrong constant shows first."""
    points = channel.points
    if points is None:
        return None
    factors, offset = real_constants(channel.linear)
    value = np.full(points.expected.shape, float(offset))
    for factor, operand in zip(factors, points.operands, strict=True):
        value += float(factor) * operand
    closest = np.argsort(np.abs(value - np.floor(value) - 0.5), kind="stable")[:_CRITICAL]
    return SumPoints(tuple(operand[closest] for operand in points.operands), points.expected[closest], 0)


def _propose_add_mul_shift(channel: SumChannel, policy: Policy) -> Iterator[Form]:
    factors, offset = real_constants(channel.linear)
    reach = abs(offset) + 1
    for factor, (lo, hi) in zip(factors, channel.ranges, strict=True):
        reach += abs(factor) * max(-lo, hi, 1) + 1
    widest = min(62, policy.sum_bits - reach.__ceil__().bit_length())
    for shift in range(widest, max(0, widest - (_NARROWER if policy.narrow else 1)), -1):
        yield from _at_shift(channel, policy, factors, offset, shift)


def _at_shift(
    channel: SumChannel, policy: Policy, factors: Sequence[Fraction], offset: Fraction, shift: int
) -> Iterator[AddMulShift]:
    """The integers around the exact numbers; where many are tried, not those that are wrong nearest to a tie."""
    critical = _nearest_to_ties(channel) if policy.narrow else None
    exact = [factor * (1 << shift) for factor in factors]
    around = [(round(value), 2 * floor(value) + 1 - round(value)) for value in exact]
    for half_even in (False, True):
        for multipliers in product(*around):  # an exact tie may need the integer on the other side
            for move in (0, 1, -1):
                form = AddMulShift(multipliers, round(offset * (1 << shift)) + move, shift, half_even)
                if critical is None or not first_difference(form, critical.operands, critical.expected, channel.grid):
                    yield form


def _propose_ratio(channel: SumChannel, policy: Policy) -> Iterator[Form]:
    form = ratio_of(channel.linear)
    if form is not None:
        yield form


_PROPOSALS = {"add_fma_f32": _propose_add_fma_f32, "add_mul_shift": _propose_add_mul_shift, "ratio": _propose_ratio}
