"""Handlers that move values: max_pool, reshape, transpose, concat, slice, pad, resize."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import prod

import numpy as np
from numpy.typing import NDArray

from edgeconv.importer.graph import Node
from edgeconv.integer.builder import Builder
from edgeconv.integer.functions import direction
from edgeconv.integer.rows import reshape_promised
from edgeconv.integer.state import (
    Handler,
    Scaling,
    State,
    affine_scaling,
    integer_tuple,
    is_narrow,
    on_grid,
    uncovered,
    unsupported,
)
from edgeconv.integer.values import (
    Affine,
    Call,
    Channels,
    Expression,
    FloatConstant,
    FloatSource,
    Integers,
    Joined,
    Moved,
    Number,
    Real,
    Value,
    make_linear,
    map_affines,
    shape_of,
    sources,
)
from edgeconv.ir import Linear, TensorType, dtype, smallest_dtype
from edgeconv.ir import operators as ops
from edgeconv.ir.operators import Operator

EXTREMES = (ops.MaxPool, ops.ReduceMax, ops.ReduceMin)
"""Movements that choose among values: they change places with what never falls."""
ADVICE_CONCAT = "put a quantizer after the Concat"


def moved_tensor(builder: Builder, movement: Operator, tensor: str, hint: str) -> str:
    """Apply a movement to an integer tensor; constants are moved at once."""
    if tensor in builder.promised and isinstance(movement, ops.Reshape):
        grouped = reshape_promised(builder, tensor, movement.shape, hint)
        if grouped is not None:
            return grouped
    operator = replace(movement, x=tensor)  # type: ignore[call-arg]
    if builder.is_constant(tensor) and type(movement) in _ON_ARRAYS:
        constant = builder.constants[tensor]
        return builder.constant(hint, _ON_ARRAYS[type(movement)](movement, constant.array), constant.dtype)
    if operator.infer(builder.types) == builder.types[tensor] and _is_identity(movement, builder.types[tensor]):
        return tensor
    lo, hi = builder.bounds[tensor]
    if isinstance(movement, ops.Pad) and movement.fills:
        lo, hi = min(lo, movement.value), max(hi, movement.value)
    return builder.emit(operator, hint, (lo, hi))


def _is_identity(movement: Operator, type_: TensorType) -> bool:
    if isinstance(movement, ops.Transpose):
        return movement.permutation == tuple(range(len(type_.shape)))
    if isinstance(movement, ops.Slice):
        return all(step == 1 for size, step in zip(movement.sizes, movement.steps, strict=True) if size > 1)
    return isinstance(movement, ops.Reshape) or (isinstance(movement, ops.Pad) and not any(movement.pads))


def _slice_array(movement: Operator, array: NDArray[np.generic]) -> NDArray[np.generic]:
    assert isinstance(movement, ops.Slice)
    axes = zip(movement.starts, movement.sizes, movement.steps, strict=True)
    return array[np.ix_(*(start + np.arange(size) * step for start, size, step in axes))]


_ON_ARRAYS: dict[type[Operator], Callable[..., NDArray[np.generic]]] = {
    ops.Reshape: lambda movement, array: array.reshape(movement.shape),
    ops.Transpose: lambda movement, array: array.transpose(movement.permutation),
    ops.Slice: _slice_array,
}


def output_shape(movement: Operator, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape a movement makes of `shape`."""
    if isinstance(movement, ops.Pad):  # until the grid is known, its value is a real number
        movement = replace(movement, value=0)
    return movement.infer({"": TensorType(shape, dtype("i8"))}).shape


def move(state: State, value: Real, movement: Operator, node: Node) -> Real:
    """A movement of a real value: of its integers where they are narrow, else postponed until after the rounding."""
    if isinstance(value, Joined):
        return _move_parts(state, value, movement, node)
    if isinstance(value, Number):
        return value
    shape = output_shape(movement, shape_of(value))
    if isinstance(value, (Moved, FloatSource)) or not is_narrow(state.builder, value):
        if isinstance(value, Moved):
            return Moved(value, movement, shape)  # type: ignore[arg-type]
        return Moved(value, movement, shape)
    pushed = push(state, value, movement, node)
    return Moved(value, movement, shape) if pushed is None else pushed


def settle(state: State, value: Moved, node: Node) -> Real:
    """The same value with the postponed movement done on its integers, accumulators too.

    Raises:
        RefusalError: the movement and the function around the integers cannot change places.
    """
    inner = settle(state, value.inner, node) if isinstance(value.inner, Moved) else value.inner
    if isinstance(inner, FloatSource):
        raise uncovered(f"reads the float graph input {inner.name!r}, which no quantizer covers")
    if isinstance(inner, Joined):
        return _move_parts(state, inner, value.movement, node)
    assert isinstance(inner, (Affine, Call, Number))
    pushed = push(state, inner, value.movement, node)
    if pushed is None:
        origin = getattr(value.movement, "origin", "")
        raise unsupported(
            f"reads the {value.movement.keyword} {origin!r} of a value that is not on one integer grid",
            "put a quantizer before that",
        )
    return pushed


