"""Requantized sums of several operands: where they must be checked, and the cheapest form that is proved.

With all operands but one fixed, a sum is a requantization of the remaining one, with another offset. The proof goes
through every combination of the fixed operands ("sections") and checks each as proof.py does, so all 65,536 pairs of
two 8-bit operands are decided. Where there are too many sections, only forms that are exact by construction are used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import product
from math import floor
from typing import TypeVar

import numpy as np

from edgeconv.errors import ProgramError
from edgeconv.integer.evaluate import evaluate
from edgeconv.integer.policy import Policy
from edgeconv.integer.proof import Interval, Refutation, exact_by_construction, first_difference, precondition_problem
from edgeconv.integer.search import move_f32, neighbours, ratio_of
from edgeconv.integer.sections import SumPoints, section_points
from edgeconv.integer.steps import real_constants
from edgeconv.ir.exact import ChannelLinear, Grid, Rounding
from edgeconv.ir.forms import PANEL, AddFmaF32, AddFmaF64, AddMulShift, Form, Ratio

_CRITICAL = 2048
_MOST_CRITICAL = 64  # points at which many candidates are tried at once
_NARROWER = 6  # shifts that are tried where products are narrow: each rounds the ratios anew


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

    @cached_property
    def critical(self) -> SumPoints | None:
        """The points at which the sum lies closest to the middle of two integers, where wrong constants show first.

        The closest ones come first.
        """
        return None if self.points is None else _nearest_to_ties(self, self.points)

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
    return section_points(channel.linear, channel.grid, channel.ranges)


def _nearest_to_ties(channel: SumChannel, points: SumPoints) -> SumPoints:
    factors, offset = real_constants(channel.linear)
    value = np.full(points.expected.shape, float(offset))
    for factor, operand in zip(factors, points.operands, strict=True):
        value += float(factor) * operand
    distance = np.abs(value - np.floor(value) - 0.5)
    few = np.argpartition(distance, _CRITICAL)[:_CRITICAL] if len(distance) > _CRITICAL else np.arange(len(distance))
    closest = few[np.argsort(distance[few], kind="stable")]
    return SumPoints(tuple(operand[closest] for operand in points.operands), points.expected[closest], 0)


def find_sum_forms(channels: Sequence[SumChannel], policy: Policy) -> tuple[Form, ...]:
    """One proved form per channel; all channels of a panel carry the cheapest kind that serves them all.

    Where panels differ, they all take the cheapest kind that serves every channel: vector kernels compute one kind. But
    none takes a division for that.

    Raises:
        ProgramError: no allowed form can be proved; the message names channel and reasons.
    """
    search = _Search(policy)
    forms: list[Form] = []
    for first in range(0, len(channels), PANEL):
        panel = channels[first : first + PANEL]
        reasons: dict[int, list[str]] = {}
        for kind in policy.add:
            found = search.forms(kind, panel)
            if isinstance(found, list):
                forms += found
                break
            reasons.setdefault(first + found[0], []).append(f"{kind}: {found[1]}")
        else:
            stuck = max(reasons, key=lambda k: len(reasons[k]))
            raise ProgramError(
                f"channel {stuck}: no form reproduces the exact sum on {channels[stuck].ranges}: "
                + "; ".join(reasons[stuck]),
                expected=f"one of {', '.join(policy.add)}",
                advice="operands of at most 16 bits, each requantized before the addition",
            )
    return _alike(channels, forms, search) or tuple(forms)


def _alike(channels: Sequence[SumChannel], forms: Sequence[Form], search: _Search) -> tuple[Form, ...] | None:
    """Forms of one kind for panels that have different ones, or None."""
    kinds = search.policy.add
    used = sorted({kinds.index(form.kind) for form in forms})
    for kind in kinds[used[-1] :] if len(used) > 1 else ():
        found = search.forms(kind, channels) if kind != Ratio.kind else None
        if isinstance(found, list):
            return tuple(found)
    return None


@dataclass(frozen=True)
class _Search:
    """Proved forms, each looked for once."""

    policy: Policy
    known: dict[tuple[str, SumChannel], tuple[Form | None, str]] = field(default_factory=dict)

    def forms(self, kind: str, channels: Sequence[SumChannel]) -> list[Form] | tuple[int, str]:
        """A form of this kind for each channel, or the first channel that has none, and why."""
        found = []
        for k, channel in enumerate(channels):
            if (kind, channel) not in self.known:
                self.known[kind, channel] = _first_proved(kind, channel, self.policy)
            form, reason = self.known[kind, channel]
            if form is None:
                return k, reason
            found.append(form)
        return found


def _first_proved(kind: str, channel: SumChannel, policy: Policy) -> tuple[Form | None, str]:
    reason = "does not apply"
    for form in _PROPOSALS[kind](channel, policy):
        refutation = channel.refute(form)
        if refutation is None:
            return form, ""
        reason = str(refutation)
    return None, reason


_Candidate = TypeVar("_Candidate", AddFmaF32, AddFmaF64)


def _right_near_ties(channel: SumChannel, candidates: Sequence[_Candidate]) -> Iterator[_Candidate]:
    """Those that are right at the critical points: all at once at the most critical ones, then one by one."""
    critical = channel.critical
    if critical is None or not candidates:
        return
    operands = [operand[:_MOST_CRITICAL] for operand in critical.operands]
    count = len(operands[0])
    index = np.repeat(np.arange(len(candidates)), count)
    got = evaluate(candidates, index, [np.tile(operand, len(candidates)) for operand in operands], channel.grid)
    right = got.reshape(len(candidates), count) == critical.expected[:_MOST_CRITICAL]
    for candidate, fits in zip(candidates, right.all(1).tolist(), strict=True):
        if fits and first_difference(candidate, critical.operands, critical.expected, channel.grid) is None:
            yield candidate


def _propose_add_fma_f32(channel: SumChannel, policy: Policy) -> Iterator[Form]:
    """Floats around the exact numbers that are right at the tuples nearest to a tie, nearest floats first."""
    factors, offset = real_constants(channel.linear)
    near = [neighbours(factor, np.float32)[0] for factor in factors]
    start = neighbours(offset, np.float32)[0]
    if not np.isfinite([start, *near]).all():
        return
    nearest = AddFmaF32(tuple(near), start)
    if precondition_problem(nearest, channel.ranges, channel.grid):
        yield nearest  # to be refused with the reason
        return
    largest = abs(start) + sum(abs(c) * max(-lo, hi) for c, (lo, hi) in zip(near, channel.ranges, strict=True))
    unit = float(np.spacing(np.float32(largest))) / 4
    moves = product(range(-4, 5), *(range(-2, 3) for _ in factors))
    candidates = []
    for move, *ulps in sorted(moves, key=lambda steps: sum(map(abs, steps))):
        constants = tuple(move_f32(c, n) for c, n in zip(near, ulps, strict=True))
        candidates.append(AddFmaF32(constants, float(np.float32(start + move * unit))))
    yield from _right_near_ties(channel, candidates)


def _propose_add_fma_f64(channel: SumChannel, policy: Policy) -> Iterator[Form]:
    """The nearest floats, then those on the other sides of the exact numbers: ties may need them."""
    factors, offset = real_constants(channel.linear)
    choices = [neighbours(value, np.float64) for value in (*factors, offset)]
    forms = [
        AddFmaF64(tuple(picked[:-1]), picked[-1])
        for picked in (
            [choice[place] for choice, place in zip(choices, places, strict=True)]
            for places in sorted(product(range(3), repeat=len(choices)), key=lambda p: sum(place > 0 for place in p))
        )
    ]
    yield forms[0]
    yield from _right_near_ties(
        channel, [form for form in forms[1:] if np.isfinite([*form.factors, form.offset]).all()]
    )


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
    critical = channel.critical if policy.narrow else None
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


_PROPOSALS: dict[str, Callable[[SumChannel, Policy], Iterator[Form]]] = {
    "add_fma_f32": _propose_add_fma_f32,
    "add_fma_f64": _propose_add_fma_f64,
    "add_mul_shift": _propose_add_mul_shift,
    "ratio": _propose_ratio,
}
