"""Stages that work element by element."""

from __future__ import annotations

import numpy as np

from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.hls import finish
from edgeconv.hw.hls.movement import broadcast
from edgeconv.hw.hls.order import Order
from edgeconv.hw.hls.pipeline import Pipeline, Stage
from edgeconv.hw.hls.pooling import channel_struct
from edgeconv.hw.hls.text import type_of
from edgeconv.ir import operators as ops

__all__ = ["add_map", "add_mul", "add_sum"]

_MOST_OPERANDS = 2


def add_map(pipeline: Pipeline, operator: finish.Fusable) -> None:
    """A requantization, table, threshold or cast that no stage before it could take along."""
    name = pipeline.name(operator.keyword)
    source = pipeline.take(operator.x)
    order = source.order
    units = pipeline.channels(operator, order)
    struct = channel_struct(f"{name}_channel", units)
    # What follows is applied with the same index, so the chain goes on from here.
    text, written = pipeline.chain(name, operator, order, units)
    sink = pipeline.stream(written, order)
    call = f"edge::map<{order.words}, {name}_channel, {name}_finish>({source.name}, {sink.name})"
    tensors = pipeline.between(operator.output, written)
    pipeline.add(Stage(name, operator.keyword, tensors, (struct, text), call, order.words), written, sink)


def add_sum(pipeline: Pipeline, operator: ops.Add) -> None:
    """A sum of two tensors with one rounding."""
    if len(operator.inputs) != _MOST_OPERANDS:
        raise UnsupportedModelError(
            f"add %{operator.output} of {len(operator.inputs)} tensors", expected=f"{_MOST_OPERANDS}"
        )
    name = pipeline.name(operator.keyword)
    first, second, order = _operands(pipeline, operator.inputs[0], operator.inputs[1], operator.output)
    struct = channel_struct(f"{name}_channel", pipeline.channels(operator, order))
    element = pipeline.element(operator.output)
    text = finish.add_struct(f"{name}_finish", operator, pipeline.forms[operator.output], element)
    sink = pipeline.stream(operator.output, order)
    call = f"edge::map2<{order.words}, {name}_channel, {name}_finish>({first}, {second}, {sink.name})"
    stage = Stage(name, operator.keyword, (operator.output,), (struct, text), call, order.words, 2 * order.lanes)
    pipeline.add(stage, operator.output, sink)


def add_mul(pipeline: Pipeline, operator: ops.Mul) -> None:
    """A product of two tensors, and the rounding that follows."""
    name = pipeline.name(operator.keyword)
    ranges = [pipeline.range(tensor) for tensor in (operator.x, operator.y)]
    first, second, order = _operands(pipeline, operator.x, operator.y, operator.output)
    following = pipeline.program.consumers[operator.output]
    units = np.zeros_like(order.index)
    if len(following) == 1 and isinstance(following[0], finish.Fusable):
        units = pipeline.channels(following[0], order)
    struct = channel_struct(f"{name}_channel", units)
    inner, written = pipeline.finish(name, operator.output, order, units)
    zero_points = (operator.x_zero_point, operator.y_zero_point)
    (a, b), (c, d) = [(lo - zero, hi - zero) for (lo, hi), zero in zip(ranges, zero_points, strict=True)]
    ends = [a * c, a * d, b * c, b * d]
    product = finish.mul_struct(f"{name}_product", operator, f"{name}_finish", type_of(min(*ends, -1), max(ends)))
    sink = pipeline.stream(written, order)
    call = f"edge::map2<{order.words}, {name}_channel, {name}_product>({first}, {second}, {sink.name})"
    tensors = pipeline.between(operator.output, written)
    stage = Stage(name, operator.keyword, tensors, (struct, inner, product), call, order.words, order.lanes)
    pipeline.add(stage, written, sink)


def _operands(pipeline: Pipeline, x: str, y: str, output: str) -> tuple[str, str, Order]:
    """Streams of both operands in one order; what is broadcast is repeated."""
    shape = pipeline.program.types[output].shape
    first = broadcast(pipeline, x, shape, None)
    second = broadcast(pipeline, y, shape, first.order)
    return first.name, second.name, first.order
