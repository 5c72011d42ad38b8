"""Exact integer sums: conv, conv_transpose, matmul, mul, avg_pool."""

from __future__ import annotations

import numpy as np

from edgeconv.errors import ProgramError
from edgeconv.ir import describe
from edgeconv.ir import operators as ops
from edgeconv.ir.geometry import Window
from edgeconv.reference.context import Array, Context, Integers

_EXACT_IN_FLOAT64 = 1 << 53
_Accumulating = ops.Conv | ops.ConvTranspose | ops.MatMul | ops.Mul | ops.AvgPool | ops.ResizeLinear | ops.ReduceSum


def conv(context: Context, op: ops.Conv) -> Array:
    """acc = bias + Σ w·(x - zero point), padding contributes nothing."""
    x = context.integers(op.x) - op.x_zero_point
    samples, batch, channels = x.shape[:3]
    window = op.window(context.type(op.w))
    taps = window_taps(x.reshape(samples * batch, channels, *x.shape[3:]), window, fill=0)
    w = context.constant(op.w).astype(np.int64)
    spatial = taps.shape[2 : 2 + window.rank]
    per_group, out_per_group = channels // op.groups, w.shape[0] // op.groups
    acc = np.empty((samples * batch, w.shape[0], *spatial), np.int64)
    for group in range(op.groups):
        inputs = taps[:, group * per_group : (group + 1) * per_group]
        rows = np.moveaxis(inputs, 1, 1 + window.rank).reshape(samples * batch, int(np.prod(spatial)), -1)
        outputs = slice(group * out_per_group, (group + 1) * out_per_group)
        product = exact_matmul(rows, w[outputs].reshape(out_per_group, -1).T)
        acc[:, outputs] = np.moveaxis(product, 2, 1).reshape(samples * batch, out_per_group, *spatial)
    if op.bias is not None:
        acc += context.constant(op.bias).astype(np.int64).reshape(1, -1, *(1,) * window.rank)
    return fit(acc.reshape(samples, batch, *acc.shape[1:]), op)


