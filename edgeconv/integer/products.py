"""Handlers that make accumulators: convolutions, matmul, elementwise product, and the bias that belongs to them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.importer.graph import Node
from edgeconv.integer.builder import Bounds, Builder, accumulator_dtype, weight_bounds
from edgeconv.integer.state import (
    Handler,
    Scaling,
    State,
    affine_scaling,
    as_scaling,
    constant_number,
    integer_tuple,
    uncovered,
    unsupported,
)
from edgeconv.integer.values import ZERO, Affine, Channels, Expression, FloatConstant, Value, make_linear, zip_channels
from edgeconv.ir import DType, smallest_dtype
from edgeconv.ir import operators as ops


def weight_scaling(state: State, node: Node, index: int) -> Scaling:
    """The constant weights of a node.

    Raises:
        RefusalError: they are float, or computed at run time.
    """
    value = state.values[node.inputs[index]]
    if isinstance(value, FloatConstant):
        raise uncovered(f"has float weights {node.inputs[index]!r}, which no quantizer covers")
    scaling = affine_scaling(value) if isinstance(value, Affine) else None
    if scaling is None or not state.builder.is_constant(scaling.tensor):
        raise unsupported(f"has weights {node.inputs[index]!r} that are no quantized constant", "constant weights")
    return scaling


def weight_constant(builder: Builder, scaling: Scaling) -> tuple[str, NDArray[np.int64]]:
    """Weights minus their zero point as a signed constant of the narrowest declared width: its name and integers."""
    constant = builder.constants[scaling.tensor]
    if scaling.zero_point == 0 and constant.dtype.signed:
        return scaling.tensor, builder.array(scaling.tensor)
    integers = builder.array(scaling.tensor) - scaling.zero_point
    lo, hi = (int(integers.min()), int(integers.max())) if integers.size else (0, 0)
    # A symmetric type of the declared width where the values fit, so that 8-bit weights stay 8-bit weights.
    half = 1 << (constant.dtype.bits - 1)
    name = builder.constant(scaling.tensor, integers, _signed(min(lo, -half), max(hi, half - 1)))
    return name, integers


def _signed(lo: int, hi: int) -> DType:
    return smallest_dtype(min(lo, -1), hi)


def conv(state: State, node: Node) -> Value:
    """Conv: an accumulator with one factor s_x·s_w per output channel."""
    w = weight_scaling(state, node, 1)
    if len(w.scale) > 1 and w.axis != 0:
        raise unsupported(f"has weight scales along axis {w.axis}", "one scale, or one per output channel (axis 0)")
    name, _ = weight_constant(state.builder, w)
    return _convolution(state, node, name, w.scale, ops.Conv)


def conv_transpose(state: State, node: Node) -> Value:
    """ConvTranspose: the same, its weights turned from (C, O / groups, kernel…) to output channels first."""
    w, groups, builder = weight_scaling(state, node, 1), node.attributes["groups"], state.builder
    assert isinstance(groups, int)
    name, integers = weight_constant(builder, w)
    channels, per_group = integers.shape[:2]
    scale = w.scale
    if len(scale) > 1 and w.axis == 1:
        scale = scale * groups
    elif len(scale) > 1 and (w.axis, channels) == (0, groups):
        scale = tuple(s for s in scale for _ in range(per_group))
    elif len(scale) > 1:
        raise unsupported(f"has weight scales along axis {w.axis}", "one scale, or one per output channel (axis 1)")
    grouped = integers.reshape(groups, channels // groups, *integers.shape[1:]).swapaxes(1, 2)
    turned = grouped.reshape(groups * per_group, channels // groups, *integers.shape[2:])
    name = builder.constant(name, np.ascontiguousarray(turned), builder.constants[name].dtype)
    return _convolution(state, node, name, scale, ops.ConvTranspose)


def _convolution(
    state: State, node: Node, weights: str, w_scale: Channels, kind: type[ops.Conv] | type[ops.ConvTranspose]
) -> Affine:
    """The accumulator of a convolution by constant weights, output channels first.

    Args:
        w_scale: one, or one per output channel.
    """
    x = as_scaling(state, state.values[node.inputs[0]], node)
    groups, integers = node.attributes["groups"], state.builder.array(weights)
    assert isinstance(groups, int)
    scales = (_activation_scale(x, integers.shape, groups), w_scale)
    bias: NDArray[np.int64] | None = None
    offset: Channels = (ZERO,)
    if len(node.inputs) > 2 and node.inputs[2]:
        bias, offset = fold_bias(state, scales, integers.shape[0], state.values[node.inputs[2]])
    bounds = weight_bounds(integers, deviations(state.builder, x), bias)
    geometry: dict[str, Any] = {key: integer_tuple(node, key) for key in _GEOMETRY[kind]}
    operator = kind(
        "", x.tensor, weights, bias_constant(state.builder, node, bias), accumulator_dtype(*bounds),
        groups=groups, x_zero_point=x.zero_point, **geometry,
    )  # fmt: skip
    tensor = state.builder.emit(operator, node.output, bounds)
    linear = make_linear((zip_channels(Fraction.__mul__, *scales),), offset)
    return Affine((tensor,), linear, state.builder.types[tensor].shape)


_GEOMETRY = {
    ops.Conv: ("strides", "dilations", "pads"),
    ops.ConvTranspose: ("strides", "dilations", "pads", "output_padding"),
}


def deviations(builder: Builder, x: Scaling) -> Bounds:
    """Bounds of a tensor minus its zero point."""
    lo, hi = builder.bounds[x.tensor]
    return lo - x.zero_point, hi - x.zero_point


def _activation_scale(x: Scaling, weights: tuple[int, ...], groups: int) -> Channels:
    """The activation's scale per output channel."""
    if len(x.scale) == 1:
        return x.scale
    if x.axis != 1 or groups != len(x.scale) or weights[1] != 1:
        raise unsupported("sums input channels of unequal scales", "one scale for the whole activation")
    per_group = weights[0] // groups
    return tuple(scale for scale in x.scale for _ in range(per_group))


