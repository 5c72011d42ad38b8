"""The cheapest proved form of each channel of a requantization, panel by panel.

A search only proposes constants; `proof.refute` decides. Candidates are the floats or integers next to the exact ratio:
the set of admissible multipliers is an interval around the ratio, so if it holds any float it holds a neighbour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import product
from typing import TypeVar

import numpy as np

from edgeconv.errors import ProgramError
from edgeconv.integer.evaluate import evaluate
from edgeconv.integer.policy import Policy
from edgeconv.integer.proof import (
    Interval,
    Points,
    Refutation,
    exact_by_construction,
    points_of,
    precondition_problem,
    refute,
)
from edgeconv.integer.steps import MAX_STEPS, StepFunction, real_constants, step_function
from edgeconv.integer.windows import window_forms
from edgeconv.ir.exact import ChannelLinear, Grid, Rounding
from edgeconv.ir.forms import (
    LIMB,
    PANEL,
    FmaBitsF32,
    FmaF32,
    FmaF64,
    FmaOffsetF32,
    Form,
    MulShift,
    Ratio,
    Steps,
    WideMulShift,
)

MAX_TABLE = 1 << 12
"""Longest threshold table: what a 12-bit output needs."""

_SAMPLE = 61
_CRITICAL = 64
_NARROWER = 6  # multipliers of so many widths are tried where no wider ones may be: each rounds the ratio anew


@dataclass(frozen=True, eq=False)
class Channel:
    """One channel to be proved: its function, its grid, its reachable range."""

    linear: ChannelLinear
    grid: Grid
    lo: int
    hi: int

    @property
    def ranges(self) -> tuple[Interval, ...]:
        """The reachable range of the one operand."""
        return ((self.lo, self.hi),)

    @cached_property
    def steps(self) -> StepFunction | None:
        """All steps on the range, or None where there are too many to list."""
        return step_function(self.linear, self.grid, self.lo, self.hi)

    @cached_property
    def constants(self) -> tuple[Fraction, Fraction]:
        """Factor and offset, to more digits than any form holds."""
        (factor,), offset = real_constants(self.linear)
        return factor, offset

    def by_construction(self, form: Form) -> bool:
        """Whether the form needs no check beyond its preconditions."""
        half_even = self.grid.rounding is Rounding.HALF_EVEN or isinstance(form, Ratio)
        return half_even and exact_by_construction(form, self.linear)


Found = list[Form | None]
Proposals = Iterator[list[Form | None]]


def find_forms(channels: Sequence[Channel], policy: Policy) -> tuple[Form, ...]:
    """One proved form per channel; all channels of a panel carry the cheapest kind that serves them all.

    Raises:
        ProgramError: no allowed form can be proved for a channel; the message names channel and reasons.
    """
    forms: list[Form] = []
    for first in range(0, len(channels), PANEL):
        try:
            forms += _panel_forms(channels[first : first + PANEL], policy)
        except _NoForm as error:
            raise ProgramError(
                f"channel {first + error.index}: no form reproduces the exact requantization on "
                f"[{channels[first + error.index].lo}, {channels[first + error.index].hi}]: {error.reason}",
                expected=f"one of {', '.join(policy.requant)}",
                advice="power-of-two scales, an output of at most 12 bits, or a narrower accumulator",
            ) from None
    return tuple(forms)


class _NoForm(Exception):
    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index, self.reason = index, reason


def _panel_forms(panel: Sequence[Channel], policy: Policy) -> list[Form]:
    reasons: dict[int, list[str]] = {index: [] for index in range(len(panel))}
    for kind in policy.requant:
        found, why = _SEARCHES[kind](panel, policy)
        if all(form is not None for form in found):
            return [form for form in found if form is not None]
        for index, form in enumerate(found):
            if form is None:
                reasons[index].append(f"{kind}: {why.get(index, 'does not apply')}")
    stuck = max(reasons, key=lambda index: len(reasons[index]))
    raise _NoForm(stuck, "; ".join(reasons[stuck]) or "channels of its panel need different kinds")


def _first_proved(panel: Sequence[Channel], proposals: Proposals) -> tuple[Found, dict[int, str]]:
    """For each channel the first proposal that is proved, and why the last one was not."""
    found: Found = [None] * len(panel)
    why: dict[int, str] = {}
    for proposal in proposals:
        asked = [k for k, form in enumerate(proposal) if form is not None and found[k] is None]
        for k, refutation in zip(asked, _refute([panel[k] for k in asked], [proposal[k] for k in asked]), strict=True):
            if refutation is None:
                found[k] = proposal[k]
            else:
                why[k] = str(refutation)
        if all(form is not None for form in found):
            break
    return found, why


def _refute(channels: Sequence[Channel], forms: Sequence[Form | None]) -> list[Refutation | None]:
    results: list[Refutation | None] = []
    listed: list[int] = []
    for index, (channel, form) in enumerate(zip(channels, forms, strict=True)):
        assert form is not None
        problem = precondition_problem(form, ((channel.lo, channel.hi),), channel.grid)
        if problem is None and not channel.by_construction(form):
            if channel.steps is None:
                problem = f"more than {MAX_STEPS} steps to check"
            else:
                listed.append(index)
        results.append(None if problem is None else Refutation(problem))
    if listed:
        steps = [channels[index].steps for index in listed]
        chosen = [forms[index] for index in listed]
        for index, found in zip(listed, refute(chosen, steps, channels[listed[0]].grid), strict=True):  # type: ignore[arg-type]
            results[index] = found
    return results


def neighbours(value: Fraction, number: type[np.floating]) -> tuple[float, float, float]:
    """The float nearest to a rational, the next one on its other side, and the next one on the near side."""
    with np.errstate(over="ignore", under="ignore"):
        try:
            nearest = number(float(value))
        except OverflowError:
            return (float("inf"),) * 3
        below, above = (float(np.nextafter(nearest, number(side))) for side in (-np.inf, np.inf))
    if not np.isfinite([below, above]).all() or Fraction(float(nearest)) <= value:
        return float(nearest), above, below
    return float(nearest), below, above


def _search_fma_bits_f32(panel: Sequence[Channel], policy: Policy) -> tuple[Found, dict[int, str]]:
    """Each channel with as few fixes as it needs; where one has no form, the others are not looked at."""
    found: Found = [None] * len(panel)
    for k, channel in enumerate(panel):
        found[k] = _window_form(channel, policy.max_fixes)
        if found[k] is None:
            return found, {k: "no start in the window of integers that are float32"}
    return _pad_fixes(panel, found), {}


def _window_form(channel: Channel, max_fixes: int) -> FmaBitsF32 | None:
    if channel.steps is None:
        return None
    factors = neighbours(channel.constants[0], np.float32)
    for spared in range(max_fixes + 1):
        for form in window_forms(channel.steps, channel.grid, factors, spared):
            fixed = _with_fixes(channel, form, spared)
            if fixed is not None:
                return fixed
    return None


def _search_fma_f32(panel: Sequence[Channel], policy: Policy) -> tuple[Found, dict[int, str]]:
    apply = [channel.constants[1] == 0 and channel.steps is not None for channel in panel]
    if not all(apply):
        return [None] * len(panel), {k: "the offset is not zero" for k, fits in enumerate(apply) if not fits}
    choices = [neighbours(channel.constants[0], np.float32) for channel in panel]

    def propose() -> Proposals:
        for index in range(3):
            yield [FmaF32(factors[index]) for factors in choices]

    found, why = _first_proved(panel, propose())
    for k, channel in enumerate(panel):
        if found[k] is None and policy.max_fixes:
            fixed = [_with_fixes(channel, FmaF32(factor), policy.max_fixes) for factor in choices[k]]
            found[k] = min((form for form in fixed if form is not None), key=lambda form: len(form.fixes), default=None)
    if all(found):
        found = _pad_fixes(panel, found)
    return found, why


_Fixable = TypeVar("_Fixable", FmaF32, FmaBitsF32)


def _with_fixes(channel: Channel, form: _Fixable, max_fixes: int) -> _Fixable | None:
    """The form with corrections at the few accumulators where the plain one is wrong, if that is proved."""
    assert channel.steps is not None
    if precondition_problem(form, ((channel.lo - 1, channel.hi + 1),), channel.grid):
        return None
    sample = [values[::_SAMPLE] for values in channel.steps.points]
    guess = evaluate((form,), np.zeros(sample[0].shape, np.intp), sample[:1], channel.grid)
    if np.count_nonzero(guess != sample[1]) > max_fixes:
        return None
    while True:
        points = points_of([channel.steps], [form])
        got = evaluate((form,), points.channel, (points.acc,), channel.grid)
        wrong = got != points.expected
        if not wrong.any():
            return form
        missing = dict(zip(points.acc[wrong].tolist(), (points.expected - got)[wrong].tolist(), strict=True))
        if len(form.fixes) + len(missing) > max_fixes or any(acc in dict(form.fixes) for acc in missing):
            return None
        upward = 1 if form.factor > 0 else -1
        fixes: list[tuple[int, int]] = [(acc, upward if error > 0 else -upward) for acc, error in missing.items()]
        form = replace(form, fixes=tuple(sorted((*form.fixes, *fixes))))


def _pad_fixes(panel: Sequence[Channel], found: Found) -> Found:
    """The same number of fixes in every channel of the panel: idle ones sit beside the range and add nothing."""
    forms = [form for form in found if isinstance(form, (FmaF32, FmaBitsF32))]
    slots = max(len(form.fixes) for form in forms)
    padded: Found = []
    for channel, form in zip(panel, forms, strict=True):
        idle = (channel.hi + 1 if channel.hi < (1 << 31) - 1 else channel.lo - 1, 0)
        padded.append(replace(form, fixes=form.fixes + (idle,) * (slots - len(form.fixes))))
    return padded


def _search_fma_offset_f32(panel: Sequence[Channel], policy: Policy) -> tuple[Found, dict[int, str]]:
    if all(channel.constants[1] == 0 for channel in panel):
        return [None] * len(panel), {}
    if any(channel.steps is None or len(channel.steps.changes) > MAX_TABLE for channel in panel):
        return [None] * len(panel), dict.fromkeys(range(len(panel)), f"more than {MAX_TABLE} thresholds")
    near = [tuple(neighbours(value, np.float32)[0] for value in channel.constants) for channel in panel]
    if not np.isfinite(near).all():
        return [None] * len(panel), dict.fromkeys(range(len(panel)), "a constant is too large")
    grid = panel[0].grid
    largest = max(abs(grid.lo - grid.zero_point), abs(grid.hi - grid.zero_point))
    unit = float(np.spacing(np.float32(largest))) / 4
    moves = sorted(product(range(-2, 3), range(-4, 5)), key=lambda pair: abs(pair[0]) + abs(pair[1]))
    rows: list[list[Form]] = [
        [FmaOffsetF32(move_f32(c, ulps), float(np.float32(o + move * unit))) for c, o in near] for ulps, move in moves
    ]
    right = _right_near_ties(panel, rows)
    if not right.any(0).all():
        lost = np.flatnonzero(~right.any(0)).tolist()
        return [None] * len(panel), dict.fromkeys(lost, "two roundings to float32 are wrong next to ties")
    proposals = ([form if ok[k] else None for k, form in enumerate(row)] for row, ok in zip(rows, right, strict=True))
    return _first_proved(panel, proposals)


def _right_near_ties(panel: Sequence[Channel], rows: Sequence[Sequence[Form]]) -> np.ndarray:
    """Whether each candidate (rows, one form per channel) is right at the critical points of its channel."""
    critical = _nearest_to_ties(panel)
    forms = [form for row in rows for form in row]
    index = (np.arange(len(rows))[:, None] * len(panel) + critical.channel).ravel()
    got = evaluate(forms, index, (np.tile(critical.acc, len(rows)),), panel[0].grid)
    wrong = np.bincount(index, got != np.tile(critical.expected, len(rows)), len(forms))
    return (wrong == 0).reshape(len(rows), len(panel))


def _nearest_to_ties(panel: Sequence[Channel]) -> Points:
    """For each channel the points closest to the middle of two integers: where wrong constants show first."""
    chosen: list[tuple[np.ndarray, ...]] = []
    for k, channel in enumerate(panel):
        assert channel.steps is not None
        acc, expected = channel.steps.points
        factor, offset = map(float, channel.constants)
        value = acc * factor + offset
        closest = np.argsort(np.abs(value - np.floor(value) - 0.5), kind="stable")[:_CRITICAL]
        chosen.append((np.full(closest.shape, k, np.intp), acc[closest], expected[closest]))
    return Points(*(np.concatenate(column) for column in zip(*chosen, strict=True)))


def move_f32(value: float, ulps: int) -> float:
    """A float32 moved by some units in its last place."""
    return float(np.float32(value) + ulps * np.spacing(np.float32(abs(value))))


def _search_fma_f64(panel: Sequence[Channel], policy: Policy) -> tuple[Found, dict[int, str]]:
    choices = [tuple(neighbours(value, np.float64) for value in channel.constants) for channel in panel]

    def propose() -> Proposals:
        for index in range(3):
            yield [FmaF64(c[index], o[0]) for c, o in choices]
        for index in range(1, 3):  # ties and irrational roots may need the offset moved instead
            yield [FmaF64(c[0], o[index]) if o[0] else None for c, o in choices]

    return _first_proved(panel, propose())


def _search_mul_shift(panel: Sequence[Channel], policy: Policy) -> tuple[Found, dict[int, str]]:
    # Half-up costs least; half-even serves exact ties. A panel rounds in one way.
    found: Found = []
    why: dict[int, str] = {}
    for half_even in (False, True):
        found, why = _first_proved(panel, _mul_shift_proposals(panel, policy, half_even))
        if all(form is not None for form in found):
            break
    return found, why


def _mul_shift_proposals(panel: Sequence[Channel], policy: Policy, half_even: bool) -> Proposals:
    widest = [_widest_shift(channel) for channel in panel]
    narrower = range(policy.multiplier_bits, policy.multiplier_bits - _NARROWER, -1) if policy.narrow else ()
    choices = []
    for bits in narrower or (policy.multiplier_bits,):
        short = [_shift_for(channel.constants[0], bits) for channel in panel]
        choices.append([min(pair) for pair in zip(short, widest, strict=True)])
    for shifts in choices if policy.narrow else (*choices, widest):
        for move_factor, move_addend in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)):
            proposal: list[Form | None] = []
            for channel, shift in zip(panel, shifts, strict=True):
                factor, offset = (value * (1 << max(shift, 1)) for value in channel.constants)
                outward = 1 if factor >= Fraction(round(factor)) else -1
                multiplier = round(factor) + move_factor * outward
                proposal.append(
                    MulShift(multiplier, round(offset) + move_addend, shift, half_even) if shift > 0 else None
                )
            yield proposal


def _shift_for(factor: Fraction, bits: int) -> int:
    """The largest shift at which factor·2^shift has at most `bits` bits (62 for a factor of zero)."""
    if factor == 0:
        return 62
    shift = bits - abs(factor.numerator).bit_length() + factor.denominator.bit_length()
    while shift > 0 and round(abs(factor) * (1 << shift)) >= 1 << bits:
        shift -= 1
    return max(0, min(62, shift))


def _widest_shift(channel: Channel) -> int:
    """The largest shift at which the product stays in int64."""
    factor, offset = channel.constants
    reach = abs(factor) * (max(abs(channel.lo), abs(channel.hi)) + 1) + abs(offset) + 1
    return max(0, min(62, 62 - reach.__ceil__().bit_length()))


def _search_wide_mul_shift(panel: Sequence[Channel], policy: Policy) -> tuple[Found, dict[int, str]]:
    def propose() -> Proposals:
        for move in (0, 1, -1):  # a factor moved outward takes ties away from zero
            yield [_wide_mul_shift(channel, move) for channel in panel]

    return _first_proved(panel, propose())


def _wide_mul_shift(channel: Channel, move: int) -> WideMulShift | None:
    factor, offset = channel.constants
    shift = _widest_shift(channel)
    if shift < 1:
        return None
    multiplier = round(factor * (1 << (shift + LIMB))) + (move if factor > 0 else -move)
    addend = round(offset * (1 << shift)) + (1 << (shift - 1))
    return WideMulShift(multiplier >> LIMB, multiplier & ((1 << LIMB) - 1), addend, shift)


def _search_steps(panel: Sequence[Channel], policy: Policy) -> tuple[Found, dict[int, str]]:
    found: Found = []
    why: dict[int, str] = {}
    for k, channel in enumerate(panel):
        steps = channel.steps
        if steps is None or len(steps.changes) > MAX_TABLE:
            why[k] = f"more than {MAX_TABLE} thresholds"
            found.append(None)
            continue
        increasing = steps.direction > 0
        changes = steps.changes if increasing else steps.changes - 1
        found.append(Steps(steps.base, tuple(changes.tolist()), increasing))
    return found, why


def _search_ratio(panel: Sequence[Channel], policy: Policy) -> tuple[Found, dict[int, str]]:
    return _first_proved(panel, iter([[ratio_of(channel.linear) for channel in panel]]))


def ratio_of(channel: ChannelLinear) -> Ratio | None:
    """The exact division of a channel whose function is rational and whose numbers fit int64, else None."""
    rational = channel.as_rational()
    if rational is None:
        return None
    denominator = np.lcm.reduce([value.denominator for value in (*rational.factors, rational.offset)], dtype=object)
    *numerators, addend = (int(value * denominator) for value in (*rational.factors, rational.offset))
    return Ratio(tuple(numerators), addend, int(denominator))


_Search = Callable[[Sequence[Channel], Policy], tuple[Found, dict[int, str]]]
_SEARCHES: dict[str, _Search] = {
    "fma_bits_f32": _search_fma_bits_f32,
    "fma_f32": _search_fma_f32,
    "fma_offset_f32": _search_fma_offset_f32,
    "fma_f64": _search_fma_f64,
    "mul_shift": _search_mul_shift,
    "wide_mul_shift": _search_wide_mul_shift,
    "steps": _search_steps,
    "ratio": _search_ratio,
}
