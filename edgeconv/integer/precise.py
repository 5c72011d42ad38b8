"""Bounds of an expression at one integer: exact rational arithmetic around multi-precision functions.

An end of an interval is a rational and a side: (v, 1) means just above v, (v, -1) just below, (v, 0) v itself.
Functions such as tanh and erf come nearer to 1 than any precision shows; that they stay below it is known all the same,
and decides the tie that x·(1 + erf(x)) / 2 would otherwise sit on for large x.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath

from edgeconv.integer.functions import PRIMITIVES
from edgeconv.integer.values import ONE, ZERO, Affine, Channels, Expression, Number

End = tuple[Fraction, int]
Interval = tuple[End, End]

_LARGEST_EXPONENT = 1 << 14
_SLACK_BITS = 16  # mpmath's functions are good to a few units in the last place


class UndecidedError(Exception):
    """The function cannot be bounded here: outside its domain, or near a pole."""


def bounds(expression: Expression, channel: int, x: int, precision: int) -> Interval:
    """An interval that holds the value of one channel at integer x.

    Args:
        precision: bits to which functions are evaluated.

    Raises:
        UndecidedError: no finite interval is known.
    """
    if isinstance(expression, Number):
        return _point(_pick(expression.values, channel))
    if isinstance(expression, Affine):
        return _affine(expression, channel, x, precision)
    arguments = [bounds(argument, channel, x, precision) for argument in expression.arguments]
    if expression.function in PRIMITIVES:
        return _function(expression.function, arguments[0], precision)
    return _BINARY[expression.function](*arguments)


def _pick(values: Channels, channel: int) -> Fraction:
    return values[channel if len(values) > 1 else 0]


def _point(value: Fraction) -> Interval:
    return (value, 0), (value, 0)


def _affine(affine: Affine, channel: int, x: int, precision: int) -> Interval:
    linear = affine.linear.channel(channel)
    value = _point(linear.factors[0] * x + linear.offset)
    if linear.radicand != ONE:
        value = _divide(value, _function("sqrt", _point(linear.radicand), precision))
    return _add(value, _point(linear.shift))


def _add(a: Interval, b: Interval) -> Interval:
    (a_lo, a_hi), (b_lo, b_hi) = a, b
    return (a_lo[0] + b_lo[0], max(a_lo[1], b_lo[1])), (a_hi[0] + b_hi[0], min(a_hi[1], b_hi[1]))


def _times(a: End, b: End) -> End:
    side = a[1] * _sign(b[0]) + b[1] * _sign(a[0])
    return a[0] * b[0], _sign(side)


def _multiply(a: Interval, b: Interval) -> Interval:
    corners = [_times(p, q) for p in a for q in b]
    (lo, lo_side), (hi, hi_side) = min(corners), max(corners)
    # A side that points out of the interval says nothing.
    return (lo, max(lo_side, 0)), (hi, min(hi_side, 0))


def _divide(a: Interval, b: Interval) -> Interval:
    lo, hi = b
    if lo[0] <= 0 <= hi[0]:
        raise UndecidedError
    return _multiply(a, ((ONE / hi[0], -hi[1]), (ONE / lo[0], -lo[1])))


def _maximum(a: Interval, b: Interval) -> Interval:
    return max(a[0], b[0]), max(a[1], b[1])


def _minimum(a: Interval, b: Interval) -> Interval:
    return min(a[0], b[0]), min(a[1], b[1])


_BINARY: dict[str, Callable[[Interval, Interval], Interval]] = {
    "add": _add,
    "mul": _multiply,
    "div": _divide,
    "max": _maximum,
    "min": _minimum,
}

_OPEN_RANGE: dict[str, tuple[Fraction | None, Fraction | None]] = {
    "tanh": (-ONE, ONE),
    "erf": (-ONE, ONE),
    "sigmoid": (ZERO, ONE),
    "exp": (ZERO, None),
    "softplus": (ZERO, None),
}
"""Bounds that a function never reaches at a finite argument."""


def _function(name: str, argument: Interval, precision: int) -> Interval:
    primitive = PRIMITIVES[name]
    lo, hi = argument
    if primitive.step:
        low, high = primitive.exact(beside(lo)), primitive.exact(beside(hi))
        assert isinstance(low, Fraction)
        assert isinstance(high, Fraction)
        return (low, 0), (high, 0)
    if primitive.slope is None:
        # |derivative| <= 1: the value lies no farther from that at the low end than the argument does.
        low, high = _evaluate(name, lo[0], precision)
        return (low - (hi[0] - lo[0]), 0), (high + (hi[0] - lo[0]), 0)
    if precision <= _COARSE and (known := _saturated(name, argument)) is not None:
        return known
    first, last = (lo, hi) if primitive.slope > 0 else (hi, lo)
    below, above = _lower_end(name, first, precision), _upper_end(name, last, precision)
    floor, ceiling = _OPEN_RANGE.get(name, (None, None))
    if name == "softplus":
        floor = max(lo[0], ZERO)  # log(1 + exp(x)) > x
    if floor is not None:
        below = max(below, (floor, 1))
    if ceiling is not None:
        above = min(above, (ceiling, -1))
    return below, above


_COARSE = 128
_TINY = Fraction(1, 1 << 64)
_SATURATES_AT = {"tanh": 45, "erf": 7, "sigmoid": 45, "exp": 45, "softplus": 45}
"""Beyond these arguments the function is within 2⁻⁶⁴ of its limit: exp(-45) = 2.9e-20, 1 - erf(7) = 4.2e-23."""


def _saturated(name: str, argument: Interval) -> Interval | None:
    """Bounds far out, without multi-precision: wide tables have thousands of ties there."""
    if name not in _SATURATES_AT:
        return None
    (lo, _), (hi, _) = argument
    floor, ceiling = _OPEN_RANGE[name]
    if lo >= _SATURATES_AT[name]:
        if name == "softplus":
            return (lo, 1), (hi + _TINY, -1)
        return None if ceiling is None else ((ceiling - _TINY, 1), (ceiling, -1))
    if hi <= -_SATURATES_AT[name] and floor is not None:
        return (floor, 1), (floor + _TINY, -1)
    return None


def _lower_end(name: str, argument: End, precision: int) -> End:
    low, high = _evaluate(name, argument[0], precision)
    return low, 1 if low < high else abs(argument[1])


def _upper_end(name: str, argument: End, precision: int) -> End:
    low, high = _evaluate(name, argument[0], precision)
    return high, -1 if low < high else -abs(argument[1])


def _evaluate(name: str, x: Fraction, precision: int) -> tuple[Fraction, Fraction]:
    """Rational bounds of a function at a rational, the function's value strictly between them or equal to both."""
    exact = PRIMITIVES[name].exact(x)
    if isinstance(exact, Fraction):
        return exact, exact
    # The argument is taken with so many more bits that its own rounding stays inside the slack.
    size = abs(x.numerator).bit_length() - x.denominator.bit_length()
    with mpmath.workprec(2 * precision + 2 * abs(size) + 64):
        argument = mpmath.mpf(x.numerator) / x.denominator
    with mpmath.workprec(precision):
        value = PRIMITIVES[name].precise(argument)
    if not isinstance(value, mpmath.mpf) or not mpmath.isfinite(value):
        raise UndecidedError
    exponent = mpmath.frexp(value)[1]
    if exponent > _LARGEST_EXPONENT:
        raise UndecidedError
    if exponent < -_LARGEST_EXPONENT:
        # As good as zero, and not worth thousands of digits: only its sign can matter.
        tiny = Fraction(1, 1 << _LARGEST_EXPONENT)
        return (ZERO, tiny) if value > 0 else (-tiny, ZERO)
    middle = _fraction(value)
    slack = abs(middle) / (1 << (precision - _SLACK_BITS))
    return middle - slack, middle + slack


def _fraction(value: Any) -> Fraction:
    sign, mantissa, exponent, _ = value._mpf_
    magnitude = Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
    return -magnitude if sign else magnitude


def beside(end: End) -> Fraction:
    """A rational on the end's side of its value, with no multiple of 1/2 between the two."""
    value, side = end
    if side == 0:
        return value
    halves = 2 * value
    below = halves.numerator // halves.denominator
    if side > 0:
        return (value + Fraction(below + 1, 2)) / 2
    return (value + Fraction(below if below != halves else below - 1, 2)) / 2


def _sign(value: Fraction | int) -> int:
    return (value > 0) - (value < 0)