def push(state: State, expression: Expression, movement: Operator, node: Node) -> Expression | None:
    """The expression over moved integers, or None where that is not the same."""
    shape = shape_of(expression)
    names = sources(expression)
    builder = state.builder
    if any(builder.types[name].shape != shape for name in names):
        return None
    if isinstance(movement, EXTREMES) and (len(names) != 1 or not _increasing(expression)):
        return None
    if isinstance(movement, ops.Pad) and movement.fills:
        return _push_pad(state, expression, movement, node)
    result_shape = output_shape(movement, shape)
    try:
        return map_affines(expression, lambda leaf: _push_leaf(builder, leaf, movement, result_shape, node))
    except _CannotMoveError:
        return None


class _CannotMoveError(Exception):
    """Per-channel numbers that a movement tears apart."""


def _increasing(expression: Expression) -> bool:
    return all(sign is not None and sign >= 0 for sign in direction(expression))


def _push_leaf(builder: Builder, leaf: Affine, movement: Operator, shape: tuple[int, ...], node: Node) -> Affine:
    tensors = tuple(moved_tensor(builder, movement, tensor, node.output) for tensor in leaf.tensors)
    return Affine(tensors, move_channels(leaf.linear, movement, leaf.shape), shape)


def _push_pad(state: State, expression: Expression, movement: ops.Pad, node: Node) -> Expression | None:
    """A constant border needs an integer that means exactly the border's value."""
    if not isinstance(expression, Affine) or expression.linear.channels > 1:
        return None
    scaling = affine_scaling(expression)
    if scaling is None or not isinstance(movement.value, (int, float)):
        return None
    exact = Fraction(movement.value) / scaling.scale[0] + scaling.zero_point
    type_ = state.builder.types[scaling.tensor].dtype
    if exact.denominator != 1 or not type_.holds(int(exact), int(exact)):
        return None
    moved = replace(movement, value=int(exact))
    tensor = moved_tensor(state.builder, moved, scaling.tensor, node.output)
    return Affine((tensor,), expression.linear, output_shape(movement, expression.shape))


def move_channels(linear: Linear, movement: Operator, shape: tuple[int, ...]) -> Linear:
    """Per-channel numbers after a movement of a tensor of `shape`."""
    if linear.channels == 1:
        return linear
    axis = linear.axis
    order = np.arange(linear.channels)
    if isinstance(movement, ops.Transpose):
        axis = movement.permutation.index(axis)
    elif isinstance(movement, ops.Slice):
        order = movement.starts[axis] + np.arange(movement.sizes[axis]) * movement.steps[axis]
    elif isinstance(movement, ops.Pad):
        order = np.array(movement.sources(axis, linear.channels))
    elif isinstance(movement, ops.Reshape):
        axis, order = _reshape_channels(shape, movement.shape, axis)
    elif axis in getattr(movement, "axes", range(2, len(shape))):
        raise _CannotMoveError

    def pick(values: Channels) -> Channels:
        return values if len(values) == 1 else tuple(values[int(k)] for k in order)

    factors = tuple(map(pick, linear.factors))
    return make_linear(factors, pick(linear.offset), pick(linear.radicand), pick(linear.shift), axis)


def _reshape_channels(old: tuple[int, ...], new: tuple[int, ...], axis: int) -> tuple[int, NDArray[np.int64]]:
    """The new axis that alone decides the channel, and the channel at each of its positions."""
    before, channels, after = prod(old[:axis]), old[axis], prod(old[axis + 1 :])
    for candidate, extent in enumerate(new):
        outer, inner = prod(new[:candidate]), prod(new[candidate + 1 :])
        if extent > 1 and before % outer == 0 and after % inner == 0 and outer * extent * inner == prod(old):
            repeat, tile = after // inner, before // outer
            if repeat * tile * channels == extent:
                return candidate, np.tile(np.repeat(np.arange(channels), repeat), tile)
    raise _CannotMoveError


def _move_parts(state: State, value: Joined, movement: Operator, node: Node) -> Joined:
    """A movement of a concatenation, part by part, where it leaves the joined axis alone."""
    axis, shape = value.axis, value.shape
    if isinstance(movement, ops.Transpose):
        axis = movement.permutation.index(axis)
    elif not _leaves_axis(movement, axis, shape):
        raise unsupported(f"moves a concatenation of unequal scales along its axis {axis}", ADVICE_CONCAT)
    parts = []
    for part in value.parts:
        own = movement
        if isinstance(movement, ops.Slice):
            sizes = list(movement.sizes)
            sizes[axis] = shape_of(part)[axis]  # type: ignore[arg-type]
            own = replace(movement, sizes=tuple(sizes))
        parts.append(move(state, part, own, node))
    return Joined(tuple(parts), axis, output_shape(movement, shape))


