"""Whether a form computes a requantization: the preconditions of each form, and equality wherever it can fail.

A requantized channel is a monotone step function of its accumulator, and so is every form (each is a composition of
monotone operations; fixes of accumulators are single exceptions). On a run of accumulators that holds no step of the
definition and no fix, two monotone functions that agree at both ends and of which one is constant agree everywhere.
So equality at both ends of the reachable range, on both sides of every step, and at each fix and its neighbours is
equality everywhere. Saturation and wrap-around are excluded by the preconditions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from edgeconv.integer.evaluate import evaluate
from edgeconv.integer.steps import StepFunction
from edgeconv.ir.exact import ChannelLinear, Grid
from edgeconv.ir.forms import (
    LIMB,
    MAGIC_F32,
    WINDOW,
    AddFmaF32,
    AddFmaF64,
    AddMulShift,
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

Interval = tuple[int, int]
_INT32_LO, _INT32_HI = -(1 << 31), (1 << 31) - 1
_INT64_HI = (1 << 63) - 1
_FEW_STEPS = 2048  # channels with fewer are evaluated together
_SAMPLE = 61
_LARGEST_ZERO_POINT = 1 << 24  # the low bits of a float32 less those of 1.5·2²³ lie 2²⁹ or more inside int32
_SMALLEST_F64, _LARGEST_F64 = 2.0**-400, 2.0**400  # inside, no product or error term of fma_f64 can under- or overflow
_LARGEST_SUM_F64 = 1 << 50  # of magnitudes: below it the roundings of all partial sums are less than a unit together


@dataclass(frozen=True, eq=False)
class Points:
    """Accumulators at which forms must equal the definition, over several channels.

    Attributes:
        channel, acc, expected: one entry per point: index of the channel, accumulator, exact value.
    """

    channel: NDArray[np.intp]
    acc: NDArray[np.int64]
    expected: NDArray[np.int64]


def points_of(steps: Sequence[StepFunction], forms: Sequence[Form]) -> Points:
    """Both ends, both sides of every step, and each fix of the forms with its neighbours, channel by channel."""
    channels, accs, expected = [], [], []
    for index, (step, form) in enumerate(zip(steps, forms, strict=True)):
        acc, value = step.points
        fixes = [where + near for where, _ in getattr(form, "fixes", ()) for near in (-1, 0, 1)]
        inside = np.array([where for where in fixes if step.lo <= where <= step.hi], np.int64)
        if len(inside):
            acc, value = np.concatenate([acc, inside]), np.concatenate([value, step(inside)])
        accs.append(acc)
        expected.append(value)
        channels.append(np.full(acc.shape, index, np.intp))
    return Points(np.concatenate(channels), np.concatenate(accs), np.concatenate(expected))


@dataclass(frozen=True)
class Refutation:
    """Why a form is not proved: a broken precondition, or an operand tuple where it differs from the definition."""

    reason: str
    at: tuple[int, ...] | None = None
    found: int | None = None
    expected: int | None = None

    def __str__(self) -> str:
        if self.at is None:
            return self.reason
        where = ", ".join(map(str, self.at))
        return f"{self.reason}: {self.found} instead of {self.expected} at {where}"


def refute(forms: Sequence[Form], steps: Sequence[StepFunction], grid: Grid) -> list[Refutation | None]:
    """For each channel the reason why its form is not equal to the definition on [lo, hi], or None: it is proved.

    Args:
        forms, steps: one per channel, in the same order.
    """
    found: list[Refutation | None] = []
    for form, step in zip(forms, steps, strict=True):
        problem = precondition_problem(form, ((step.lo, step.hi),), grid)
        found.append(None if problem is None else Refutation(problem))
    few: list[int] = []
    for k, step in enumerate(steps):
        if found[k] is not None:
            continue
        if len(step.changes) <= _FEW_STEPS:
            few.append(k)
            continue
        points = points_of([step], [forms[k]])
        found[k] = first_difference(forms[k], (points.acc,), points.expected, grid)
    if few:
        points = points_of([steps[k] for k in few], [forms[k] for k in few])
        got = evaluate([forms[k] for k in few], points.channel, (points.acc,), grid)
        for index in np.flatnonzero(got != points.expected)[::-1]:
            values = (int(points.acc[index]),), int(got[index]), int(points.expected[index])
            found[few[points.channel[index]]] = Refutation("differs from the definition", *values)
    return found


def first_difference(
    form: Form, operands: Sequence[NDArray[np.int64]], expected: NDArray[np.int64], grid: Grid
) -> Refutation | None:
    """Where one form differs from the expected values, or None.

    A sample is looked at first: most wrong constants are wrong in many places.
    """
    for stride in (_SAMPLE, 1):
        some = [operand[::stride] for operand in operands]
        got = evaluate((form,), np.zeros(some[0].shape, np.intp), some, grid)
        wrong = np.flatnonzero(got != expected[::stride])
        if len(wrong):
            first = wrong[0]
            at = tuple(int(operand[first]) for operand in some)
            return Refutation("differs from the definition", at, int(got[first]), int(expected[::stride][first]))
    return None


def exact_by_construction(form: Form, channel: ChannelLinear) -> bool:
    """Whether the form holds the exact rational numbers of the channel, so that no rounding but the last one happens.

    Only `Ratio` and the half-even shifts can; the caller still checks the preconditions and, for the shifts, that the
    definition rounds half-even.
    """
    rational = channel.as_rational()
    if rational is None:
        return False
    if isinstance(form, Ratio):
        numbers, unit = (*form.numerators, form.addend), form.denominator
    elif isinstance(form, (MulShift, AddMulShift)) and form.half_even:
        weights = (form.multiplier,) if isinstance(form, MulShift) else form.multipliers
        numbers, unit = (*weights, form.addend), 1 << form.shift
    else:
        return False
    exact = (*rational.factors, rational.offset)
    return len(exact) == len(numbers) and all(
        value.numerator * unit == number * value.denominator for value, number in zip(exact, numbers, strict=True)
    )


def precondition_problem(form: Form, ranges: Sequence[Interval], grid: Grid) -> str | None:
    """Which rule of edgeconv.ir.forms a form breaks on these operand ranges, or None.

    Beyond the rules stated there, adding the zero point must stay in the integer type that the form computes in, and
    the operands of float forms in int32, because instruction sets convert from int32.
    """
    if isinstance(form, (FmaF32, FmaBitsF32, FmaOffsetF32, FmaF64, AddFmaF32, AddFmaF64)):
        return _float_problem(form, ranges, grid)
    if isinstance(form, (MulShift, AddMulShift)):
        return _shift_problem(form, ranges)
    if isinstance(form, WideMulShift):
        return _wide_shift_problem(form, ranges[0])
    if isinstance(form, Ratio):
        return _ratio_problem(form, ranges)
    return _steps_problem(form, grid)


def _float_problem(
    form: FmaF32 | FmaBitsF32 | FmaOffsetF32 | FmaF64 | AddFmaF32 | AddFmaF64, ranges: Sequence[Interval], grid: Grid
) -> str | None:
    constants = (*form.factors, form.offset) if isinstance(form, (AddFmaF32, AddFmaF64)) else (form.factor,)
    if isinstance(form, (FmaOffsetF32, FmaF64)):
        constants = (*constants, form.offset)
    if isinstance(form, FmaBitsF32):
        constants = (*constants, form.addend)
    if not all(isfinite(value) for value in constants):
        return "a constant is not finite"
    if isinstance(form, (AddFmaF32, AddFmaF64)) and len(form.factors) != len(ranges):
        return f"{len(form.factors)} factors for {len(ranges)} operands"
    if isinstance(form, AddFmaF32) and any(lo < -(1 << 15) or hi >= 1 << 16 for lo, hi in ranges):
        return "an operand has more than 16 bits"
    margin = max((abs(delta) for _, delta in getattr(form, "fixes", ())), default=0)
    if any(lo - margin < _INT32_LO or hi + margin > _INT32_HI for lo, hi in ranges):
        return "the accumulator leaves int32"
    if isinstance(form, (FmaF64, AddFmaF64)):
        return _double_problem(form, ranges, grid)
    if any(float(np.float32(value)) != value for value in constants):
        return "a constant is not a float32"
    if abs(grid.zero_point) > _LARGEST_ZERO_POINT:
        return f"adding the zero point {grid.zero_point} may leave int32"
    if isinstance(form, FmaBitsF32):
        return _bits_problem(form, ranges[0], margin)
    return _single_problem(form, ranges, margin)


def _bits_problem(form: FmaBitsF32, bounds: Interval, margin: int) -> str | None:
    if not _INT32_LO <= form.start <= _INT32_HI:
        return f"start {form.start} leaves int32"
    if not form.addend.is_integer():
        return f"addend {form.addend} is not an integer"
    ends = [end + form.base for end in (bounds[0] - margin, bounds[1] + margin)]
    if not WINDOW <= ends[0] <= ends[1] < 2 * WINDOW:
        beyond = "…".join(str(end - WINDOW) for end in ends)
        return f"acc + start reaches {beyond} from 2²³: not the bits of a float32 in [2²³, 2²⁴)"
    for end in ends:
        total = end * Fraction(form.factor) + Fraction(form.addend)
        if not WINDOW <= total < 2 * WINDOW - Fraction(1, 2):
            return f"the sum reaches {float(total):.10g}, not inside [2²³, 2²⁴ - 1/2)"
    return None


def _single_problem(form: FmaF32 | FmaOffsetF32 | AddFmaF32, ranges: Sequence[Interval], margin: int) -> str | None:
    factors = form.factors if isinstance(form, AddFmaF32) else (form.factor,)
    offset = 0.0 if isinstance(form, FmaF32) else form.offset
    # Rounded sums can lie below this bound by a relative 2⁻²² at most; 1 + 2⁻¹⁶ covers it.
    least = offset
    largest = abs(offset)
    for factor, (lo, hi) in zip(factors, ranges, strict=True):
        ends = [float(np.float32(end)) * factor for end in (lo - margin, hi + margin)]
        least += min(ends)
        largest += max(map(abs, ends))
    if largest > 2.0**100:
        return "the value overflows"
    if least - largest * 2.0**-20 <= -MAGIC_F32:
        return f"the value reaches {least:.6g}, not above -1.5·2²³: the integer would wrap"
    return None


def _double_problem(form: FmaF64 | AddFmaF64, ranges: Sequence[Interval], grid: Grid) -> str | None:
    factors = form.factors if isinstance(form, AddFmaF64) else (form.factor,)
    for value in (*factors, form.offset):
        if value and not _SMALLEST_F64 < abs(value) < _LARGEST_F64:
            return "a constant is too small or too large"
    offset = Fraction(form.offset)
    products = [sorted(end * Fraction(factor) for end in ends) for factor, ends in zip(factors, ranges, strict=True)]
    for side in (0, 1):
        exact = sum((ends[side] for ends in products), offset)
        # One unit of slack for the roundings, which are smaller.
        if not _INT32_LO < exact + min(grid.zero_point, 0) - 1 or not exact + max(grid.zero_point, 0) + 1 < _INT32_HI:
            return f"the value reaches {float(exact):.6g}: it leaves int32"
    largest = sum((max(abs(ends[0]), ends[1]) for ends in products), abs(offset))
    if isinstance(form, AddFmaF64) and largest >= _LARGEST_SUM_F64:
        return f"a partial sum may reach {float(largest):.6g}, not below 2^50"
    return None


def _shift_problem(form: MulShift | AddMulShift, ranges: Sequence[Interval]) -> str | None:
    weights = (form.multiplier,) if isinstance(form, MulShift) else form.multipliers
    if not 1 <= form.shift <= 62:
        return f"shift {form.shift} is not in 1…62"
    if len(weights) != len(ranges):
        return f"{len(weights)} multipliers for {len(ranges)} operands"
    largest = abs(form.addend) + (1 << (form.shift - 1))
    largest += sum(max(-lo, hi, 0) * abs(weight) for weight, (lo, hi) in zip(weights, ranges, strict=True))
    return "the product may leave int64" if largest > _INT64_HI else None


def _wide_shift_problem(form: WideMulShift, bounds: Interval) -> str | None:
    if not 1 <= form.shift <= 62:
        return f"shift {form.shift} is not in 1…62"
    if not 0 <= form.low < 1 << LIMB:
        return f"low limb {form.low} is not in 0…2^{LIMB} - 1"
    reach = max(-bounds[0], bounds[1], 0)
    largest = max(reach * form.low, reach * (abs(form.high) + 1) + abs(form.addend))
    return "the product may leave int64" if largest > _INT64_HI else None


def _ratio_problem(form: Ratio, ranges: Sequence[Interval]) -> str | None:
    if form.denominator < 1:
        return f"denominator {form.denominator} is not positive"
    if len(form.numerators) != len(ranges):
        return f"{len(form.numerators)} numerators for {len(ranges)} operands"
    largest = abs(form.addend) + form.denominator
    largest += sum(max(-lo, hi, 0) * abs(weight) for weight, (lo, hi) in zip(form.numerators, ranges, strict=True))
    return "the sum may leave 62 bits" if largest >= 1 << 62 else None


def _steps_problem(form: Steps, grid: Grid) -> str | None:
    if any(a > b for a, b in zip(form.thresholds, form.thresholds[1:], strict=False)):
        return "the thresholds are not in non-decreasing order"
    if any(abs(threshold) > _INT64_HI for threshold in form.thresholds):
        return "a threshold leaves int64"
    last = form.base + (len(form.thresholds) if form.increasing else -len(form.thresholds))
    if not (grid.lo <= min(form.base, last) and max(form.base, last) <= grid.hi):
        return f"the values {form.base}…{last} leave [{grid.lo}, {grid.hi}]"
    return None