def fold_bias(
    state: State, scales: tuple[Channels, Channels], channels: int, bias: Value
) -> tuple[NDArray[np.int64] | None, Channels]:
    """The bias as integers at the accumulator's scale, or else as a real offset (docs/arithmetic.md, "Scales").

    Args:
        scales: of the activations and of the weights, one or one per output channel.

    Raises:
        RefusalError: the bias is no constant.
    """
    scaling = affine_scaling(bias) if isinstance(bias, Affine) else None
    if scaling is not None and state.builder.is_constant(scaling.tensor):
        exported = zip_channels(_float32_product, *scales)
        if zip_channels(Fraction.__sub__, scaling.scale, exported) == (ZERO,):
            integers = state.builder.array(scaling.tensor).ravel() - scaling.zero_point
            return np.broadcast_to(integers, channels), (ZERO,)
    number = constant_number(state, bias, 1)
    if number is None:
        raise unsupported("has a bias computed at run time", "a constant bias")
    levels = zip_channels(lambda b, x, w: b / (x * w), number.values, *scales)
    if all(level.denominator == 1 for level in levels):
        wide = levels * channels if len(levels) == 1 else levels
        return np.array([int(level) for level in wide], np.int64), (ZERO,)
    return None, number.values


def _float32_product(x: Fraction, w: Fraction) -> Fraction:
    """The scale that exporters write for a bias."""
    return Fraction(float(np.float32(float(x)) * np.float32(float(w))))


def bias_constant(builder: Builder, node: Node, bias: NDArray[np.int64] | None) -> str | None:
    """The constant that holds a bias; None where all of it is zero."""
    if bias is None or not bias.any():
        return None
    return builder.constant(f"{node.output}.bias", bias, accumulator_dtype(int(bias.min()), int(bias.max())))


