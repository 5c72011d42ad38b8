"""Forms that need floating point, as integer forms that give the same bits: for instruction sets without FMA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from edgeconv.errors import UnsupportedModelError
from edgeconv.ir import Grid
from edgeconv.ir.forms import (
    MAGIC_F32,
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

__all__ = ["SoftFma", "evaluate", "integer_form"]

_MOST_STEPS = 1024
_LIMB = 26
_INT64 = 1 << 63


@dataclass(frozen=True)
class SoftFma:
    """round_half_even(narrow(acc)·multiplier / 2^shift), multiplier up to 53 bits, computed in two limbs.

    narrow is the rounding of acc to 24 significant bits (what float32 does) where `narrow` is set.
    """

    multiplier: int
    shift: int
    narrow: bool


def integer_form(form: Form, reach: tuple[int, int], grid: Grid) -> MulShift | WideMulShift | Steps | Ratio | SoftFma:
    """A form without floating point that equals `form` for every accumulator in `reach`; fixes are left to the caller.

    Raises:
        UnsupportedModelError: there is none; the program has to be proved with integer forms.
    """
    if isinstance(form, (MulShift, WideMulShift, Steps, Ratio)):
        return form
    if isinstance(form, FmaBitsF32):
        shifted = _shifted(form)
        if shifted.shift <= 62 and _most(shifted, reach) < _INT64:
            return shifted
    if isinstance(form, FmaF32) or (isinstance(form, FmaF64) and form.offset == 0):
        numerator, denominator = form.factor.as_integer_ratio()
        shift = denominator.bit_length() - 1
        grown = max(0, _LIMB + 1 - shift)  # the code drops one limb and shifts by at least one bit more
        numerator, shift = numerator << grown, shift + grown
        widest = max(abs(reach[0]), abs(reach[1]), 1) + 2
        narrow = isinstance(form, FmaF32) and widest > 1 << 24
        if _fits_wide(numerator, shift, widest):
            return SoftFma(numerator, shift, narrow)
    if isinstance(form, (FmaF32, FmaBitsF32, FmaF64, FmaOffsetF32)) and grid.hi - grid.lo <= _MOST_STEPS:
        return _steps(form, reach, grid)
    raise UnsupportedModelError(
        f"a requantization in the form {form.kind} to {grid.hi - grid.lo + 1} levels without floating point",
        advice="leave that instruction set out, or prove with integer forms",
    )


def _shifted(form: FmaBitsF32) -> MulShift:
    """acc·c + d, both with the denominator of c."""
    multiplier, denominator = form.factor.as_integer_ratio()
    shift = denominator.bit_length() - 1
    grown = max(0, 1 - shift)
    multiplier, shift = multiplier << grown, shift + grown
    return MulShift(multiplier, form.base * multiplier + (int(form.addend - MAGIC_F32) << shift), shift)


def _most(form: MulShift, reach: tuple[int, int]) -> int:
    """More than any number on the way, fixes included."""
    ends = [abs(end * form.multiplier + form.addend) + abs(form.multiplier) for end in reach]
    return max(ends) + (1 << form.shift)


def _fits_wide(numerator: int, shift: int, widest: int) -> bool:
    """Both limb products and their sum stay inside int64, and the shift is one that the code can make."""
    high = (abs(numerator) >> _LIMB) + 1
    return _LIMB + 1 <= shift <= _LIMB + 61 and 4 * widest * high + 4 * widest < _INT64 and widest << _LIMB < _INT64


def _steps(form: Form, reach: tuple[int, int], grid: Grid) -> Steps:
    lo, hi = reach

    def value(acc: int) -> int:
        return grid.clip(evaluate(form, acc))

    first, last = value(lo), value(hi)
    increasing = last >= first
    thresholds = []
    for level in range(1, abs(last - first) + 1):
        reached = _reached(value, first, level, increasing)
        at = _bisect(lo, hi, reached)
        thresholds.append(at if increasing else at - 1)
    return Steps(first, tuple(thresholds), increasing)


def _reached(value: Callable[[int], int], first: int, level: int, increasing: bool) -> Callable[[int], bool]:
    if increasing:
        return lambda acc: value(acc) >= first + level
    return lambda acc: value(acc) <= first - level


def _bisect(lo: int, hi: int, reached: Callable[[int], bool]) -> int:
    """The smallest integer in (lo, hi] for which the monotone predicate holds; it holds at hi."""
    while hi - lo > 1:
        middle = (lo + hi) // 2
        lo, hi = (lo, middle) if reached(middle) else (middle, hi)
    return hi


def evaluate(form: Form, acc: int) -> int:
    """The rounded value (zero point and clip left out) that a floating-point form gives for one accumulator."""
    if isinstance(form, FmaBitsF32):
        operand = acc + dict(form.fixes).get(acc, 0) + form.base
        return round(operand * Fraction(form.factor) + Fraction(form.addend) - Fraction(MAGIC_F32))
    if isinstance(form, FmaF32):
        acc += dict(form.fixes).get(acc, 0)
        return round(_to_precision(Fraction(acc), 24) * Fraction(form.factor))
    if isinstance(form, FmaOffsetF32):
        exact = _to_precision(Fraction(acc), 24) * Fraction(form.factor) + Fraction(form.offset)
        return round(_to_precision(exact, 24))
    if isinstance(form, FmaF64):
        exact = acc * Fraction(form.factor) + Fraction(form.offset)
        return round(exact if form.offset == 0 else _to_precision(exact, 53))
    raise TypeError(f"{form.kind} is an integer form")


def _to_precision(value: Fraction, bits: int) -> Fraction:
    """A rational rounded half-even to `bits` significant bits (exponents as far as needed)."""
    if value == 0:
        return value
    exponent = abs(value).numerator.bit_length() - value.denominator.bit_length()
    if abs(value) < Fraction(2) ** exponent:
        exponent -= 1
    unit = Fraction(2) ** (exponent - bits + 1)
    return round(value / unit) * unit
