"""The layers that random programs are made of: each takes a tensor that is there and appends one or more operators."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from edgeconv.errors import ProgramError
from edgeconv.ir import Grid, dtype
from edgeconv.ir import operators as ops
from tests.generate.builder import Builder
from tests.generate.resampled import resize_linear
from tests.generate.residual import residual, unrounded_residual
from tests.generate.rows import normalize, softmax
from tests.generate.scales import random_grid, random_linear, spread_values
from tests.generate.scans import selective_scan
from tests.generate.transposed import conv_transpose

_MAX_BIAS = 4000


def window(b: Builder, spatial: tuple[int, ...], taps_of: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """A random window that fits, as the fields of an operator."""
    choose = b.choose
    kernel, strides, dilations, begins, ends = [], [], [], [], []
    for extent in spatial:
        taps, dilation = choose.pick(taps_of), choose.pick((1, 1, 1, 2, 3))
        begin, end = (min(extent, choose.integer(0, taps - 1)) for _ in range(2))
        if (taps - 1) * dilation + 1 > extent + begin + end:
            taps, dilation, begin, end = 1, 1, 0, 0
        kernel.append(taps)
        strides.append(choose.pick((1, 1, 1, 2, 3)))
        dilations.append(dilation)
        begins.append(begin)
        ends.append(end)
    return {
        "kernel": tuple(kernel),
        "strides": tuple(strides),
        "dilations": tuple(dilations),
        "pads": (*begins, *ends),
    }


def conv(b: Builder) -> None:
    """Convolution: plain, grouped or depthwise."""
    name = b.latest((3, 4))
    if name is None:
        matmul(b)
        return
    choose, x = b.choose, b.types[name]
    channels = x.shape[1]
    fields = window(b, x.shape[2:], (1, 2, 3, 3, 5, 7))
    divisors = [g for g in range(1, channels + 1) if channels % g == 0]
    groups = choose.pick((1, 1, 1, channels, choose.pick(divisors)))
    out_channels = groups * choose.pick((1, 1, 2)) if groups > 1 else choose.pick((1, 2, 5, 8, 16, 17, 32, 33, 48, 64))
    _append_conv(b, name, groups, out_channels, fields)


def grouped_conv(b: Builder) -> None:
    """Convolution of several groups of several channels, mostly of step one."""
    name = b.latest((3, 4))
    channels = b.types[name].shape[1] if name is not None else 1
    widths = [width for width in range(2, channels) if channels % width == 0]
    if name is None or not widths:
        conv(b)
        return
    choose, fields = b.choose, window(b, b.types[name].shape[2:], (1, 2, 3, 3, 4))
    if choose.chance(70):
        fields |= dict.fromkeys(("strides", "dilations"), (1,) * len(fields["strides"]))
    width = choose.pick((*widths, *(width for width in widths if width in (2, 4)), *widths[:1]))
    groups = channels // width
    _append_conv(b, name, groups, groups * choose.pick((width, width, 1, 2, 3)), fields)


def _append_conv(b: Builder, name: str, groups: int, out_channels: int, fields: dict[str, tuple[int, ...]]) -> None:
    x = b.types[name]
    channels = x.shape[1]
    w = b.weights(("i8", "i8", "i8", "i4", "i2", "i3", "i6"), (out_channels, channels // groups, *fields.pop("kernel")))
    zero_point, bias = b.zero_point(x.dtype), b.bias(out_channels, 70)
    weights = np.abs(b.integers(w)[0]).reshape(out_channels, -1)
    accumulator = b.accumulator_type(int(weights.sum(1).max()) * b.farthest(name, zero_point) + _MAX_BIAS)
    operator = ops.Conv(b.name("acc"), name, w, bias, accumulator, groups=groups, x_zero_point=zero_point, **fields)
    b.finish_accumulator(b.apply(operator))


def matmul(b: Builder) -> None:
    """Matrix product with constant weights."""
    name = b.latest()
    if name is None:
        return
    inner, columns = b.types[name].shape[-1], b.choose.pick((1, 2, 5, 16, 17, 33, 64))
    w = b.weights(("i8", "i8", "i4", "i2", "i5", "u8"), (inner, columns))
    zero_point, bias = b.zero_point(b.types[name].dtype), b.bias(columns, 60)
    w_zero_point = b.choose.integer(-3, 3) if b.choose.chance(15) else 0
    weights = np.abs(b.integers(w)[0] - w_zero_point)
    accumulator = b.accumulator_type(int(weights.sum(0).max()) * b.farthest(name, zero_point) + _MAX_BIAS)
    operator = ops.MatMul(b.name("acc"), name, w, bias, accumulator, zero_point, w_zero_point)
    b.finish_accumulator(b.apply(operator))


def dynamic_matmul(b: Builder) -> None:
    """Matrix product of two tensors, the second one a transpose of what is there."""
    name = b.latest((3, 4))
    if name is None:
        return
    rank = len(b.types[name].shape)
    turned = b.apply(ops.Transpose(b.name("t"), name, (*range(rank - 2), rank - 1, rank - 2)))
    zero_points = b.zero_point(b.types[name].dtype), b.zero_point(b.types[name].dtype)
    reach = b.farthest(name, zero_points[0]) * b.farthest(turned, zero_points[1]) * b.types[name].shape[-1]
    product = ops.MatMul(b.name("acc"), name, turned, None, b.accumulator_type(reach), *zero_points)
    b.finish_accumulator(b.apply(product))


def flatten(b: Builder) -> None:
    """Reshape to (N, everything), then a matrix product."""
    name = b.latest((3, 4))
    if name is not None:
        shape = b.types[name].shape
        b.apply(ops.Reshape(b.name("r"), name, (shape[0], prod(shape[1:]))))
        matmul(b)


def add(b: Builder) -> None:
    """Sum of two or three tensors: equal shapes, broadcast, or with a constant."""
    name = b.latest()
    if name is None:
        return
    shape = b.types[name].shape
    partners = [other for other in b.narrow() if b.types[other].shape == shape and other != name]
    other = b.choose.pick(partners) if partners else b.requant(name, per_channel=10)
    if b.choose.chance(20) and len(shape) > 2 and shape[-1] > 1:
        starts = (0,) * len(shape)
        other = b.apply(ops.Slice(b.name("s"), other, starts, (*shape[:-1], 1), (1,) * len(shape)))
    elif b.choose.chance(15):
        other = b.constant(dtype("i8"), spread_values(b.choose, dtype("i8"), (1, shape[1], *(1,) * (len(shape) - 2))))
    grid = random_grid(b.choose)
    operands = (name, other, name) if b.choose.chance(8) else (name, other)
    axis = b.channel_axis(name)
    # Sums are proved pair by pair: many channels would take minutes.
    channels = shape[axis] if shape[axis] <= 4 and b.choose.chance(30) else 1
    linear = random_linear(b.choose, [b.integers(operand) for operand in operands], grid, channels, axis)
    b.apply(ops.Add(b.name("sum"), operands, linear, grid))


def mul(b: Builder) -> None:
    """Product of two tensors: equal shapes, or one value per channel against all positions."""
    name = b.latest()
    if name is None:
        return
    shape = b.types[name].shape
    other = b.choose.pick([n for n in b.narrow() if b.types[n].shape == shape])
    if b.choose.chance(30) and len(shape) > 2:
        sizes = (*shape[:2], *(1,) * (len(shape) - 2))
        other = b.apply(ops.Slice(b.name("s"), other, (0,) * len(shape), sizes, (1,) * len(shape)))
    zero_points = b.zero_point(b.types[name].dtype), b.zero_point(b.types[other].dtype)
    reach = b.farthest(name, zero_points[0]) * b.farthest(other, zero_points[1])
    b.finish_accumulator(b.apply(ops.Mul(b.name("acc"), name, other, b.accumulator_type(reach), *zero_points)))


def avg_pool(b: Builder) -> None:
    """Average pool over windows or over the whole plane, padding counted or not."""
    name = b.latest((3, 4))
    if name is None:
        return
    x = b.types[name]
    if b.choose.chance(35):
        rank = len(x.shape) - 2
        fields = {"kernel": x.shape[2:], "strides": (1,) * rank, "dilations": (1,) * rank, "pads": (0, 0) * rank}
    else:
        fields = window(b, x.shape[2:], (1, 2, 3))
    counted = fields["pads"] if b.choose.chance(50) else (0,) * len(fields["pads"])
    zero_point = b.zero_point(x.dtype)
    # L is at most the product of lcm(1…3) per axis or the whole plane, whichever window was drawn.
    accumulator = b.accumulator_type(b.farthest(name, zero_point) * max(36, prod(x.shape[2:])) * 2)
    pool = ops.AvgPool(b.name("acc"), name, accumulator, counted_pads=counted, x_zero_point=zero_point, **fields)
    try:
        pooled = b.apply(pool)
    except ProgramError:  # a window that lies wholly in the padding
        return
    b.finish_accumulator(pooled)


def max_pool(b: Builder) -> None:
    """Maximum over windows."""
    name = b.latest((3, 4))
    if name is not None:
        fields = window(b, b.types[name].shape[2:], (1, 2, 3))
        if all(d == 1 for d in fields["dilations"]):
            b.apply(ops.MaxPool(b.name("max"), name, **fields))


def reduced_axes(b: Builder, rank: int) -> tuple[int, ...]:
    """One or two axes behind the first, or all of them."""
    if b.choose.chance(25):
        return tuple(range(rank))
    axes = {b.choose.integer(1, rank - 1) for _ in range(b.choose.pick((1, 1, 2)))}
    return tuple(sorted(axes))


def reduce_sum(b: Builder) -> None:
    """Sum over axes, as means are computed."""
    name = b.latest()
    if name is None:
        return
    x = b.types[name]
    axes, zero_point = reduced_axes(b, len(x.shape)), b.zero_point(x.dtype)
    reach = b.farthest(name, zero_point) * prod(x.shape[axis] for axis in axes)
    b.finish_accumulator(b.apply(ops.ReduceSum(b.name("acc"), name, b.accumulator_type(reach), axes, zero_point)))


def reduce_extreme(b: Builder) -> None:
    """Largest and smallest value over axes."""
    name = b.latest()
    if name is not None:
        for kind in (ops.ReduceMax, ops.ReduceMin):
            b.apply(kind(b.name("best"), name, reduced_axes(b, len(b.types[name].shape))))


def argmax(b: Builder) -> None:
    """Index of the largest or smallest value; few levels make equal ones frequent."""
    name = b.latest()
    if name is not None:
        name = b.requant(name, Grid(dtype("u3"), 0, 7)) if b.choose.chance(50) else name
        axis = b.choose.integer(0, len(b.types[name].shape) - 1)
        b.apply(ops.ArgMax(b.name("index"), name, axis, b.choose.chance(50), b.choose.chance(50)))


def table(b: Builder) -> None:
    """An arbitrary function of one value, for all channels or for each."""
    name = b.latest()
    if name is None:
        return
    x = b.types[name]
    rows = x.shape[1] if b.choose.chance(25) and x.dtype.bits <= 8 else 1
    result = random_grid(b.choose).dtype
    values = spread_values(b.choose, result, (rows, 1 << x.dtype.bits))
    values_name = b.constant(result, values if rows > 1 else values[0])
    b.apply(ops.Table(b.name("t"), name, values_name))


def concat(b: Builder) -> None:
    """Two or three tensors of one type side by side."""
    name = b.latest()
    if name is not None:
        x = b.types[name]
        partners = [n for n in b.narrow() if b.types[n] == x]
        names = tuple(b.choose.pick(partners) for _ in range(b.choose.pick((1, 1, 2))))
        b.apply(ops.Concat(b.name("cat"), (name, *names), b.choose.integer(1, len(x.shape) - 1)))


def slice_(b: Builder) -> None:
    """A box with steps, backwards at times."""
    name = b.latest()
    if name is None:
        return
    choose, x = b.choose, b.types[name]
    starts, sizes, steps = [], [], []
    for extent in x.shape:
        start, step = choose.integer(0, extent - 1), choose.pick((1, 1, 2, -1, -2))
        room = (start if step < 0 else extent - 1 - start) // abs(step)
        starts.append(start)
        sizes.append(choose.integer(1, room + 1))
        steps.append(step)
    b.apply(ops.Slice(b.name("s"), name, tuple(starts), tuple(sizes), tuple(steps)))


def pad(b: Builder) -> None:
    """A border on any axis but the first: a constant, or what is inside."""
    name = b.latest()
    if name is not None:
        x = b.types[name]
        rank = len(x.shape)
        pads = tuple(0 if axis % rank == 0 else b.choose.integer(0, 2) for axis in range(2 * rank))
        mode = b.choose.pick(("constant", "constant", "reflect", "edge", "wrap"))
        value = b.choose.integer(x.dtype.lo, x.dtype.hi) if mode == "constant" else 0
        b.apply(ops.Pad(b.name("p"), name, pads, value, mode))


def transpose(b: Builder) -> None:
    """All axes but the first in another order."""
    name = b.latest()
    if name is not None:
        order = b.choose.numbers().permutation(np.arange(1, len(b.types[name].shape))).tolist()
        b.apply(ops.Transpose(b.name("t"), name, (0, *(int(axis) for axis in order))))


def reshape(b: Builder) -> None:
    """Two axes change their extents."""
    name = b.latest((3, 4))
    if name is not None:
        shape = b.types[name].shape
        b.apply(ops.Reshape(b.name("r"), name, (shape[0], shape[2], shape[1], *shape[3:])))


def resize(b: Builder) -> None:
    """Nearest-neighbour resampling: doubling, or any indices."""
    name = b.latest((3, 4))
    if name is None:
        return
    indices = tuple(
        tuple(j // 2 for j in range(2 * extent))
        if b.choose.chance(60)
        else tuple(b.choose.integer(0, extent - 1) for _ in range(b.choose.integer(1, 9)))
        for extent in b.types[name].shape[2:]
    )
    b.apply(ops.Resize(b.name("up"), name, indices))


def cast(b: Builder) -> None:
    """A wider type, then a requantization from it."""
    name = b.latest()
    if name is not None:
        bits = b.types[name].dtype.bits
        wider = dtype("i32" if b.choose.chance(50) else "i16" if bits < 16 else "i32")
        b.requant(b.apply(ops.Cast(b.name("wide"), name, wider)))


def requant(b: Builder) -> None:
    """A requantization of a narrow tensor: back-to-back quantizers."""
    name = b.latest()
    if name is not None:
        b.requant(name)


LAYERS: dict[str, Callable[[Builder], None]] = {
    "conv": conv,
    "grouped_conv": grouped_conv,
    "conv_transpose": conv_transpose,
    "matmul": matmul,
    "dynamic_matmul": dynamic_matmul,
    "flatten": flatten,
    "add": add,
    "residual": residual,
    "mul": mul,
    "avg_pool": avg_pool,
    "max_pool": max_pool,
    "reduce_sum": reduce_sum,
    "reduce_extreme": reduce_extreme,
    "argmax": argmax,
    "softmax": softmax,
    "normalize": normalize,
    "selective_scan": selective_scan,
    "table": table,
    "concat": concat,
    "slice": slice_,
    "pad": pad,
    "transpose": transpose,
    "reshape": reshape,
    "resize": resize,
    "resize_linear": resize_linear,
    "cast": cast,
    "requant": requant,
}
"""Every layer by name; seeds go round them, so that a new one would change what every seed stands for."""

APART: dict[str, Callable[[Builder], None]] = {"unrounded_residual": unrounded_residual}
"""Layers that seeds do not draw: tests ask for them by name."""

USUAL = (
    *("conv",) * 6,
    "grouped_conv",
    *("conv_transpose",) * 2,
    *("matmul", "flatten", "mul", "avg_pool", "max_pool", "table", "requant") * 2,
    *("add", "residual") * 3,
    *("dynamic_matmul", "concat", "slice", "pad", "transpose", "reshape", "resize", "resize_linear", "cast"),
    *("reduce_sum", "reduce_extreme", "argmax", "softmax", "normalize", "selective_scan"),
)
"""Layers as often as they are drawn."""
