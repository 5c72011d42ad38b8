"""Correctly rounded values of expressions: float64 intervals for nearly all, exact or multi-precision for the rest."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import mpmath
import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import QuantizationError
from edgeconv.integer.functions import PRIMITIVES, Exact, Floats, exact_value
from edgeconv.integer.values import ONE, ZERO, Affine, Channels, Expression, Number, channel_axis
from edgeconv.ir import Grid, Rounding
from edgeconv.ir.exact import fraction_to_float32, round_fraction

ULPS = 16.0
"""Assumed error of a float64 library function in units in the last place: numpy promises less than 5."""

_PRECISIONS = (128, 512, 2048, 8192)
Pair = tuple[Any, Any]
Arithmetic = Callable[[Any, Any], Pair]


class Rounder(Protocol):
    """The one rounding at the end: of rationals, infinities and NaN, or of whole arrays of float64."""

    def exact(self, value: Exact) -> int | float:
        """The rounded value."""

    def array(self, values: Floats) -> NDArray[Any]:
        """The rounded values of exact float64 numbers; non-decreasing."""


@dataclass(frozen=True)
class GridRounder:
    """Rounds to the integers of a grid."""

    grid: Grid

    def exact(self, value: Exact) -> int:
        """clip(round(value) + zero point); NaN counts as 0."""
        if isinstance(value, Fraction):
            return self.grid.clip(round_fraction(value, self.grid.rounding))
        if math.isnan(value):
            return self.grid.clip(0)
        return self.grid.hi if value > 0 else self.grid.lo

    def array(self, values: Floats) -> NDArray[np.int64]:
        """The same for float64; clipped first so that the conversion to integers stays in range."""
        lo, hi = self.grid.lo - self.grid.zero_point, self.grid.hi - self.grid.zero_point
        clipped = np.clip(np.nan_to_num(values, nan=0.0, posinf=hi + 1.0, neginf=lo - 1.0), lo - 1.0, hi + 1.0)
        if self.grid.rounding is Rounding.HALF_EVEN:
            rounded = np.rint(clipped)
        else:
            floor = np.floor(np.abs(clipped))
            rounded = np.copysign(floor + (np.abs(clipped) - floor >= 0.5), clipped)
        return np.clip(rounded.astype(np.int64), lo, hi) + self.grid.zero_point


@dataclass(frozen=True)
class Float32Rounder:
    """Rounds to float32, for outputs that no quantizer covers."""

    def exact(self, value: Exact) -> float:
        """The nearest float32, ties to even."""
        return fraction_to_float32(value) if isinstance(value, Fraction) else value

    def array(self, values: Floats) -> NDArray[np.float32]:
        """The same for float64; a zero is +0."""
        with np.errstate(over="ignore"):
            return values.astype(np.float32) + np.float32(0)


def evaluate(expression: Expression, x: NDArray[np.int64], rounder: Rounder) -> NDArray[Any]:
    """The correctly rounded value of every channel at integers x.

    Args:
        expression: a function of one integer tensor.
        x: integers of shape (channels or 1, n).

    Returns:
        int64 or float32 of shape (channels, n), channels being those of the expression or of x.

    Raises:
        QuantizationError: a value lies so near to a tie that 8192 bits do not decide it.
    """
    _, channels = channel_axis(expression)
    rows = max(channels, x.shape[0])
    points = np.broadcast_to(x, (rows, x.shape[1]))
    with np.errstate(all="ignore"):
        lo, hi = _bounds(expression, _float_pair(x), _Float64())
        below, above = rounder.array(lo), rounder.array(hi)
    result = np.array(np.broadcast_to(below, points.shape))
    decided = np.isfinite(lo) & np.isfinite(hi) & (below == above)
    if isinstance(rounder, Float32Rounder):
        # Zeros and subnormals are decided exactly: there the absolute slack of an interval is not small.
        decided &= np.abs(below) > 1e-30
    for row, column in np.argwhere(~np.broadcast_to(decided, points.shape)):
        channel = int(row) if channels > 1 else 0
        result[row, column] = evaluate_one(expression, channel, int(points[row, column]), rounder)
    return result


def evaluate_one(expression: Expression, channel: int, x: int, rounder: Rounder) -> int | float:
    """The correctly rounded value of one channel at one integer: exactly, or with rising precision (Ziv's strategy)."""
    exact = exact_value(expression, channel, x)
    if exact is not None:
        return rounder.exact(exact)
    for precision in _PRECISIONS:
        with mpmath.workprec(precision):
            lo, hi = _bounds(expression, (x, x), _MultiPrecision(channel, precision))
            if mpmath.isfinite(lo) and mpmath.isfinite(hi):
                below, above = rounder.exact(_fraction(lo)), rounder.exact(_fraction(hi))
                if below == above:
                    return below
    raise QuantizationError(
        f"the value of a function at integer {x} cannot be told from a tie with {_PRECISIONS[-1]} bits",
        advice="another scale of the quantizer that follows",
    )


def _fraction(value: Any) -> Fraction:
    sign, mantissa, exponent, _ = value._mpf_
    magnitude = Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
    return -magnitude if sign else magnitude


def _float_pair(x: NDArray[np.int64]) -> Pair:
    return x, x


class _Float64:
    """Interval arithmetic on float64 arrays of shape (channels, n)."""

    minimum, maximum = np.minimum, np.maximum

    def number(self, values: Channels) -> Pair:
        nearest = np.array([_nearest_float(value) for value in values])[:, None]
        exact = np.array([Fraction(float(n)) == value for n, value in zip(nearest[:, 0], values, strict=True)])[:, None]
        lo, hi = self.widen((nearest, nearest))
        return np.where(exact, nearest, lo), np.where(exact, nearest, hi)

    def integer(self, pair: Pair) -> Pair:
        nearest = pair[0].astype(np.float64)
        if np.all(np.abs(nearest) < 2.0**53):
            return nearest, nearest
        return self.widen((nearest, nearest))

    def widen(self, pair: Pair) -> Pair:
        lo, hi = pair
        slack = 2.0**-53 * ULPS
        return lo - (np.abs(lo) * slack + 1e-300), hi + (np.abs(hi) * slack + 1e-300)

    def call(self, name: str, value: Any) -> Any:
        return PRIMITIVES[name].array(np.asarray(value))


class _MultiPrecision:
    """Interval arithmetic on pairs of mpmath numbers, one channel at a time."""

    minimum, maximum = staticmethod(min), staticmethod(max)

    def __init__(self, channel: int, precision: int) -> None:
        self.channel = channel
        # mpmath's functions are good to a few units in the last place; 16 bits of slack cover every operation.
        self.slack = mpmath.ldexp(1, 16 - precision)

    def number(self, values: Channels) -> Pair:
        value = values[self.channel if len(values) > 1 else 0]
        nearest = mpmath.mpf(value.numerator) / value.denominator
        return self.widen((nearest, nearest))

    def integer(self, pair: Pair) -> Pair:
        value = mpmath.mpf(pair[0])
        return value, value

    def widen(self, pair: Pair) -> Pair:
        lo, hi = pair
        return lo - abs(lo) * self.slack, hi + abs(hi) * self.slack

    def call(self, name: str, value: Any) -> Any:
        result = PRIMITIVES[name].precise(value)
        return result if isinstance(result, mpmath.mpf) else mpmath.nan


def _nearest_float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def _bounds(expression: Expression, x: Pair, field: Any) -> Pair:
    """An interval that holds the value of `expression` at the integers x."""
    if isinstance(expression, Number):
        pair: Pair = field.number(expression.values)
        return pair
    if isinstance(expression, Affine):
        return _affine_bounds(expression, field.integer(x), field)
    pairs = [_bounds(argument, x, field) for argument in expression.arguments]
    if expression.function in PRIMITIVES:
        return _primitive_bounds(expression.function, pairs[0], field)
    return _BINARY[expression.function](pairs[0], pairs[1], field)


def _affine_bounds(affine: Affine, x: Pair, field: Any) -> Pair:
    linear = affine.linear
    value = _add(_mul(x, field.number(linear.factors[0]), field), field.number(linear.offset), field)
    if linear.radicand != (ONE,):
        root = _primitive_bounds("sqrt", field.number(linear.radicand), field)
        value = _div(value, root, field)
    return value if linear.shift == (ZERO,) else _add(value, field.number(linear.shift), field)


def _primitive_bounds(name: str, value: Pair, field: Any) -> Pair:
    primitive = PRIMITIVES[name]
    lo, hi = value
    if primitive.slope is None:
        # |derivative| <= 1: the ends are no farther from each other than the arguments.
        middle = field.call(name, lo)
        return field.widen((middle - (hi - lo), middle + (hi - lo)))
    if primitive.slope < 0:
        lo, hi = hi, lo
    ends = field.call(name, lo), field.call(name, hi)
    return ends if primitive.step else field.widen(ends)


def _add(a: Pair, b: Pair, field: Any) -> Pair:
    return field.widen((a[0] + b[0], a[1] + b[1]))


def _mul(a: Pair, b: Pair, field: Any) -> Pair:
    products = [p * q for p in a for q in b]
    return field.widen(_hull(products, field))


def _div(a: Pair, b: Pair, field: Any) -> Pair:
    if np.any((b[0] <= 0) & (b[1] >= 0)) if isinstance(b[0], np.ndarray) else b[0] <= 0 <= b[1]:
        nan = np.nan if isinstance(b[0], np.ndarray) else mpmath.nan
        if not isinstance(b[0], np.ndarray):
            return nan, nan
        straddles = (b[0] <= 0) & (b[1] >= 0)
        b = np.where(straddles, nan, b[0]), np.where(straddles, nan, b[1])
    quotients = [p / q for p in a for q in b]
    return field.widen(_hull(quotients, field))


def _hull(values: list[Any], field: Any) -> Pair:
    lo = hi = values[0]
    for value in values[1:]:
        lo, hi = field.minimum(lo, value), field.maximum(hi, value)
    return lo, hi


def _max(a: Pair, b: Pair, field: Any) -> Pair:
    return field.maximum(a[0], b[0]), field.maximum(a[1], b[1])


def _min(a: Pair, b: Pair, field: Any) -> Pair:
    return field.minimum(a[0], b[0]), field.minimum(a[1], b[1])


_BINARY: dict[str, Callable[[Pair, Pair, Any], Pair]] = {
    "add": _add, "mul": _mul, "div": _div, "max": _max, "min": _min,
}  # fmt: skip
