"""Elementwise functions: float64 and multi-precision evaluation, exact special values, monotony.

Three ways to look at an expression over one integer tensor, all channel by channel:

- `direction`: whether it rises or falls with the integer, from the structure alone;
- `exact_value`: the value where it is rational (piecewise linear functions, sigmoid(0), sqrt(4), …);
- `edgeconv.integer.intervals`: rigorous bounds of the value everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

from edgeconv.integer.values import ONE, ZERO, Affine, Call, Expression, Number, channel_axis
from edgeconv.ir import Rounding
from edgeconv.ir.exact import round_fraction

Exact = Fraction | float
"""A rational, or one of the float64 values inf, -inf and nan."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Primitive:
    """A function of one real number.

    Attributes:
        array: float64 evaluation, within `intervals.ULPS` units in the last place, nan outside the domain.
        precise: the mpmath function.
        exact: the rational (or infinite) value at a rational, None where it is irrational.
        slope: +1 or -1 where monotone on its domain; None where it is not, and then |derivative| <= 1.
        step: whether it is piecewise constant, so that bounds must be evaluated without widening.
    """

    array: Callable[[Floats], Floats]
    precise: Callable[[Any], Any]
    exact: Callable[[Fraction], Exact | None]
    slope: int | None = 1
    step: bool = False


def _at(points: dict[Fraction, Fraction]) -> Callable[[Fraction], Exact | None]:
    return points.get


def _log(x: Fraction) -> Exact | None:
    if x <= 0:
        return -math.inf if x == 0 else math.nan
    return ZERO if x == 1 else None


def _sqrt(x: Fraction) -> Exact | None:
    if x < 0:
        return math.nan
    top, bottom = math.isqrt(x.numerator), math.isqrt(x.denominator)
    return Fraction(top, bottom) if top * top == x.numerator and bottom * bottom == x.denominator else None


def _inverse_sine(x: Fraction) -> Exact | None:
    return ZERO if x == 0 else (math.nan if abs(x) > 1 else None)


def _inverse_cosine(x: Fraction) -> Exact | None:
    return ZERO if x == 1 else (math.nan if abs(x) > 1 else None)


def _acosh(x: Fraction) -> Exact | None:
    return ZERO if x == 1 else (math.nan if x < 1 else None)


def _atanh(x: Fraction) -> Exact | None:
    if abs(x) >= 1:
        return math.copysign(math.inf, x) if abs(x) == 1 else math.nan
    return ZERO if x == 0 else None


def _erf(x: Floats) -> Floats:
    # numpy has no erf; the C library's is within one unit in the last place.
    return np.fromiter((math.erf(value) for value in x.ravel()), np.float64, x.size).reshape(x.shape)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def _softplus(x: Floats) -> Floats:
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


_ODD = _at({ZERO: ZERO})

PRIMITIVES: dict[str, Primitive] = {
    "exp": Primitive(np.exp, mpmath.exp, _at({ZERO: ONE})),
    "log": Primitive(np.log, mpmath.log, _log),
    "sqrt": Primitive(np.sqrt, mpmath.sqrt, _sqrt),
    "tanh": Primitive(np.tanh, mpmath.tanh, _ODD),
    "erf": Primitive(_erf, mpmath.erf, _ODD),
    "sigmoid": Primitive(_sigmoid, lambda x: 1 / (1 + mpmath.exp(-x)), _at({ZERO: Fraction(1, 2)})),
    "softplus": Primitive(_softplus, lambda x: mpmath.log1p(mpmath.exp(x)), lambda x: None),
    "atan": Primitive(np.arctan, mpmath.atan, _ODD),
    "asin": Primitive(np.arcsin, mpmath.asin, _inverse_sine),
    "acos": Primitive(np.arccos, mpmath.acos, _inverse_cosine, -1),
    "sinh": Primitive(np.sinh, mpmath.sinh, _ODD),
    "asinh": Primitive(np.arcsinh, mpmath.asinh, _ODD),
    "acosh": Primitive(np.arccosh, mpmath.acosh, _acosh),
    "atanh": Primitive(np.arctanh, mpmath.atanh, _atanh),
    "sin": Primitive(np.sin, mpmath.sin, _ODD, None),
    "cos": Primitive(np.cos, mpmath.cos, _at({ZERO: ONE}), None),
    "floor": Primitive(np.floor, mpmath.floor, lambda x: Fraction(math.floor(x)), 1, True),
    "ceil": Primitive(np.ceil, mpmath.ceil, lambda x: Fraction(math.ceil(x)), 1, True),
    "round": Primitive(np.rint, mpmath.nint, lambda x: Fraction(round_fraction(x, Rounding.HALF_EVEN)), 1, True),
    "sign": Primitive(np.sign, mpmath.sign, lambda x: Fraction((x > 0) - (x < 0)), 1, True),
    "reaches_zero": Primitive(
        lambda x: np.where(x >= 0, 1.0, -1.0),
        lambda x: mpmath.mpf(1 if x >= 0 else -1),
        lambda x: ONE if x >= 0 else -ONE,
        1,
        True,
    ),
}
"""All functions of one argument; "add", "mul", "div", "max" and "min" are the functions of two."""


