"""Correctly rounded values of expressions: float64 intervals for nearly all, exact or multi-precision for the rest."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import QuantizationError
from edgeconv.integer.functions import PRIMITIVES, Exact, Floats, direction_of, exact_value
from edgeconv.integer.precise import End, UndecidedError, beside, bounds
from edgeconv.integer.values import ONE, ZERO, Affine, Channels, Expression, Number, channel_axis
from edgeconv.ir import Grid, Rounding
from edgeconv.ir.exact import fraction_to_float32, round_fraction

ULPS = 16.0
"""Assumed error of a float64 library function in units in the last place: numpy promises less than 5."""

_PRECISIONS = (128, 512, 2048)
_LARGEST = float(np.finfo(np.float64).max)
Pair = tuple[Any, Any]


class Rounder(Protocol):
    """The one rounding at the end: of rationals, infinities and NaN, or of whole arrays of float64."""

    def exact(self, value: Exact) -> int | float:
        """The rounded value."""

    def beside(self, end: End) -> int | float:
        """The rounded value just above, just below or at a rational."""

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

    def beside(self, end: End) -> int:
        """The same just above, just below or at a rational: it steps at multiples of 1/2 only."""
        return self.exact(beside(end))

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

    def beside(self, end: End) -> float:
        """The same just above, just below or at a rational, which matters half-way between two float32."""
        value, side = end
        nearest = fraction_to_float32(value)
        neighbour = float(np.nextafter(np.float32(nearest), np.float32(side * np.inf))) if side else nearest
        if math.isfinite(neighbour) and 2 * value == Fraction(nearest) + Fraction(neighbour):
            return neighbour
        return nearest

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
        QuantizationError: a value lies so near to a tie that 2048 bits do not decide it.
    """
    _, channels = channel_axis(expression)
    rows = max(channels, x.shape[0])
    points = np.broadcast_to(x, (rows, x.shape[1]))
    with np.errstate(all="ignore"):
        lo, hi = _bounds(expression, (x, x), _Float64())
        below, above = rounder.array(lo), rounder.array(hi)
    result = np.array(np.broadcast_to(below, points.shape))
    decided = ~np.isnan(lo) & ~np.isnan(hi) & (below == above)
    undecided = ~np.broadcast_to(decided, points.shape)
    for row in np.flatnonzero(undecided.any(1)):
        open_points, places = np.unique(points[row][undecided[row]], return_inverse=True)
        found = _decide(expression, int(row) if channels > 1 else 0, open_points.tolist(), rounder)
        result[row, undecided[row]] = np.array(found)[places.reshape(-1)]
    return result


def _decide(expression: Expression, channel: int, points: list[int], rounder: Rounder) -> list[int | float]:
    """`evaluate_one` at ascending integers; a monotone function that has one value at both ends has it between."""
    if direction_of(expression, channel) is None:
        return [evaluate_one(expression, channel, x, rounder) for x in points]
    found: list[int | float] = [0] * len(points)
    runs = [(0, len(points) - 1)]
    while runs:
        first, last = runs.pop()
        found[first] = evaluate_one(expression, channel, points[first], rounder)
        found[last] = evaluate_one(expression, channel, points[last], rounder)
        if found[first] == found[last]:
            found[first : last + 1] = [found[first]] * (last + 1 - first)
        elif last - first > 1:
            middle = (first + last) // 2
            runs += [(first + 1, middle), (middle + 1, last - 1)]
    return found


def evaluate_one(expression: Expression, channel: int, x: int, rounder: Rounder) -> int | float:
    """The correctly rounded value of one channel at one integer: exactly, or with rising precision (Ziv's strategy)."""
    exact = exact_value(expression, channel, x)
    if exact is not None:
        return rounder.exact(exact)
    for precision in _PRECISIONS:
        try:
            low, high = bounds(expression, channel, x, precision)
        except UndecidedError:
            continue
        below, above = rounder.beside(low), rounder.beside(high)
        if below == above:
            return below
    raise QuantizationError(
        f"the value of a function at integer {x} cannot be told from a tie with {_PRECISIONS[-1]} bits",
        advice="another scale of the quantizer that follows",
    )


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
        """Room for rounding errors; an overflow is some number beyond the largest float, not infinity itself."""
        lo, hi = pair
        slack = 2.0**-53 * ULPS
        below, above = lo - (np.abs(lo) * slack + 1e-300), hi + (np.abs(hi) * slack + 1e-300)
        return np.minimum(below, _LARGEST), np.maximum(above, -_LARGEST)

    def call(self, name: str, value: Any) -> Any:
        return PRIMITIVES[name].array(np.asarray(value))


def _nearest_float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def _bounds(expression: Expression, x: Pair, field: _Float64) -> Pair:
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


def _affine_bounds(affine: Affine, x: Pair, field: _Float64) -> Pair:
    linear = affine.linear
    value = _add(_mul(x, field.number(linear.factors[0]), field), field.number(linear.offset), field)
    if linear.radicand != (ONE,):
        root = _primitive_bounds("sqrt", field.number(linear.radicand), field)
        value = _div(value, root, field)
    return value if linear.shift == (ZERO,) else _add(value, field.number(linear.shift), field)


def _primitive_bounds(name: str, value: Pair, field: _Float64) -> Pair:
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


def _add(a: Pair, b: Pair, field: _Float64) -> Pair:
    return field.widen((a[0] + b[0], a[1] + b[1]))


def _mul(a: Pair, b: Pair, field: _Float64) -> Pair:
    products = [p * q for p in a for q in b]
    return field.widen(_hull(products, field))


def _div(a: Pair, b: Pair, field: _Float64) -> Pair:
    straddles = (b[0] <= 0) & (b[1] >= 0)
    divisors = [np.where(straddles, np.nan, end) for end in b]
    quotients = [p / q for p in a for q in divisors]
    return field.widen(_hull(quotients, field))


def _hull(values: list[Any], field: _Float64) -> Pair:
    lo = hi = values[0]
    for value in values[1:]:
        lo, hi = field.minimum(lo, value), field.maximum(hi, value)
    return lo, hi


def _max(a: Pair, b: Pair, field: _Float64) -> Pair:
    return field.maximum(a[0], b[0]), field.maximum(a[1], b[1])


def _min(a: Pair, b: Pair, field: _Float64) -> Pair:
    return field.minimum(a[0], b[0]), field.minimum(a[1], b[1])


_BINARY: dict[str, Callable[[Pair, Pair, Any], Pair]] = {
    "add": _add, "mul": _mul, "div": _div, "max": _max, "min": _min,
}  # fmt: skip