def _leaves_axis(movement: Operator, axis: int, shape: tuple[int, ...]) -> bool:
    if isinstance(movement, (ops.MaxPool, ops.Resize)):
        return axis < 2
    if isinstance(movement, (ops.ReduceMax, ops.ReduceMin)):
        return axis not in movement.axes
    if isinstance(movement, ops.Pad):
        return movement.pads[axis] == movement.pads[len(shape) + axis] == 0
    if isinstance(movement, ops.Slice):
        return (movement.starts[axis], movement.sizes[axis], movement.steps[axis]) == (0, shape[axis], 1)
    return False


def _handler(make: Callable[[Node], Operator]) -> Handler:
    def handle(state: State, node: Node) -> Value:
        movement = make(node)
        value = state.values[node.inputs[0]]
        if isinstance(value, Integers):
            return Integers(moved_tensor(state.builder, movement, value.tensor, node.output))
        if isinstance(value, FloatConstant):
            if type(movement) not in _ON_ARRAYS:
                raise uncovered("works on a float constant")
            return FloatConstant(_ON_ARRAYS[type(movement)](movement, value.array))
        assert isinstance(value, (Affine, Number, Call, Moved, Joined, FloatSource))
        return move(state, value, movement, node)

    return handle


def _max_pool(node: Node) -> Operator:
    lists = (integer_tuple(node, name) for name in ("kernel", "strides", "dilations", "pads"))
    return ops.MaxPool("", "", *lists, origin=node.name)


def _slice(node: Node) -> Operator:
    lists = (integer_tuple(node, name) for name in ("starts", "sizes", "steps"))
    return ops.Slice("", "", *lists, origin=node.name)


def _pad(node: Node) -> Operator:
    # Until the grid is known the value is the real one.
    value, mode = node.attributes["value"], node.attributes["mode"]
    return ops.Pad("", "", integer_tuple(node, "pads"), value, mode, origin=node.name)  # type: ignore[arg-type]


def reduced_handler(kind: type[ops.ReduceMax] | type[ops.ReduceMin]) -> Handler:
    """The handler of a reduction that chooses among values."""
    return _handler(lambda node: kind("", "", integer_tuple(node, "axes"), origin=node.name))


def _resize(node: Node) -> Operator:
    indices = node.attributes["indices"]
    return ops.Resize("", "", indices, origin=node.name)  # type: ignore[arg-type]


def concat(state: State, node: Node) -> Value:
    """Concat: of integers or of reals on one grid as one tensor; else part by part after the next rounding."""
    values = [state.values[name] for name in node.inputs]
    axis = node.attributes["axis"]
    assert isinstance(axis, int)
    if all(isinstance(value, Integers) for value in values):
        return Integers(join_tensors(state.builder, [v.tensor for v in values if isinstance(v, Integers)], axis, node))
    parts: list[Real] = []
    for value in values:
        if isinstance(value, FloatConstant):
            raise uncovered(f"joins a float constant of shape {value.array.shape}")
        if isinstance(value, Integers):
            raise unsupported("joins integers and reals", "put a DequantizeLinear before it")
        assert isinstance(value, (Affine, Call, Moved, Joined, FloatSource))
        parts.append(value)
    scalings = [_scaling_or_none(state, part, node) for part in parts]
    first = scalings[0]
    if first is not None and all(s is not None and _same_grid(s, first) for s in scalings):
        tensor = join_tensors(state.builder, [s.tensor for s in scalings if s is not None], axis, node)
        linear = make_linear((first.scale,), (-first.scale[0] * first.zero_point,))
        return Affine((tensor,), linear, state.builder.types[tensor].shape)
    return Joined(tuple(parts), axis, state.graph.shapes[node.output])


def _scaling_or_none(state: State, part: Real, node: Node) -> Scaling | None:
    if not isinstance(part, (Affine, Call)):
        return None
    value = on_grid(state, part, node)
    return affine_scaling(value) if isinstance(value, Affine) and is_narrow(state.builder, value) else None


def _same_grid(a: Scaling, b: Scaling) -> bool:
    return len(a.scale) == 1 and (a.scale, a.zero_point) == (b.scale, b.zero_point)


def join_tensors(builder: Builder, tensors: list[str], axis: int, node: Node) -> str:
    """Integer tensors joined; types that differ are widened to the narrowest that holds all of them."""
    types = {builder.types[tensor].dtype for tensor in tensors}
    lo, hi = min(builder.bounds[t][0] for t in tensors), max(builder.bounds[t][1] for t in tensors)
    if len(types) > 1:
        wide = smallest_dtype(min(t.lo for t in types), max(t.hi for t in types))
        tensors = [builder.cast(tensor, wide) for tensor in tensors]
    if len(tensors) == 1:
        return tensors[0]
    return builder.emit(ops.Concat("", tuple(tensors), axis), node.output, (lo, hi))


HANDLERS: dict[str, Handler] = {
    "MaxPool": _handler(_max_pool),
    "Reshape": _handler(lambda node: ops.Reshape("", "", integer_tuple(node, "shape"), origin=node.name)),
    "Transpose": _handler(lambda node: ops.Transpose("", "", integer_tuple(node, "permutation"), origin=node.name)),
    "Slice": _handler(_slice),
    "Pad": _handler(_pad),
    "Resize": _handler(_resize),
    "Concat": concat,
}
