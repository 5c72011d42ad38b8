"""Exact arithmetic on real expressions: whatever stays affine is kept affine, clips stay outside of it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from edgeconv.integer.values import ONE, ZERO, Affine, Call, Channels, Expression, Number, make_linear, zip_channels
from edgeconv.ir import Linear
from edgeconv.ir.operators.scaling import broadcast

CLIPS = {"max": "min", "min": "max"}
"""The two clips, each with what it becomes under a negative factor."""


def number(value: Fraction | int | float) -> Number:
    """A constant that is the same everywhere."""
    return Number((Fraction(value),))


def number_of_array(array: NDArray[np.generic], rank: int) -> Number | None:
    """A float32 constant as an exact number for results of rank `rank`; None where it varies along several axes."""
    shape = (1,) * (rank - array.ndim) + array.shape
    wide = [axis for axis, extent in enumerate(shape) if extent > 1]
    if len(wide) > 1:
        if not np.all(array == array.flat[0]):
            return None
        return number(float(array.flat[0]))
    values = tuple(Fraction(float(value)) for value in array.ravel())
    return Number(values, wide[0] if wide else 0, len(shape))


def add(a: Expression, b: Expression) -> Expression:
    """a + b."""
    if isinstance(a, Number) and not isinstance(b, Number):
        a, b = b, a
    if isinstance(b, Number):
        if isinstance(a, Number):
            return _numbers(Fraction.__add__, a, b) or Call("add", (a, b))
        if isinstance(a, Affine):
            return _shift(a, b) or Call("add", (a, b))
        if a.function in CLIPS and isinstance(a.arguments[1], Number):
            return Call(a.function, (add(a.arguments[0], b), add(a.arguments[1], b)))
    elif isinstance(a, Affine) and isinstance(b, Affine):
        return _sum(a, b) or Call("add", (a, b))
    return Call("add", (a, b))


def multiply(a: Expression, b: Expression) -> Expression:
    """a · b; a product of two functions of integers stays a `Call`."""
    if isinstance(a, Number) and not isinstance(b, Number):
        a, b = b, a
    if not isinstance(b, Number):
        return Call("mul", (a, b))
    if isinstance(a, Number):
        return _numbers(Fraction.__mul__, a, b) or Call("mul", (a, b))
    if isinstance(a, Affine):
        return _scale(a, b) or Call("mul", (a, b))
    if a.function in CLIPS and isinstance(a.arguments[1], Number):
        signs = {value > 0 for value in b.values if value}
        if len(signs) == 1 and ZERO not in b.values:
            function = a.function if signs.pop() else CLIPS[a.function]
            return Call(function, (multiply(a.arguments[0], b), multiply(a.arguments[1], b)))
    return Call("mul", (a, b))


def negate(a: Expression) -> Expression:
    """-a."""
    return multiply(a, number(-1))


def subtract(a: Expression, b: Expression) -> Expression:
    """a - b."""
    return add(a, negate(b))


def divide(a: Expression, b: Expression) -> Expression:
    """a / b; division by an exact constant is multiplication by its exact inverse."""
    if isinstance(b, Number) and ZERO not in b.values:
        return multiply(a, Number(tuple(ONE / value for value in b.values), b.axis, b.rank))
    return Call("div", (a, b))


def maximum(a: Expression, b: Expression) -> Expression:
    """The larger of a and b; a constant stands second."""
    return _clip("max", a, b)


def minimum(a: Expression, b: Expression) -> Expression:
    """The smaller of a and b; a constant stands second."""
    return _clip("min", a, b)


def _clip(function: str, a: Expression, b: Expression) -> Expression:
    if isinstance(a, Number) and not isinstance(b, Number):
        a, b = b, a
    return Call(function, (a, b))


def batch_normalize(x: Expression, gamma: Number, beta: Number, mean: Number, variance: Number) -> Expression:
    """gamma·(x - mean) / sqrt(variance) + beta; `variance` has epsilon added already and is positive."""
    if isinstance(x, Affine) and x.linear.radicand == (ONE,):
        centred = subtract(x, mean)
        scaled = multiply(centred, gamma)
        if isinstance(scaled, Affine) and _axis_with(scaled, variance) is not None:
            axis = _axis_with(scaled, variance)
            assert axis is not None
            folded = Affine(
                scaled.tensors,
                make_linear(scaled.linear.factors, scaled.linear.offset, variance.values, (ZERO,), axis),
                scaled.shape,
            )
            return add(folded, beta)
    root = Call("sqrt", (variance,))
    return add(Call("div", (multiply(subtract(x, mean), gamma), root)), beta)


def _axis_with(a: Affine, b: Number) -> int | None:
    """The channel axis that a and b share in a's shape, or None where they vary along different axes."""
    axis_b = b.axis + len(a.shape) - b.rank
    if len(b.values) == 1:
        return a.linear.axis
    if a.linear.channels == 1 or a.linear.axis == axis_b:
        return axis_b if axis_b >= 0 and a.shape[axis_b] == len(b.values) else None
    return None


def _shift(a: Affine, b: Number) -> Affine | None:
    axis = _axis_with(a, b)
    if axis is None:
        return None
    linear = a.linear
    shift = zip_channels(Fraction.__add__, linear.shift, b.values)
    return Affine(a.tensors, make_linear(linear.factors, linear.offset, linear.radicand, shift, axis), a.shape)


def _scale(a: Affine, b: Number) -> Affine | None:
    axis = _axis_with(a, b)
    if axis is None:
        return None

    def scaled(values: Channels) -> Channels:
        return zip_channels(Fraction.__mul__, values, b.values)

    linear = a.linear
    factors = tuple(map(scaled, linear.factors))
    changed = make_linear(factors, scaled(linear.offset), linear.radicand, scaled(linear.shift), axis)
    return Affine(a.tensors, changed, a.shape)


def _sum(a: Affine, b: Affine) -> Affine | None:
    shape = broadcast([a.shape, b.shape])
    x, y = (_in_rank(value.linear, len(value.shape), len(shape)) for value in (a, b))
    if x.radicand != y.radicand or (x.channels > 1 and y.channels > 1 and x.axis != y.axis):
        return None
    axis = x.axis if x.channels > 1 else y.axis
    factors = dict(zip(a.tensors, x.factors, strict=True))
    for name, factor in zip(b.tensors, y.factors, strict=True):
        factors[name] = zip_channels(Fraction.__add__, factors[name], factor) if name in factors else factor
    offset = zip_channels(Fraction.__add__, x.offset, y.offset)
    shift = zip_channels(Fraction.__add__, x.shift, y.shift)
    linear = make_linear(tuple(factors.values()), offset, x.radicand, shift, axis)
    return Affine(tuple(factors), linear, shape)


def _in_rank(linear: Linear, rank: int, new_rank: int) -> Linear:
    axis = linear.axis + new_rank - rank if linear.channels > 1 else linear.axis
    return Linear(linear.factors, linear.offset, linear.radicand, linear.shift, axis)


def _numbers(function, a: Number, b: Number) -> Number | None:  # type: ignore[no-untyped-def]
    rank = max(a.rank, b.rank)
    axes = {value.axis + rank - value.rank for value in (a, b) if len(value.values) > 1}
    if len(axes) > 1:
        return None
    return Number(zip_channels(function, a.values, b.values), axes.pop() if axes else 0, rank)
