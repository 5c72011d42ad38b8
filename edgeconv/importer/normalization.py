"""Softmax and normalizations: a function of whole rows, then scale and bias as Mul and Add."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from edgeconv.importer.builder import Builder
from edgeconv.importer.node import OnnxNode
from edgeconv.importer.qoperator import operand, result
from edgeconv.importer.values import Constant, Tensor, Value

Array = NDArray[np.float32]

_SOFTMAX_OVER_ONE_AXIS_SINCE = 13
_SCALE_PER_CHANNEL_SINCE = 21


def softmax(node: OnnxNode, build: Builder) -> list[Value]:
    """Softmax; before operator set 13 over all axes from `axis` on."""
    return [_softmax(node, build, build.real(node, 0), opset=node.opset)]


def qlinear_softmax(node: OnnxNode, build: Builder) -> list[Value]:
    """QLinearSoftmax of com.microsoft; its attribute `opset` tells which Softmax it means."""
    build.dialects.add("qoperator")
    x = operand(node, build, 0, 1, 2)
    return result(node, build, _softmax(node, build, x, opset=node.attribute("opset", 13), part="real"), 3, 4)


def _softmax(node: OnnxNode, build: Builder, x: str, *, opset: int, part: str = "") -> Tensor:
    shape = build.shapes[x]
    axis = node.axis(node.attribute("axis", -1 if opset >= _SOFTMAX_OVER_ONE_AXIS_SINCE else 1), len(shape))
    if opset >= _SOFTMAX_OVER_ONE_AXIS_SINCE or prod(shape[axis + 1 :]) == 1:
        return build.emit("Softmax", node, (x,), shape, part=part, axis=axis)
    rows = (prod(shape[:axis]), prod(shape[axis:]))
    flat = build.emit("Reshape", node, (x,), rows, part="rows", shape=rows)
    row_wise = build.emit("Softmax", node, (flat.name,), rows, part="softmax", axis=1)
    return build.emit("Reshape", node, (row_wise.name,), shape, part=part, shape=shape)


def layer(node: OnnxNode, build: Builder) -> list[Value]:
    """LayerNormalization over the axes from `axis` on."""
    return _over_last_axes(node, build, centered=True)


def root_mean_square(node: OnnxNode, build: Builder) -> list[Value]:
    """RMSNormalization, and SimplifiedLayerNormalization of onnxruntime."""
    return _over_last_axes(node, build, centered=False)


def _over_last_axes(node: OnnxNode, build: Builder, *, centered: bool) -> list[Value]:
    if any(node.outputs[1:]):
        raise node.error("its statistics outputs are used", expected="only the normalized values")
    shape = build.shapes[build.real(node, 0)]
    first = node.axis(node.attribute("axis", -1), len(shape))
    columns = [_parameter(node, index, shape[first:]) for index in (1, 2) if node.has(index)]
    return [_emit(node, build, tuple(range(first, len(shape))), 1, columns, centered=centered)]


def instance(node: OnnxNode, build: Builder) -> list[Value]:
    """InstanceNormalization over the spatial axes of each channel."""
    shape = build.shapes[build.real(node, 0)]
    if len(shape) < 3:
        raise node.error(f"input of shape {shape}", expected="at least one spatial axis: (N, C, …)")
    columns = [_per_channel(node, index, shape) for index in (1, 2)]
    return [_emit(node, build, tuple(range(2, len(shape))), 1, columns, centered=True)]


def group(node: OnnxNode, build: Builder) -> list[Value]:
    """GroupNormalization; before operator set 21 its scale and bias hold one value for each group."""
    shape = build.shapes[build.real(node, 0)]
    groups = int(node.attribute("num_groups", 0))
    if len(shape) < 2 or groups < 1 or shape[1] % groups:
        raise node.error(f"{groups} groups for an input of shape {shape}", expected="groups of equally many channels")
    per_group = 1 if node.opset >= _SCALE_PER_CHANNEL_SINCE else shape[1] // groups
    columns = [_per_channel(node, index, shape, repeat=per_group) for index in (1, 2)]
    return [_emit(node, build, tuple(range(1, len(shape))), groups, columns, centered=True)]


def mean_variance(node: OnnxNode, build: Builder) -> list[Value]:
    """MeanVarianceNormalization: no scale, no bias."""
    rank = len(build.shapes[build.real(node, 0)])
    axes = tuple(sorted(node.axis(axis, rank) for axis in node.ints("axes") or (0, 2, 3)))
    return [_emit(node, build, axes, 1, [], centered=True, epsilon=float(np.float32(1e-9)))]


def _parameter(node: OnnxNode, index: int, normalized: tuple[int, ...]) -> Array:
    value = node.constant(index, "the scale" if index == 1 else "the bias").astype(np.float32)
    try:
        np.broadcast_to(value, normalized)
    except ValueError as error:
        raise node.error(
            f"input {index} of shape {value.shape}", expected=f"a shape that broadcasts to {normalized}"
        ) from error
    return value


def _per_channel(node: OnnxNode, index: int, shape: tuple[int, ...], repeat: int = 1) -> Array:
    value = node.constant(index, "the scale" if index == 1 else "the bias").astype(np.float32).reshape(-1)
    if value.size * repeat != shape[1]:
        raise node.error(f"input {index} holds {value.size} values", expected=f"{shape[1] // repeat}")
    return np.repeat(value, repeat).reshape(-1, *(1,) * (len(shape) - 2))


def _emit(
    node: OnnxNode,
    build: Builder,
    axes: tuple[int, ...],
    groups: int,
    columns: list[Array],
    *,
    centered: bool,
    epsilon: float | None = None,
) -> Tensor:
    """Append the normalization, then Mul by the first and Add of the second of `columns`."""
    x = build.real(node, 0)
    shape = build.shapes[x]
    parts = ["normalized", "scaled"][: len(columns)]
    names = [*parts, ""]
    found = build.emit(
        "Normalization", node, (x,), shape,
        part=names[0], axes=axes, groups=groups, centered=centered,
        epsilon=node.float32("epsilon", 1e-5) if epsilon is None else epsilon,
    )  # fmt: skip
    for op, column, part in zip(("Mul", "Add"), columns, names[1:], strict=False):
        constant = Constant(build.fresh(f"{node.output}.{op.lower()}.value"), column)
        found = build.emit(op, node, (found.name, build.real_constant(node, constant)), shape, part=part)
    return found
