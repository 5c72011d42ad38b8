"""Handlers where reals become integers or leave the program: quantize, bipolar, dequantize, cast, outputs."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from edgeconv.importer.graph import Node, Quantizer, Scale
from edgeconv.integer.algebra import add, divide, number
from edgeconv.integer.builder import Builder
from edgeconv.integer.functions import direction
from edgeconv.integer.movements import EXTREMES, join_tensors, moved_tensor, settle
from edgeconv.integer.rows import round_rows
from edgeconv.integer.state import (
    Handler,
    State,
    as_expression,
    clamps,
    uncovered,
    unsupported,
)
from edgeconv.integer.tables import float_table, grid_table
from edgeconv.integer.thresholds import LEVELS, thresholds
from edgeconv.integer.values import (
    ONE,
    Affine,
    Call,
    Expression,
    FloatConstant,
    FloatSource,
    Integers,
    Joined,
    Moved,
    Number,
    Real,
    Value,
    channel_axis,
    make_linear,
    shape_of,
    sources,
    zip_channels,
)
from edgeconv.ir import DType, Grid, Linear, dtype
from edgeconv.ir import operators as ops
from edgeconv.ir.exact import quantize_exact, round_fraction

FLOAT_ROW_BITS = 16
"""Fractional bits of a softmax or normalization that leaves as float32 without a quantizer."""
ADVICE_NON_MONOTONE = "put a quantizer before that function, so that it becomes a table"


def quantize(state: State, node: Node) -> Value:
    """Quantize: the one rounding."""
    quantizer = node.attributes["quantizer"]
    assert isinstance(quantizer, Quantizer)
    value = state.values[node.inputs[0]]
    if isinstance(value, Integers):
        raise unsupported("quantizes an integer value", "a DequantizeLinear before it")
    if isinstance(value, FloatConstant):
        array = quantize_floats(value.array.astype(np.float32), quantizer)
        return Integers(state.builder.constant(node.output, array, quantizer.dtype))
    assert isinstance(value, (Affine, Number, Call, Moved, Joined, FloatSource))
    return Integers(round_real(state, value, quantizer, node))


def quantize_floats(array: NDArray[np.float32], quantizer: Quantizer) -> NDArray[np.int64]:
    """A float32 constant quantized as ONNX does it: float32 division, then the rounding."""
    shape = [1] * array.ndim
    if len(quantizer.scale) > 1:
        shape[quantizer.axis] = -1
    scaled = array / np.array(quantizer.scale, np.float32).reshape(shape)
    if quantizer.zero_point_inside:
        scaled = scaled + np.float32(quantizer.zero_point)
    grid = grid_of(quantizer)
    levels = [grid.clip(round_fraction(Fraction(float(value)), grid.rounding)) for value in scaled.ravel()]
    return np.array(levels, np.int64).reshape(array.shape)


def grid_of(quantizer: Quantizer) -> Grid:
    """The grid of a quantizer; a zero point inside the rounding is part of the value, not of the grid."""
    zero_point = 0 if quantizer.zero_point_inside else quantizer.zero_point
    return Grid(quantizer.dtype, quantizer.lo, quantizer.hi, zero_point, quantizer.rounding)


def round_real(state: State, value: Real, quantizer: Quantizer, node: Node) -> str:
    """The integer tensor that a quantizer makes of a real value; postponed movements follow the rounding."""
    if isinstance(value, FloatSource):
        return _quantize_source(state, value, quantizer, node)
    if isinstance(value, Moved):
        return _round_moved(state, value, quantizer, node)
    if isinstance(value, Joined):
        return _round_parts(state, value, quantizer, node)
    scale = Number(tuple(map(Fraction, quantizer.scale)), quantizer.axis, state.rank(node.output))
    scaled = divide(value, scale)
    if quantizer.zero_point_inside:
        scaled = add(scaled, number(quantizer.zero_point))
    return round_to_grid(state, scaled, grid_of(quantizer), node)


def _quantize_source(state: State, value: FloatSource, quantizer: Quantizer, node: Node) -> str:
    offset = float(quantizer.zero_point) if quantizer.zero_point_inside else 0.0
    operator = ops.Quantize("", value.name, quantizer.scale, grid_of(quantizer), offset, quantizer.axis)
    return state.builder.emit(operator, node.output, (quantizer.lo, quantizer.hi))


def _round_moved(state: State, value: Moved, quantizer: Quantizer, node: Node) -> str:
    """Rounding and movement change places: a quantizer never falls, and moves nothing."""
    changed = getattr(value.movement, "axes", (2, 3))
    stays = isinstance(value.movement, (*EXTREMES, ops.Resize)) and quantizer.axis not in changed
    if len(quantizer.scale) > 1 and not stays:
        return round_real(state, settle(state, value, node), quantizer, node)
    movement = value.movement
    if isinstance(movement, ops.Pad) and movement.fills:
        border = Fraction(movement.value) / Fraction(quantizer.scale[0])
        border += quantizer.zero_point if quantizer.zero_point_inside else 0
        grid = grid_of(quantizer)
        movement = replace(movement, value=grid.clip(round_fraction(border, grid.rounding)))
    tensor = round_real(state, value.inner, quantizer, node)
    return moved_tensor(state.builder, movement, tensor, node.output)


def _round_parts(state: State, value: Joined, quantizer: Quantizer, node: Node) -> str:
    tensors, start = [], 0
    for part in value.parts:
        own = quantizer
        extent = shape_of(part)[value.axis]
        if len(quantizer.scale) > 1 and quantizer.axis == value.axis:
            own = replace(quantizer, scale=quantizer.scale[start : start + extent])
        tensors.append(round_real(state, part, own, node))
        start += extent
    return join_tensors(state.builder, tensors, value.axis, node)


def round_to_grid(state: State, expression: Expression, grid: Grid, node: Node) -> str:
    """The integer tensor clip(round(expression) + zero point): a requantization, an addition, a table or thresholds.

    Raises:
        RefusalError: the expression is no function that one of these can compute exactly.
    """
    builder = state.builder
    inner, found = clamps(expression)
    if isinstance(inner, Affine) and all(len(bound.values) == 1 for _, bound in found):
        return _requantize(builder, inner, _clamped_grid(grid, found), node)
    names = sources(expression)
    if not names:
        raise unsupported("quantizes a computed constant", "a quantized constant in the file")
    axis, channels = channel_axis(expression)
    if len(names) > 1:
        raise uncovered(f"combines {len(names)} tensors by more than a sum before the next quantizer")
    if axis is None:
        raise unsupported("combines constants along different axes", "a quantizer between the two operations")
    tensor = names[0]
    if tensor in builder.promised:
        raise uncovered(f"is a function of a {builder.promised[tensor].operator.keyword} that no quantizer covers")
    if builder.is_narrow(tensor):
        values = grid_table(expression, builder.types[tensor].dtype, grid)
        name = builder.constant(f"{node.output}.table", values, grid.dtype)
        bounds = (int(values.min()), int(values.max()))
        return builder.emit(ops.Table("", tensor, name, axis), node.output, bounds)
    if None in direction(expression):
        raise unsupported("rounds a function of an accumulator that is not monotone", ADVICE_NON_MONOTONE)
    if (grid.hi - grid.lo) * channels > LEVELS:
        raise unsupported(f"rounds a function of an accumulator to {grid.hi - grid.lo + 1} levels", ADVICE_NON_MONOTONE)
    return _threshold(builder, expression, tensor, axis, grid, node)


def _clamped_grid(grid: Grid, found: list[tuple[str, Number]]) -> Grid:
    """The grid narrowed by real clips: rounding is monotone, so it and a clip change places."""
    lo, hi = grid.lo, grid.hi
    for function, bound in found:
        level = grid.clip(round_fraction(bound.values[0], grid.rounding))
        lo, hi = (max(lo, level), max(hi, level)) if function == "max" else (min(lo, level), min(hi, level))
    return replace(grid, lo=lo, hi=hi)


def _requantize(builder: Builder, affine: Affine, grid: Grid, node: Node) -> str:
    bounds = (grid.lo, grid.hi)
    if affine.tensors[0] in builder.promised and len(affine.tensors) == 1:
        return round_rows(builder, affine, grid, node.output)
    if len(affine.tensors) > 1:
        return builder.emit(ops.Add("", affine.tensors, affine.linear, grid), node.output, bounds)
    (tensor,) = affine.tensors
    repeats = affine.linear == Linear(((ONE,),), (Fraction(-grid.zero_point),), axis=affine.linear.axis)
    if repeats and builder.types[tensor].dtype == grid.dtype and builder.types[tensor].shape == affine.shape:
        return builder.clip(tensor, bounds, node.output)
    if builder.is_constant(tensor):
        return builder.constant(node.output, _round_constant(builder.array(tensor), affine.linear, grid), grid.dtype)
    return builder.emit(ops.Requant("", tensor, affine.linear, grid), node.output, bounds)


def _round_constant(array: NDArray[np.int64], linear: Linear, grid: Grid) -> NDArray[np.int64]:
    result = np.empty_like(array)
    for index in np.ndindex(array.shape):
        channel = linear.channel(index[linear.axis] if linear.channels > 1 else 0)
        result[index] = quantize_exact(channel, grid, (int(array[index]),))
    return result


def _threshold(builder: Builder, expression: Expression, tensor: str, axis: int, grid: Grid, node: Node) -> str:
    found = thresholds(expression, builder.bounds[tensor], grid)
    name = builder.constant(f"{node.output}.thresholds", found.levels, dtype("i64"))
    operator = ops.Threshold("", tensor, name, grid.dtype, found.base, found.increasing, axis)
    return builder.emit(operator, node.output, (found.lo, found.hi))


def bipolar(state: State, node: Node) -> Value:
    """Bipolar: +1 where the value is at least 0, else -1."""
    value = state.values[node.inputs[0]]
    grid = Grid(dtype("i2"), -1, 1)
    if isinstance(value, FloatConstant):
        signs = np.where(value.array.astype(np.float32) >= 0, 1, -1)
        return Integers(state.builder.constant(node.output, signs, grid.dtype))
    if isinstance(value, FloatSource):
        raise uncovered(f"takes the sign of the float graph input {value.name!r}")
    expression = as_expression(state, value, node)
    sign = Call("reaches_zero", (expression,))
    if isinstance(expression, Affine) and len(expression.tensors) > 1:
        # The sign of a sum: halves never occur between the two levels, so the sum is rounded to -1 and 1 by hand.
        raise uncovered("takes the sign of a sum of several tensors")
    return Integers(round_to_grid(state, sign, grid, node))


def dequantize(state: State, node: Node) -> Value:
    """Dequantize: the exact real meaning of integers."""
    scale = node.attributes["scale"]
    assert isinstance(scale, Scale)
    value = state.values[node.inputs[0]]
    if not isinstance(value, Integers):
        raise unsupported("dequantizes a real value", "an integer value")
    factors = tuple(map(Fraction, scale.scale))
    points = tuple(map(Fraction, scale.zero_point))
    offset = zip_channels(lambda s, z: -s * z, factors, points)
    return Affine((value.tensor,), make_linear((factors,), offset, axis=scale.axis), state.graph.shapes[node.output])


def cast(state: State, node: Node) -> Value:
    """Cast of integers to a type that holds them."""
    value = state.values[node.inputs[0]]
    type_ = node.attributes["dtype"]
    assert isinstance(value, Integers)
    assert isinstance(type_, DType)
    lo, hi = state.builder.bounds[value.tensor]
    if not type_.holds(lo, hi):
        raise unsupported(f"casts integers of {lo}…{hi} to {type_}", "a type that holds them, for nothing wraps here")
    return Integers(state.builder.cast(value.tensor, type_))


def output(state: State, value: Value, node: Node) -> str:
    """The tensor of a graph output: integers as they are, reals rounded once to float32.

    Raises:
        RefusalError: the value cannot be rounded to float32 exactly.
    """
    if isinstance(value, Integers):
        return value.tensor
    if isinstance(value, Joined):
        value = _common_tensor(state, value, node)
    expression = as_expression(state, value, node)
    inner, found = clamps(expression)
    names = sources(expression)
    if isinstance(inner, Affine) and all(len(bound.values) == 1 for _, bound in found):
        lo, hi = _real_bounds(found)
        if inner.tensors[0] in state.builder.promised and len(names) == 1:
            inner = _on_fine_grid(state.builder, inner, node)
        return state.builder.emit(ops.Dequantize("", inner.tensors, inner.linear, lo, hi), node.output)
    axis, _ = channel_axis(expression)
    if len(names) != 1 or axis is None or not state.builder.is_narrow(names[0]):
        raise uncovered("is a float output computed by a function that no quantizer precedes")
    values = float_table(expression, state.builder.types[names[0]].dtype)
    name = state.builder.constant(f"{node.output}.table", values, dtype("f32"))
    return state.builder.emit(ops.Table("", names[0], name, axis), node.output)


def _on_fine_grid(builder: Builder, affine: Affine, node: Node) -> Affine:
    """A row function that leaves as float32, rounded to a fine grid first (docs/arithmetic.md, "Whole rows")."""
    step = number(Fraction(1, 1 << FLOAT_ROW_BITS))
    scaled = divide(affine, step)
    assert isinstance(scaled, Affine)
    tensor = round_rows(builder, scaled, Grid.full(dtype("i32")), node.output)
    return Affine((tensor,), make_linear((step.values,)), affine.shape)


def _real_bounds(found: list[tuple[str, Number]]) -> tuple[Fraction | None, Fraction | None]:
    lo: Fraction | None = None
    hi: Fraction | None = None
    for function, bound in found:
        value = bound.values[0]
        if function == "max":
            lo, hi = value if lo is None else max(lo, value), None if hi is None else max(hi, value)
        else:
            lo, hi = None if lo is None else min(lo, value), value if hi is None else min(hi, value)
    return lo, hi


def _common_tensor(state: State, value: Joined, node: Node) -> Affine:
    """Joined values as one integer tensor with the scales of its parts per channel, for a float output."""
    parts = [as_expression(state, part, node) for part in value.parts]
    plain = [part for part in parts if isinstance(part, Affine) and len(part.tensors) == 1]
    same_axis = all(part.linear.channels == 1 or part.linear.axis == value.axis for part in plain)
    if len(plain) != len(parts) or not same_axis:
        raise unsupported("is a concatenation of functions with unequal scales", "put a quantizer after the Concat")

    def column(name: str) -> tuple[Fraction, ...]:
        result: list[Fraction] = []
        for part in plain:
            values = part.linear.factors[0] if name == "factor" else getattr(part.linear, name)
            result.extend(values * part.shape[value.axis] if len(values) == 1 else values)
        return tuple(result)

    tensor = join_tensors(state.builder, [part.tensors[0] for part in plain], value.axis, node)
    linear = make_linear((column("factor"),), column("offset"), column("radicand"), column("shift"), value.axis)
    return Affine((tensor,), linear, value.shape)


HANDLERS: dict[str, Handler] = {
    "Quantize": quantize,
    "Bipolar": bipolar,
    "Dequantize": dequantize,
    "Cast": cast,
}
