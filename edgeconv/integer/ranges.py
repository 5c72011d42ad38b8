"""Which integers can occur: the reachable range of every tensor of a program, per channel where that is tighter.

Ranges follow from the types of the inputs, the clip bounds of quantizers and the weights. They are sound: no input can
leave them; they need not be tight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import singledispatch
from itertools import product
from math import prod
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import ProgramError
from edgeconv.ir.exact import Linear, quantize_exact
from edgeconv.ir.operators import (
    Add,
    ArgMax,
    AvgPool,
    Cast,
    Concat,
    Conv,
    ConvTranspose,
    Dequantize,
    MatMul,
    MaxPool,
    Mul,
    Normalize,
    Operator,
    Pad,
    Quantize,
    ReduceMax,
    ReduceMin,
    ReduceSum,
    Requant,
    Reshape,
    Resize,
    ResizeLinear,
    SelectiveScan,
    Slice,
    Softmax,
    Table,
    Threshold,
    Transpose,
)
from edgeconv.ir.program import Program, describe
from edgeconv.ir.types import DType

Interval = tuple[int, int]
_INT64_SAFE = 2.0**62


@dataclass(frozen=True)
class Range:
    """Reachable integers of a tensor.

    Attributes:
        bounds: [lo, hi] for the whole tensor, or one pair per position along `axis`.
        axis: the axis the pairs run along; None where there is one pair.
    """

    bounds: tuple[Interval, ...]
    axis: int | None = None

    @property
    def whole(self) -> Interval:
        """[lo, hi] over all channels."""
        return min(lo for lo, _ in self.bounds), max(hi for _, hi in self.bounds)

    def along(self, axis: int, extent: int) -> tuple[Interval, ...]:
        """One pair per position along an axis of this extent; the pair of the whole tensor where it runs elsewhere."""
        if self.axis == axis and len(self.bounds) == extent:
            return self.bounds
        return (self.whole,) * extent

    def map(self, function: Callable[[int, int], Interval]) -> Range:
        """The function applied to every pair."""
        return Range(tuple(function(lo, hi) for lo, hi in self.bounds), self.axis)


Ranges = Mapping[str, Range]


def program_ranges(program: Program) -> Ranges:
    """The reachable range of every integer tensor: inputs, constants and operator outputs (f32 tensors are left out).

    Raises:
        ProgramError: a value can leave its type; the message names the operator and the range.
    """
    ranges: dict[str, Range] = {}
    for name, constant in program.constants.items():
        if not constant.dtype.is_float and constant.array.size:
            ranges[name] = Range(((int(constant.array.min()), int(constant.array.max())),))
    for name, type_ in program.inputs.items():
        if not type_.dtype.is_float:
            ranges[name] = Range(((type_.dtype.lo, type_.dtype.hi),))
    for operator in program.operators:
        dtype = program.types[operator.output].dtype
        if not dtype.is_float:
            found = range_of(operator, program, ranges)
            _check_fits(operator, found, dtype)
            ranges[operator.output] = found
    return MappingProxyType(ranges)


def operand_ranges(operator: Requant | Add, program: Program, ranges: Ranges) -> tuple[tuple[Interval, ...], ...]:
    """The range of each operand for each channel of the operator's `Linear`: result[operand][channel]."""
    names = (operator.x,) if isinstance(operator, Requant) else operator.inputs
    return tuple(_per_channel(name, operator.linear, operator.output, program, ranges) for name in names)


def _per_channel(name: str, linear: Linear, output: str, program: Program, ranges: Ranges) -> tuple[Interval, ...]:
    if linear.channels == 1:
        return (ranges[name].whole,)
    # Operands of lower rank align at their last axis, as in numpy.
    axis = linear.axis - len(program.types[output].shape) + len(program.types[name].shape)
    return ranges[name].along(axis, linear.channels)


def _check_fits(operator: Operator, found: Range, dtype: DType) -> None:
    for k, (lo, hi) in enumerate(found.bounds):
        if not dtype.holds(lo, hi):
            where = f" in channel {k}" if found.axis is not None else ""
            raise ProgramError(
                f"{describe(operator)}: values reach [{lo}, {hi}]{where}, which {dtype} cannot hold",
                expected=f"values in [{dtype.lo}, {dtype.hi}]",
                advice="a 64-bit accumulator, or fewer bits in weights or activations",
            )


@singledispatch
def range_of(operator: Operator, program: Program, ranges: Ranges) -> Range:
    """The reachable range of an operator's output, given those of its operands; it may exceed the output's type."""
    raise ProgramError(f"{describe(operator)}: no rule for the range of its values")