def matmul(state: State, node: Node) -> Value:
    """MatMul: by constant weights with one factor per column, or of two activations."""
    builder = state.builder
    x = as_scaling(state, state.values[node.inputs[0]], node)
    right = state.values[node.inputs[1]]
    if isinstance(right, FloatConstant):
        raise uncovered(f"has float weights {node.inputs[1]!r}, which no quantizer covers")
    w = as_scaling(state, right, node)
    if len(x.scale) > 1:
        raise unsupported(f"has one scale per index of axis {x.axis} of its left side", "one scale for all of it")
    if len(w.scale) > 1 and w.axis != len(builder.types[w.tensor].shape) - 1:
        raise unsupported("sums products of unequal weight scales", "one weight scale, or one per column")
    if builder.is_constant(w.tensor):
        name, integers = weight_constant(builder, w)
        w = replace(w, tensor=name, zero_point=0)
        columns = np.swapaxes(integers, -1, -2).reshape(-1, integers.shape[-2])
        bounds = weight_bounds(columns, deviations(builder, x), None)
    else:
        inner = builder.types[x.tensor].shape[-1]
        corners = [inner * a * b for a in deviations(builder, x) for b in deviations(builder, w)]
        bounds = (min(0, *corners), max(0, *corners))
    operator = ops.MatMul("", x.tensor, w.tensor, None, accumulator_dtype(*bounds), x.zero_point, w.zero_point)
    tensor = builder.emit(operator, node.output, bounds)
    state.matmul_scales[tensor] = (x.scale, w.scale)
    return _affine_of_matmul(builder, tensor, (x.scale, w.scale))


def _affine_of_matmul(builder: Builder, tensor: str, scales: tuple[Channels, Channels]) -> Affine:
    shape = builder.types[tensor].shape
    return Affine((tensor,), make_linear((zip_channels(Fraction.__mul__, *scales),), axis=len(shape) - 1), shape)


def attach_bias(state: State, node: Node, value: Expression, bias: Value) -> Affine | None:
    """A bare matmul with the bias that an Add brings, as integers at its scale; None where that is not the case."""
    if not isinstance(value, Affine) or len(value.tensors) != 1 or value.tensors[0] not in state.matmul_scales:
        return None
    builder = state.builder
    scales = state.matmul_scales[value.tensors[0]]
    if value != _affine_of_matmul(builder, value.tensors[0], scales):
        return None
    columns = value.shape[-1]
    if constant_number(state, bias, 1) is None or state.graph.shapes[node.output] != value.shape:
        return None
    integers, _ = fold_bias(state, scales, columns, bias)
    if integers is None:
        return None
    operator = builder.producer(value.tensors[0])
    assert isinstance(operator, ops.MatMul)
    lo, hi = builder.bounds[operator.output]
    bounds = (lo + min(0, int(integers.min())), hi + max(0, int(integers.max())))
    name = bias_constant(builder, node, integers)
    biased = replace(operator, output="", bias=name, dtype=accumulator_dtype(*bounds))
    return _affine_of_matmul(builder, builder.emit(biased, node.output, bounds), scales)


def multiply_tensors(state: State, node: Node, a: Value, b: Value) -> Affine:
    """The product of two quantized values, elementwise with broadcasting."""
    builder = state.builder
    x, y = as_scaling(state, a, node), as_scaling(state, b, node)
    rank = len(state.graph.shapes[node.output])
    axes = {s.axis + rank - len(builder.types[s.tensor].shape) for s in (x, y) if len(s.scale) > 1}
    if len(axes) > 1:
        raise unsupported("multiplies values with scales along different axes", "one scale for one of them")
    corners = [p * q for p in deviations(builder, x) for q in deviations(builder, y)]
    bounds = (min(0, *corners), max(0, *corners))
    operator = ops.Mul("", x.tensor, y.tensor, accumulator_dtype(*bounds), x.zero_point, y.zero_point)
    tensor = builder.emit(operator, node.output, bounds)
    factors = zip_channels(Fraction.__mul__, x.scale, y.scale)
    return Affine((tensor,), make_linear((factors,), axis=axes.pop() if axes else 1), builder.types[tensor].shape)


HANDLERS: dict[str, Handler] = {"Conv": conv, "ConvTranspose": conv_transpose, "MatMul": matmul}