_PARTIAL = frozenset({"log", "sqrt", "asin", "acos", "acosh", "atanh"})
"""Functions that are no number at some arguments, and there give the zero point: not monotone as a whole."""


def exact_value(expression: Expression, channel: int, x: int) -> Exact | None:
    """The value of one channel at integer x where it is rational or infinite or not a number; None elsewhere."""
    if isinstance(expression, Number):
        return expression.values[channel if len(expression.values) > 1 else 0]
    if isinstance(expression, Affine):
        function = expression.linear.channel(channel)
        rational = function.as_rational()
        if rational is not None:
            return rational.factors[0] * x + rational.offset
        left = function.factors[0] * x + function.offset
        return function.shift if left == 0 else None
    values = [exact_value(argument, channel, x) for argument in expression.arguments]
    if any(value is None for value in values):
        return _despite_unknown(expression.function, values)
    known = [value for value in values if value is not None]
    if expression.function in PRIMITIVES:
        (value,) = known
        primitive = PRIMITIVES[expression.function]
        return primitive.exact(value) if isinstance(value, Fraction) else _finite(_at_infinity(primitive, value))
    return _binary(expression.function, *known)


def _despite_unknown(function: str, values: list[Exact | None]) -> Exact | None:
    # 0·f(x) is 0 for any finite irrational f(x).
    return ZERO if function == "mul" and ZERO in values else None


def _at_infinity(primitive: Primitive, value: float) -> float:
    with np.errstate(all="ignore"):
        return float(primitive.array(np.array([value]))[0])


def _finite(value: float) -> Exact:
    return Fraction(value) if math.isfinite(value) else value


def _binary(function: str, a: Exact, b: Exact) -> Exact:
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        if function == "div" and b == 0:
            return math.nan if a == 0 else math.copysign(math.inf, a)
        result = _RATIONAL[function](a, b)
        assert isinstance(result, Fraction)
        return result
    with np.errstate(all="ignore"):
        return _finite(float(_FLOAT[function](np.float64(_sign_or_float(a)), np.float64(_sign_or_float(b)))))


def _sign_or_float(value: Exact) -> float:
    """Beside an infinity only the sign of a rational counts, and its size may exceed a float."""
    return value if isinstance(value, float) else float((value > 0) - (value < 0))


_RATIONAL: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b, "max": max, "min": min,
}  # fmt: skip
_FLOAT: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.add, "mul": np.multiply, "div": np.divide, "max": np.maximum, "min": np.minimum,
}  # fmt: skip


def direction(expression: Expression) -> tuple[int | None, ...]:
    """Per channel: 1 where the value rises (or stays) with the integer, -1 where it falls, 0 where it is constant.

    None where the structure does not tell.
    """
    _, channels = channel_axis(expression)
    return tuple(direction_of(expression, k) for k in range(channels))


def direction_of(expression: Expression, channel: int) -> int | None:
    """`direction` of one channel."""
    if isinstance(expression, Number):
        return 0
    if isinstance(expression, Affine):
        signs = {_sign(factor) for factor in expression.linear.channel(channel).factors} - {0}
        return (signs.pop() if signs else 0) if len(signs) < 2 else None
    slopes = [direction_of(argument, channel) for argument in expression.arguments]
    if all(slope == 0 for slope in slopes):
        return 0
    if expression.function in PRIMITIVES:
        slope, own = slopes[0], PRIMITIVES[expression.function].slope
        partial = expression.function in _PARTIAL
        return None if slope is None or own is None or partial else slope * own
    if expression.function in ("add", "max", "min"):
        found = set(slopes) - {0}
        return found.pop() if len(found) == 1 else None
    return _product_direction(expression, slopes, channel)


def _product_direction(expression: Call, slopes: list[int | None], channel: int) -> int | None:
    a, b = expression.arguments
    if isinstance(a, Number) and expression.function == "mul":
        a, b, slopes = b, a, slopes[::-1]
    if slopes[1] != 0 or slopes[0] is None:
        return None
    value = exact_value(b, channel, 0)
    if value is None:
        # A square root of a constant, as batch normalization divides by it, is the only irrational constant.
        return slopes[0] if isinstance(b, Call) and b.function == "sqrt" else None
    return slopes[0] * _sign(value) if value else (0 if expression.function == "mul" else None)


def _sign(value: Exact) -> int:
    return (value > 0) - (value < 0)
