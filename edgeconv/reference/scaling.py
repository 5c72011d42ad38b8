"""Operators that round: requant, add, table, threshold.

The real value is estimated in float64 with an error bound; wherever the bound leaves the rounding open, the exact
definition (edgeconv.ir.exact) decides. Where every number fits, plain int64 arithmetic is exact from the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm

import numpy as np
from numpy.typing import NDArray

from edgeconv.ir import Linear, Rounding
from edgeconv.ir import operators as ops
from edgeconv.ir.exact import Grid, quantize_exact
from edgeconv.reference.accumulate import align
from edgeconv.reference.context import Array, Context, Integers

_RELATIVE_ERROR = 2.0**-48
"""Above the error of the at most 2·operands + 4 float64 operations of `estimate`, for up to 6 operands."""
_FITS = 1 << 61


def requant(context: Context, op: ops.Requant) -> Array:
    """clip(round(linear(x)) + zero point)."""
    return round_linear(op.linear, op.grid, [context.integers(op.x)])


def add(context: Context, op: ops.Add) -> Array:
    """clip(round(linear(x₁, x₂, …)) + zero point)."""
    shape = context.type(op.output).shape
    return round_linear(op.linear, op.grid, [align(context.integers(name), shape) for name in op.inputs])


def table(context: Context, op: ops.Table) -> Array:
    """values[x - lo]."""
    x = context.integers(op.x) - context.type(op.x).dtype.lo
    values = context.constant(op.values)
    if values.ndim == 1:
        return np.asarray(values[x])
    channels = np.arange(values.shape[0]).reshape(_along(op.axis, x.ndim))
    return np.asarray(values[channels, x])


def threshold(context: Context, op: ops.Threshold) -> Array:
    """base + #{x >= t}, or base - #{x > t}."""
    x = context.integers(op.x)
    thresholds = context.constant(op.thresholds).astype(np.int64)
    rows = thresholds.shape[0]
    result = np.empty(x.shape, np.int64)
    for row in range(rows):
        where = _channel(op.axis, row, x.ndim) if rows > 1 else (...,)
        base = op.base[row if len(op.base) > 1 else 0]
        if op.increasing[row if len(op.increasing) > 1 else 0]:
            result[where] = base + np.searchsorted(thresholds[row], x[where], side="right")
        else:
            result[where] = base - np.searchsorted(thresholds[row], x[where], side="left")
    return result


def round_linear(linear: Linear, grid: Grid, xs: Sequence[Integers]) -> Integers:
    """clip(round(linear(xs)) + zero point, lo, hi), exactly.

    Args:
        xs: int64 arrays that broadcast together, the sample axis in front.
    """
    shape = np.broadcast_shapes(*(x.shape for x in xs))
    result = np.empty(shape, np.int64)
    for channel in range(linear.channels):
        where = _channel(linear.axis, channel, len(shape)) if linear.channels > 1 else (...,)
        parts = [np.broadcast_to(x, shape)[where] for x in xs]
        exact = _round_by_integers(linear, channel, grid, parts)
        result[where] = exact if exact is not None else _round_by_estimate(linear, channel, grid, parts)
    return result


def _round_by_integers(linear: Linear, channel: int, grid: Grid, xs: Sequence[Integers]) -> Integers | None:
    function = linear.channel(channel).as_rational()
    if function is None:
        return None
    denominator = lcm(function.offset.denominator, *(factor.denominator for factor in function.factors))
    offset = int(function.offset * denominator)
    factors = [int(factor * denominator) for factor in function.factors]
    reach = abs(offset) + sum(abs(f) * int(np.abs(x).max(initial=0)) for f, x in zip(factors, xs, strict=True))
    if max(reach, denominator) >= _FITS:
        return None
    numerator = sum((f * x for f, x in zip(factors, xs, strict=True)), np.int64(offset))
    floor, rest = np.divmod(2 * numerator + denominator, 2 * denominator)
    tie_steps_back = (floor & 1) == 1 if grid.rounding is Rounding.HALF_EVEN else numerator < 0
    rounded = floor - ((rest == 0) & tie_steps_back)
    return np.asarray(np.clip(rounded + grid.zero_point, grid.lo, grid.hi))


def estimate(linear: Linear, channel: int, xs: Sequence[Integers]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The value of `linear` in float64, and a bound of its error."""
    function = linear.channel(channel)
    root = float(function.radicand) ** 0.5
    terms = [float(factor) * x.astype(np.float64) for factor, x in zip(function.factors, xs, strict=True)]
    value = (sum(terms) + float(function.offset)) / root + float(function.shift)
    size = (sum(np.abs(term) for term in terms) + abs(float(function.offset))) / root + abs(float(function.shift))
    return np.asarray(value), np.asarray(size) * _RELATIVE_ERROR


def _round_by_estimate(linear: Linear, channel: int, grid: Grid, xs: Sequence[Integers]) -> Integers:
    value, error = estimate(linear, channel, xs)
    lo, hi = grid.lo - grid.zero_point, grid.hi - grid.zero_point
    rounded = np.rint(np.clip(value, lo - 1.0, hi + 1.0)).astype(np.int64)
    from_half = np.abs(value - np.floor(value) - 0.5)
    open_ = (from_half <= error) & (value > lo - 1) & (value < hi + 1)
    result = np.clip(rounded + grid.zero_point, grid.lo, grid.hi)
    if open_.any():
        function = linear.channel(channel)
        points, inverse = np.unique(np.stack([x[open_] for x in xs]), axis=1, return_inverse=True)
        exact = [quantize_exact(function, grid, [int(v) for v in point]) for point in points.T]
        result[open_] = np.array(exact, np.int64)[inverse.reshape(-1)]
    return np.asarray(result)


def _along(axis: int, ndim: int) -> tuple[int, ...]:
    shape = [1] * ndim
    shape[1 + axis] = -1
    return tuple(shape)


def _channel(axis: int, channel: int, ndim: int) -> tuple[slice | int, ...]:
    where: list[slice | int] = [slice(None)] * ndim
    where[1 + axis] = slice(channel, channel + 1)
    return tuple(where)
