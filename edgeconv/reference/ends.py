"""The two ends: quantize and dequantize."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeconv.ir import Rounding
from edgeconv.ir import operators as ops
from edgeconv.ir.exact import fraction_to_float32, nearest_float32
from edgeconv.reference.accumulate import align
from edgeconv.reference.context import Array, Context, Integers
from edgeconv.reference.scaling import estimate


def quantize(context: Context, op: ops.Quantize) -> Array:
    """clip(round(float32(x / scale) ⊕ offset) + zero point); a NaN counts as 0."""
    x = context[op.x].astype(np.float32)
    shape = [1] * x.ndim
    if len(op.scale) > 1:
        shape[1 + op.axis] = -1
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.where(np.isnan(x), np.float32(0), x) / np.array(op.scale, np.float32).reshape(shape)
        if op.offset:
            scaled = scaled + np.float32(op.offset)
    lo, hi = op.grid.lo - op.grid.zero_point, op.grid.hi - op.grid.zero_point
    # Every float32 is a float64, and clipping first keeps the conversion to integers in range.
    clipped = np.clip(scaled.astype(np.float64), lo - 1.0, hi + 1.0)
    rounded = round_floats(clipped, op.grid.rounding)
    return np.clip(rounded + op.grid.zero_point, op.grid.lo, op.grid.hi)


def round_floats(values: NDArray[np.float64], rounding: Rounding) -> Integers:
    """Nearest integers; the values are exact, so no tie can be missed."""
    if rounding is Rounding.HALF_EVEN:
        return np.asarray(np.rint(values).astype(np.int64))
    floor = np.floor(np.abs(values))
    away = np.copysign(1.0, values) * (floor + (np.abs(values) - floor >= 0.5))
    return np.asarray(away.astype(np.int64))


def dequantize(context: Context, op: ops.Dequantize) -> Array:
    """The exact real value, clipped, rounded once to float32."""
    shape = (context.samples, *context.type(op.output).shape)
    aligned = [align(context.integers(name), shape[1:]) for name in op.inputs]
    xs = [np.broadcast_to(x, shape) for x in aligned]
    result = np.empty(shape, np.float32)
    for channel in range(op.linear.channels):
        where: list[slice] = [slice(None)] * len(shape)
        if op.linear.channels > 1:
            where[1 + op.linear.axis] = slice(channel, channel + 1)
        result[tuple(where)] = _round_once(op, channel, [x[tuple(where)] for x in xs])
    return result


def _round_once(op: ops.Dequantize, channel: int, xs: Sequence[Integers]) -> NDArray[np.float32]:
    value, error = estimate(op.linear, channel, xs)
    lo = -np.inf if op.lo is None else float(op.lo)
    hi = np.inf if op.hi is None else float(op.hi)
    bounds = (
        fraction_to_float32(op.lo) if op.lo is not None else lo,
        fraction_to_float32(op.hi) if op.hi is not None else hi,
    )
    with np.errstate(over="ignore"):
        below, above = (value - error).astype(np.float32), (value + error).astype(np.float32)
    # Values next to a bound, or whose float32 the error leaves open, are decided exactly; so are all that may be zero.
    open_ = (below != above) | (np.abs(value - lo) <= error) | (np.abs(value - hi) <= error) | (below == 0)
    result = np.clip(below, np.float32(bounds[0]), np.float32(bounds[1]))
    if open_.any():
        function = op.linear.channel(channel)
        points, inverse = np.unique(np.stack([x[open_] for x in xs]), axis=1, return_inverse=True)
        exact = [nearest_float32(function, [int(v) for v in point], op.lo, op.hi) for point in points.T]
        result[open_] = np.array(exact, np.float32)[inverse.reshape(-1)]
    return np.asarray(result)