def conv_transpose(context: Context, op: ops.ConvTranspose) -> Array:
    """Every input, minus its zero point and times the kernel, is added where it falls; then pads are cut."""
    x = context.integers(op.x) - op.x_zero_point
    samples, batch, channels, *spatial = x.shape
    w = context.constant(op.w).astype(np.int64)
    window, outputs, rank = op.window(context.type(op.w)), w.shape[0], len(spatial)
    pixels = np.moveaxis(x.reshape(samples * batch, op.groups, channels // op.groups, *spatial), 2, -1)
    kernels = w.reshape(op.groups, outputs // op.groups, *w.shape[1:])
    extents = [window.full_extent(axis, extent) for axis, extent in enumerate(spatial)]
    full = np.zeros((samples * batch, op.groups, outputs // op.groups, *extents), np.int64)
    for tap in np.ndindex(*window.kernel):
        # (groups, I, O): one matrix product for every input under this tap.
        matrices = np.swapaxes(kernels[(slice(None), slice(None), slice(None), *tap)], 1, 2)
        product = exact_matmul(pixels, matrices.reshape(op.groups, *(1,) * (rank - 1), *matrices.shape[1:]))
        first = [t * dilation for t, dilation in zip(tap, window.dilations, strict=True)]
        strided = zip(first, spatial, window.strides, strict=True)
        reached = tuple(slice(f, f + (extent - 1) * stride + 1, stride) for f, extent, stride in strided)
        full[(slice(None), slice(None), slice(None), *reached)] += np.moveaxis(product, -1, 2)
    kept = tuple(slice(window.pads[axis], extents[axis] - window.pads[rank + axis]) for axis in range(rank))
    acc = full[(slice(None), slice(None), slice(None), *kept)]
    acc = acc.reshape(samples, batch, outputs, *acc.shape[3:])
    if op.bias is not None:
        acc = acc + context.constant(op.bias).astype(np.int64).reshape(-1, *(1,) * rank)
    return fit(acc, op)


def matmul(context: Context, op: ops.MatMul) -> Array:
    """acc = bias + (x - x zero point) @ (w - w zero point)."""
    x = context.integers(op.x) - op.x_zero_point
    w = context.integers(op.w) - op.w_zero_point
    rank = max(x.ndim, w.ndim)
    x, w = (a.reshape(a.shape[0], *(1,) * (rank - a.ndim), *a.shape[1:]) for a in (x, w))
    acc = exact_matmul(x, w)
    if op.bias is not None:
        acc = acc + context.constant(op.bias).astype(np.int64)
    return fit(acc, op)


def mul(context: Context, op: ops.Mul) -> Array:
    """acc = (x - x zero point)·(y - y zero point)."""
    x = align(context.integers(op.x), context.type(op.output).shape) - op.x_zero_point
    y = align(context.integers(op.y), context.type(op.output).shape) - op.y_zero_point
    return fit(x * y, op)


def avg_pool(context: Context, op: ops.AvgPool) -> Array:
    """acc = (L / count)·Σ (x - zero point)."""
    x = context.integers(op.x) - op.x_zero_point
    samples, batch, channels = x.shape[:3]
    taps = window_taps(x.reshape(samples * batch, channels, *x.shape[3:]), op.window, fill=0)
    total = taps.sum(tuple(range(2 + op.window.rank, taps.ndim)))
    spatial = x.shape[3:]
    counts = op.window.counts(spatial, op.counted_pads)
    total = total * (op.window.count_multiple(spatial, op.counted_pads) // counts)
    return fit(total.reshape(samples, batch, *total.shape[1:]), op)


def resize_linear(context: Context, op: ops.ResizeLinear) -> Array:
    """Axis after axis, the weighted sum of two neighbours."""
    acc = context.integers(op.x) - op.x_zero_point
    for axis, (indices, left, right) in enumerate(zip(op.indices, op.left, op.right, strict=True)):
        first = np.array(indices)
        # Where the right coefficient is 0 there may be no position after the left one.
        second = first + (np.array(right) > 0)
        shape = (-1, *(1,) * (acc.ndim - 4 - axis))
        weights = (np.array(values, np.int64).reshape(shape) for values in (left, right))
        a, b = (np.take(acc, at, axis=3 + axis) * w for at, w in zip((first, second), weights, strict=True))
        acc = a + b
    return fit(acc, op)


def window_taps(x: Integers, window: Window, fill: int) -> Integers:
    """View of x (N, C, spatial…) as (N, C, output positions…, taps…), padded with `fill`."""
    pads = [(0, 0), (0, 0)] + [(window.begin(axis), window.end(axis)) for axis in range(window.rank)]
    padded = np.pad(x, pads, constant_values=fill)
    reach = tuple(window.reach(axis) for axis in range(window.rank))
    view = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=tuple(range(2, 2 + window.rank)))
    every_output = tuple(slice(None, None, stride) for stride in window.strides)
    every_tap = tuple(slice(None, None, dilation) for dilation in window.dilations)
    return np.asarray(view[(slice(None), slice(None), *every_output, *every_tap)])


def exact_matmul(a: Integers, b: Integers) -> Integers:
    """a @ b without rounding: through float64 where every partial sum is an exact integer there."""
    largest = int(np.abs(a).max(initial=0)) * int(np.abs(b).max(initial=0)) * a.shape[-1]
    if largest < _EXACT_IN_FLOAT64:
        return np.asarray(np.matmul(a.astype(np.float64), b.astype(np.float64))).astype(np.int64)
    return np.asarray(np.matmul(a, b)) if largest < 1 << 63 else _checked_matmul(a, b)


def _checked_matmul(a: Integers, b: Integers) -> Integers:
    exact = np.matmul(a.astype(object), b.astype(object))
    if exact.size and not -(1 << 63) <= exact.min() <= exact.max() < 1 << 63:
        raise ProgramError("an accumulator leaves int64")
    return np.asarray(exact.astype(np.int64))


def align(array: Integers, shape: tuple[int, ...]) -> Integers:
    """Insert axes of extent 1 behind the sample axis so that numpy broadcasts the rest as the program means it."""
    missing = 1 + len(shape) - array.ndim
    return array.reshape(array.shape[0], *(1,) * missing, *array.shape[1:])


def fit(acc: Integers, op: _Accumulating) -> Array:
    """The sums in their accumulator type.

    Raises:
        ProgramError: a sum lies outside of it; a certified program never does.
    """
    if acc.size and not op.dtype.holds(int(acc.min()), int(acc.max())):
        raise ProgramError(f"{describe(op)}: sums {acc.min()}…{acc.max()} leave {op.dtype}")
    return acc.astype(op.dtype.container)
