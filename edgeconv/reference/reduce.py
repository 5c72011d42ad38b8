"""Reductions over axes; the reduced axes keep the extent 1."""

from __future__ import annotations

import numpy as np

from edgeconv.ir import operators as ops
from edgeconv.reference.accumulate import fit
from edgeconv.reference.context import Array, Context


def reduce_sum(context: Context, op: ops.ReduceSum) -> Array:
    """acc = Σ (x - zero point)."""
    x = context.integers(op.x) - op.x_zero_point
    return fit(np.asarray(x.sum(_behind_samples(op.axes), keepdims=True)), op)


def reduce_max(context: Context, op: ops.ReduceMax) -> Array:
    """The largest value."""
    return np.asarray(context[op.x].max(_behind_samples(op.axes), keepdims=True))


def reduce_min(context: Context, op: ops.ReduceMin) -> Array:
    """The smallest value."""
    return np.asarray(context[op.x].min(_behind_samples(op.axes), keepdims=True))


def argmax(context: Context, op: ops.ArgMax) -> Array:
    """The index of the largest or smallest value, the first or the last of equal ones."""
    x, axis = context.integers(op.x), 1 + op.axis
    ordered = np.flip(x, axis) if op.last else x
    first = (np.argmax if op.largest else np.argmin)(ordered, axis, keepdims=True)
    return np.asarray(x.shape[axis] - 1 - first if op.last else first)


def _behind_samples(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 + axis for axis in axes)
