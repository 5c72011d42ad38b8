"""Operators that move integers: max_pool, concat, slice, pad, reshape, transpose, resize, cast."""

from __future__ import annotations

import numpy as np

from edgeconv.errors import ProgramError
from edgeconv.ir import describe
from edgeconv.ir import operators as ops
from edgeconv.reference.accumulate import window_taps
from edgeconv.reference.context import Array, Context


def max_pool(context: Context, op: ops.MaxPool) -> Array:
    """The largest value under each window; the fill is the smallest value of the type, so padding never wins."""
    x = context.integers(op.x)
    taps = window_taps(x.reshape(-1, *x.shape[2:]), op.window, fill=context.type(op.x).dtype.lo)
    largest = taps.max(tuple(range(2 + op.window.rank, taps.ndim)))
    return np.asarray(largest.reshape(*x.shape[:2], *largest.shape[1:]))


def concat(context: Context, op: ops.Concat) -> Array:
    """Tensors joined along an axis."""
    parts = [np.broadcast_to(context[name], (context.samples, *context[name].shape[1:])) for name in op.inputs]
    return np.concatenate(parts, axis=1 + op.axis)


def slice_(context: Context, op: ops.Slice) -> Array:
    """A box with steps."""
    x = context[op.x]
    for axis, (start, size, step) in enumerate(zip(op.starts, op.sizes, op.steps, strict=True)):
        x = np.take(x, start + step * np.arange(size), axis=1 + axis)
    return x


def pad(context: Context, op: ops.Pad) -> Array:
    """A border."""
    x = context[op.x]
    rank = x.ndim - 1
    widths = [(0, 0), *((op.pads[axis], op.pads[rank + axis]) for axis in range(rank))]
    if op.fills:
        return np.pad(x, widths, constant_values=op.value)
    return np.pad(x, widths, mode=op.mode)  # type: ignore[call-overload, no-any-return]


def reshape(context: Context, op: ops.Reshape) -> Array:
    """Another shape."""
    x = context[op.x]
    return x.reshape(x.shape[0], *op.shape)


def transpose(context: Context, op: ops.Transpose) -> Array:
    """Axes in another order."""
    return context[op.x].transpose(0, *(1 + axis for axis in op.permutation))


def resize(context: Context, op: ops.Resize) -> Array:
    """Nearest-neighbour resampling by index lists."""
    x = context[op.x]
    for axis, indices in enumerate(op.indices):
        x = np.take(x, np.array(indices), axis=3 + axis)
    return x


def cast(context: Context, op: ops.Cast) -> Array:
    """The same integers in another type."""
    x = context[op.x]
    if x.size and not op.dtype.holds(int(x.min()), int(x.max())):
        raise ProgramError(f"{describe(op)}: values {x.min()}…{x.max()} do not fit {op.dtype}")
    return x.astype(op.dtype.container)