@range_of.register(Quantize)
@range_of.register(Softmax)
@range_of.register(Normalize)
def _(operator: Quantize | Softmax | Normalize, program: Program, ranges: Ranges) -> Range:
    return Range(((operator.grid.lo, operator.grid.hi),))


@range_of.register
def _(operator: Conv, program: Program, ranges: Ranges) -> Range:
    weights = program.constants[operator.w].array
    products = _tap_products(operator, program, ranges, beyond=any(operator.pads))
    bias = _bias(operator.bias, program, ranges, len(weights))
    return Range(_sums(products, tuple(range(1, weights.ndim)), bias), 1)


@range_of.register
def _(operator: ConvTranspose, program: Program, ranges: Ranges) -> Range:
    weights = program.types[operator.w]
    outputs = weights.shape[0]
    products = _tap_products(operator, program, ranges, beyond=True)
    bias = _bias(operator.bias, program, ranges, outputs)
    window, extents = operator.window(weights), program.types[operator.output].shape[2:]
    # The outputs of one phase sum the same taps, as far as these lie inside the input.
    pairs = list(bias)
    for phases in product(*(window.phases(axis, extent) for axis, extent in enumerate(extents))):
        taps = np.ix_(range(outputs), range(weights.shape[1]), *(phase.taps for phase in phases))
        sums = _sums((products[0][taps], products[1][taps]), tuple(range(1, len(weights.shape))), bias)
        pairs = [(min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(pairs, sums, strict=True)]
    return Range(tuple(pairs), 1)


def _tap_products(
    operator: Conv | ConvTranspose, program: Program, ranges: Ranges, *, beyond: bool
) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Smallest and largest product of every weight with what it meets; `beyond`: it may meet no input at all."""
    weights = program.constants[operator.w].array
    out_channels, per_group = weights.shape[0], weights.shape[1]
    lo, hi = _centred(ranges[operator.x].along(1, per_group * operator.groups), operator.x_zero_point)
    if beyond:  # a tap in the padding reads real zero
        lo, hi = np.minimum(lo, 0), np.maximum(hi, 0)
    # Row k of `reads` lists the input channels that output channel k reads.
    group = np.arange(out_channels) // (out_channels // operator.groups)
    reads = group[:, None] * per_group + np.arange(per_group)
    shape = (out_channels, per_group) + (1,) * (weights.ndim - 2)
    return _products(weights, lo[reads].reshape(shape), hi[reads].reshape(shape))


@range_of.register
def _(operator: MatMul, program: Program, ranges: Ranges) -> Range:
    rank = len(program.types[operator.output].shape)
    inner, columns = program.types[operator.w].shape[-2:]
    x_rank = len(program.types[operator.x].shape)
    lo, hi = _centred(ranges[operator.x].along(x_rank - 1, inner), operator.x_zero_point)
    if operator.w in program.constants and len(program.types[operator.w].shape) == 2:
        weights = _centred_array(program.constants[operator.w].array, operator.w_zero_point)
        products = _products(weights, lo[:, None], hi[:, None])
        return Range(_sums(products, (0,), _bias(operator.bias, program, ranges, columns)), rank - 1)
    w_lo, w_hi = _centred((ranges[operator.w].whole,), operator.w_zero_point)
    corners = [int(a) * int(b) for a in (lo.min(), hi.max()) for b in (w_lo[0], w_hi[0])]
    biases = _bias(operator.bias, program, ranges, columns)
    pairs = tuple((inner * min(corners) + low, inner * max(corners) + high) for low, high in biases)
    return Range(pairs, rank - 1) if operator.bias is not None else Range(pairs[:1])


@range_of.register
def _(operator: Mul, program: Program, ranges: Ranges) -> Range:
    x, y = ranges[operator.x].whole, ranges[operator.y].whole
    corners = [(a - operator.x_zero_point) * (b - operator.y_zero_point) for a in x for b in y]
    return Range(((min(corners), max(corners)),))


@range_of.register
def _(operator: AvgPool, program: Program, ranges: Ranges) -> Range:
    multiple = operator.window.count_multiple(program.types[operator.x].shape[2:], operator.counted_pads)

    def scaled(lo: int, hi: int) -> Interval:
        lo, hi = lo - operator.x_zero_point, hi - operator.x_zero_point
        if any(operator.counted_pads):  # fewer taps than are counted
            lo, hi = min(lo, 0), max(hi, 0)
        return multiple * lo, multiple * hi

    return _without_positions(ranges[operator.x]).map(scaled)


@range_of.register
def _(operator: ResizeLinear, program: Program, ranges: Ranges) -> Range:
    def scaled(lo: int, hi: int) -> Interval:
        lo, hi = lo - operator.x_zero_point, hi - operator.x_zero_point
        if operator.extrapolates:
            lo, hi = min(lo, 0), max(hi, 0)
        return operator.multiple * lo, operator.multiple * hi

    return _without_positions(ranges[operator.x]).map(scaled)


@range_of.register
def _(operator: ReduceSum, program: Program, ranges: Ranges) -> Range:
    shape = program.types[operator.x].shape
    terms = prod(shape[axis] for axis in operator.axes)
    zero = operator.x_zero_point
    summed = _over_axes(ranges[operator.x], operator.axes)
    return summed.map(lambda lo, hi: (terms * (lo - zero), terms * (hi - zero)))


@range_of.register(ReduceMax)
@range_of.register(ReduceMin)
def _(operator: ReduceMax | ReduceMin, program: Program, ranges: Ranges) -> Range:
    return _over_axes(ranges[operator.x], operator.axes)


def _over_axes(found: Range, axes: tuple[int, ...]) -> Range:
    return Range((found.whole,)) if found.axis in axes else found


@range_of.register
def _(operator: ArgMax, program: Program, ranges: Ranges) -> Range:
    return Range(((0, program.types[operator.x].shape[operator.axis] - 1),))


@range_of.register
def _(operator: SelectiveScan, program: Program, ranges: Ranges) -> Range:
    states, half = program.types[operator.a].shape[1], 1 << (operator.state_bits - 1)
    c_lo, c_hi = ranges[operator.c].whole
    ends = [state * c for state in (-half, half - 1) for c in (c_lo, c_hi)]
    skip = program.constants[operator.skip].array.astype(np.int64)
    x = ranges[operator.x].along(1, len(skip))
    corners = [(factor * lo, factor * hi) for factor, (lo, hi) in zip(skip.tolist(), x, strict=True)]
    pairs = ((states * min(ends) + min(pair), states * max(ends) + max(pair)) for pair in corners)
    return Range(tuple(pairs), 1)


@range_of.register
def _(operator: Cast, program: Program, ranges: Ranges) -> Range:
    return ranges[operator.x]


@range_of.register(MaxPool)
@range_of.register(Resize)
def _(operator: MaxPool | Resize, program: Program, ranges: Ranges) -> Range:
    return _without_positions(ranges[operator.x])


def _without_positions(found: Range) -> Range:
    """A range of what takes values from several positions: pairs along a spatial axis become one."""
    return found if found.axis in (None, 0, 1) else Range((found.whole,))


@range_of.register(Requant)
@range_of.register(Add)
def _(operator: Requant | Add, program: Program, ranges: Ranges) -> Range:
    per_operand = operand_ranges(operator, program, ranges)
    channels = max(operator.linear.channels, 1)
    pairs = []
    for k in range(channels):
        channel = operator.linear.channel(k)
        # Monotone in every operand, so the extremes are at corners.
        low = [bounds[k][factor < 0] for bounds, factor in zip(per_operand, channel.factors, strict=True)]
        high = [bounds[k][factor >= 0] for bounds, factor in zip(per_operand, channel.factors, strict=True)]
        pairs.append((quantize_exact(channel, operator.grid, low), quantize_exact(channel, operator.grid, high)))
    return Range(tuple(pairs), operator.linear.axis if channels > 1 else None)


@range_of.register
def _(operator: Table, program: Program, ranges: Ranges) -> Range:
    values, first = program.constants[operator.values].array, program.types[operator.x].dtype.lo
    if values.ndim == 1:
        lo, hi = ranges[operator.x].whole
        seen = values[lo - first : hi - first + 1]
        return Range(((int(seen.min()), int(seen.max())),))
    rows = [
        row[lo - first : hi - first + 1]
        for row, (lo, hi) in zip(values, ranges[operator.x].along(operator.axis, len(values)), strict=True)
    ]
    return Range(tuple((int(row.min()), int(row.max())) for row in rows), operator.axis)


@range_of.register
def _(operator: Threshold, program: Program, ranges: Ranges) -> Range:
    table = program.constants[operator.thresholds].array
    rows = len(table)
    bounds = ranges[operator.x].along(operator.axis, rows) if rows > 1 else (ranges[operator.x].whole,)
    pairs = []
    for k, (row, (lo, hi)) in enumerate(zip(table, bounds, strict=True)):
        base = operator.base[k if len(operator.base) > 1 else 0]
        increasing = operator.increasing[k if len(operator.increasing) > 1 else 0]
        first, last = (int(np.searchsorted(row, end, side="right" if increasing else "left")) for end in (lo, hi))
        pairs.append((base + first, base + last) if increasing else (base - last, base - first))
    return Range(tuple(pairs), operator.axis if rows > 1 else None)


@range_of.register
def _(operator: Concat, program: Program, ranges: Ranges) -> Range:
    operands = [ranges[name] for name in operator.inputs]
    axes = {operand.axis for operand in operands} - {None}
    if axes <= {operator.axis}:
        pairs: list[Interval] = []
        for name, operand in zip(operator.inputs, operands, strict=True):
            pairs += operand.along(operator.axis, program.types[name].shape[operator.axis])
        return Range(tuple(pairs), operator.axis)
    return Range(((min(r.whole[0] for r in operands), max(r.whole[1] for r in operands)),))


@range_of.register
def _(operator: Slice, program: Program, ranges: Ranges) -> Range:
    found = ranges[operator.x]
    if found.axis is None:
        return found
    start, size, step = (values[found.axis] for values in (operator.starts, operator.sizes, operator.steps))
    return Range(tuple(found.bounds[start + i * step] for i in range(size)), found.axis)


@range_of.register
def _(operator: Pad, program: Program, ranges: Ranges) -> Range:
    found, rank = ranges[operator.x], len(operator.pads) // 2
    if not operator.fills:
        if found.axis is None:
            return found
        sources = operator.sources(found.axis, len(found.bounds))
        return Range(tuple(found.bounds[source] for source in sources), found.axis)
    if found.axis is not None and (operator.pads[found.axis] or operator.pads[rank + found.axis]):
        found = Range((found.whole,))
    if not any(operator.pads):
        return found
    return found.map(lambda lo, hi: (min(lo, operator.value), max(hi, operator.value)))


@range_of.register
def _(operator: Reshape, program: Program, ranges: Ranges) -> Range:
    found, shape = ranges[operator.x], program.types[operator.x].shape
    if found.axis is None:
        return found
    axis = found.axis
    if operator.shape[: axis + 1] == shape[: axis + 1]:
        return found
    if axis == 1 and len(operator.shape) == 2 and operator.shape[0] == shape[0]:  # flatten
        inner = operator.shape[1] // shape[1]
        return Range(tuple(pair for pair in found.bounds for _ in range(inner)), 1)
    return Range((found.whole,))


@range_of.register
def _(operator: Transpose, program: Program, ranges: Ranges) -> Range:
    found = ranges[operator.x]
    return found if found.axis is None else Range(found.bounds, operator.permutation.index(found.axis))


@range_of.register
def _(operator: Dequantize, program: Program, ranges: Ranges) -> Range:
    raise ProgramError(f"{describe(operator)}: floats have no integer range")


def _centred(bounds: tuple[Interval, ...], zero_point: int) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Lower and upper bounds minus the zero point, int64 or Python integers where those could overflow."""
    lo, hi = zip(*bounds, strict=True)
    return _centred_array(np.array(lo, object), zero_point), _centred_array(np.array(hi, object), zero_point)


def _centred_array(values: NDArray[np.generic], zero_point: int) -> NDArray[np.generic]:
    exact = values.astype(object) - zero_point if values.dtype == object else values.astype(np.int64) - zero_point
    fits = exact.size == 0 or max(abs(int(exact.min())), abs(int(exact.max()))) < 2**62
    return exact.astype(np.int64) if fits else exact


def _products(
    weights: NDArray[np.generic], lo: NDArray[np.generic], hi: NDArray[np.generic]
) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Smallest and largest product of every tap."""
    largest = float(np.abs(weights.astype(np.float64)).max(initial=0.0))
    reach = max(abs(float(lo.min())), abs(float(hi.max())), abs(float(lo.max())), abs(float(hi.min())))
    wide = largest * reach * weights.size >= _INT64_SAFE
    w = weights.astype(object if wide else np.int64)
    a, b = (w * bound.astype(w.dtype) for bound in (lo, hi))
    return np.minimum(a, b), np.maximum(a, b)


def _sums(
    products: tuple[NDArray[np.generic], NDArray[np.generic]], axes: tuple[int, ...], bias: tuple[Interval, ...]
) -> tuple[Interval, ...]:
    lo, hi = (bound.sum(axis=axes).tolist() for bound in products)
    return tuple((int(a) + b[0], int(c) + b[1]) for a, c, b in zip(lo, hi, bias, strict=True))


def _bias(name: str | None, program: Program, ranges: Ranges, channels: int) -> tuple[Interval, ...]:
    if name is None:
        return ((0, 0),) * channels
    if name in program.constants:
        return tuple((int(value), int(value)) for value in program.constants[name].array)
    return ranges[name].along(0, channels)
