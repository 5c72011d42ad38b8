"""Stages that move elements. Reshapes and transposes need none: they only change what an element is called."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.hls.order import Order, image_order, usual_order, vector_order
from edgeconv.hw.hls.pipeline import Pipeline, Stage, Stream, order_struct
from edgeconv.hw.hls.products import shape_struct
from edgeconv.hw.hls.text import array, type_of
from edgeconv.ir import operators as ops

__all__ = ["add_box", "add_concat", "add_renamed", "add_resample", "broadcast"]


def add_renamed(pipeline: Pipeline, operator: ops.Reshape | ops.Transpose) -> None:
    """The same stream under another name."""
    source = pipeline.take(operator.x)
    order = source.order
    if isinstance(operator, ops.Transpose):
        order = order.transposed(pipeline.program.types[operator.x].shape, operator.permutation)
    pipeline.offer(operator.output, Stream(source.name, source.element, order))


def add_box(pipeline: Pipeline, operator: ops.Slice | ops.Pad | ops.Resize) -> None:
    """A box of a tensor, with steps, borders or repetitions."""
    shape = pipeline.program.types[operator.x].shape
    match operator:
        case ops.Slice():
            sources = [
                [start + step * i for i in range(size)]
                for start, size, step in zip(operator.starts, operator.sizes, operator.steps, strict=True)
            ]
        case ops.Pad():
            sources = [_padded(operator, axis, extent) for axis, extent in enumerate(shape)]
        case ops.Resize():
            sources = [[0], list(range(shape[1])), *map(list, operator.indices)]
    fill = operator.value if isinstance(operator, ops.Pad) else 0
    _gather(pipeline, pipeline.name(operator.keyword), operator.x, operator.output, sources, fill)


def add_resample(pipeline: Pipeline, operator: ops.ResizeLinear) -> None:
    """Linear resampling of one image, and the rounding that follows."""
    types = pipeline.program.types
    shape, result = types[operator.x].shape, types[operator.output].shape
    if shape[0] != 1:
        raise UnsupportedModelError(f"{operator.keyword} %{operator.output} over {shape[0]} images", expected="one")
    name = pipeline.name(operator.keyword)
    source, order = pipeline.take(operator.x, image_order(shape)), image_order(result)
    units = np.broadcast_to(np.arange(result[1]), order.index.shape)
    ending, written = pipeline.finish(name, operator.output, order, units)
    lo, hi = pipeline.range(operator.x)
    reach = operator.multiple * max(abs(lo - operator.x_zero_point), abs(hi - operator.x_zero_point))
    single = ((0,), (1,), (0,)) if len(shape) == 3 else None
    axes = [*zip(operator.indices, operator.left, operator.right, strict=True), *([single] if single else [])]
    tables, functions = [], ""
    for axis, (indices, left, right) in zip(("row", "column"), axes, strict=True):
        tables += [
            array(f"{name}_{axis}_of", indices),
            array(f"{name}_{axis}_weights", np.transpose([left, right])),
        ]
        functions += f"    static int {axis}(int i) {{ return int({name}_{axis}_of[i]); }}\n"
        weight = f"int({name}_{axis}_weights[i][side])"
        functions += f"    static int {axis}_weight(int i, int side) {{ return {weight}; }}\n"
    constants = {
        "HEIGHT": shape[2],
        "WIDTH": shape[3] if len(shape) == 4 else 1,
        "OUT_HEIGHT": result[2],
        "OUT_WIDTH": result[3] if len(shape) == 4 else 1,
        "ZERO_POINT": operator.x_zero_point,
    }
    accumulator = type_of(-reach - 1, reach)
    struct = shape_struct(f"{name}_sources", constants, accumulator=accumulator).removesuffix("};") + functions + "};"
    sink = pipeline.stream(written, order)
    call = f"edge::resample<{name}_sources, {name}_finish>({source.name}, {sink.name})"
    definitions = (*tables, struct, ending)
    cycles = source.order.words + 4 * order.words
    tensors = pipeline.between(operator.output, written)
    pipeline.add(Stage(name, operator.keyword, tensors, definitions, call, cycles, shape[1]), written, sink)


def broadcast(pipeline: Pipeline, tensor: str, shape: tuple[int, ...], order: Order | None) -> Stream:
    """A tensor repeated to a shape, in an order of its own where that is asked for."""
    found = pipeline.program.types[tensor].shape
    if tensor in pipeline.program.constants:
        return _constant(pipeline, tensor, shape, order or usual_order(shape))
    if found == shape:
        return pipeline.take(tensor, order)
    padded = (1,) * (len(shape) - len(found)) + found
    flat = np.broadcast_to(np.arange(prod(found)).reshape(padded), shape).reshape(-1)
    wanted = order or usual_order(shape)
    return _picked(pipeline, pipeline.take(tensor), tensor, flat[wanted.index], wanted)


def _constant(pipeline: Pipeline, tensor: str, shape: tuple[int, ...], order: Order) -> Stream:
    """A stage that gives a constant, repeated to a shape, with every sample."""
    constant = pipeline.program.constants[tensor]
    values = np.broadcast_to(
        constant.array.reshape((1,) * (len(shape) - constant.array.ndim) + constant.array.shape), shape
    )
    name = pipeline.name("constant")
    sink = pipeline.stream(tensor, order)
    text = array(f"{name}_elements", values.reshape(-1)[order.index])
    call = f"edge::constant<{order.words}>({sink.name}, {name}_elements)"
    pipeline.stages.append(Stage(name, "constant", (tensor,), (text,), call, order.words))
    return sink


def add_concat(pipeline: Pipeline, operator: ops.Concat) -> None:
    """Tensors one after the other: as channels of a position, or as words."""
    types = pipeline.program.types
    joined, shape = operator.inputs[0], list(types[operator.inputs[0]].shape)
    stream = _in_usual_order(pipeline, joined, tuple(shape))
    for number, other in enumerate(operator.inputs[1:], 1):
        last = number == len(operator.inputs) - 1
        added = _in_usual_order(pipeline, other, types[other].shape)
        shape[operator.axis] += types[other].shape[operator.axis]
        output = operator.output if last else ""
        stream = _join(pipeline, operator, stream, added, tuple(shape), types[other].shape, output)
    if len(operator.inputs) == 1:
        pipeline.offer(operator.output, stream)


def _join(
    pipeline: Pipeline,
    operator: ops.Concat,
    first: Stream,
    second: Stream,
    shape: tuple[int, ...],
    added: tuple[int, ...],
    output: str,
) -> Stream:
    """The stage that puts one stream behind another.

    Args:
        shape: of both together.
        added: shape of the second.
        output: the tensor that is then complete, if it is.
    """
    name = pipeline.name("concat")
    order = usual_order(shape)
    element = pipeline.element(operator.output)
    image = len(shape) in (3, 4) and shape[0] == 1
    sink = pipeline.stream(operator.output, order)
    definitions: tuple[str, ...] = ()
    cycles = order.words
    if image and operator.axis == 1:
        kinds = f"{element}, {first.element}, {first.order.lanes}, {second.element}, {second.order.lanes}"
        call = f"edge::join<{order.words}, {kinds}>({first.name}, {second.name}, {sink.name})"
    elif image and operator.axis == 2 and first.order.lanes == second.order.lanes:
        words = f"{element}, {first.order.words}, {second.order.words}"
        call = f"edge::chain<{words}>({first.name}, {second.name}, {sink.name})"
    else:
        elements = [np.arange(prod(part)).reshape(part) for part in (_without(shape, operator.axis, added), added)]
        elements[1] += elements[0].size
        flat = np.concatenate(elements, operator.axis).reshape(-1)
        arrival = np.empty(flat.size, np.int64)
        arrival[np.concatenate([first.order.index.reshape(-1), second.order.index.reshape(-1) + elements[0].size])] = (
            np.arange(flat.size)
        )
        definitions = (order_struct(f"{name}_order", arrival[flat[order.index.reshape(-1)]]),)
        sizes = f"{first.order.words}, {second.order.words}, {order.words}, {name}_order, {element}"
        call = f"edge::merge<{sizes}>({first.name}, {second.name}, {sink.name})"
        cycles = first.order.index.size + second.order.index.size + order.index.size
    stage = Stage(name, "concat", (operator.output,), definitions, call, cycles)
    if output:
        pipeline.add(stage, output, sink)
    else:
        pipeline.stages.append(stage)
    return sink


def _without(shape: tuple[int, ...], axis: int, added: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:axis], shape[axis] - added[axis], *shape[axis + 1 :])


def _in_usual_order(pipeline: Pipeline, tensor: str, shape: tuple[int, ...]) -> Stream:
    return pipeline.take(tensor, usual_order(shape))


def _padded(operator: ops.Pad, axis: int, extent: int) -> list[int]:
    begin, end = operator.pads[axis], operator.pads[len(operator.pads) // 2 + axis]
    if operator.fills:
        return [-1] * begin + list(range(extent)) + [-1] * end
    return list(operator.sources(axis, extent))


def _gather(
    pipeline: Pipeline, name: str, tensor: str, output: str, sources: Sequence[Sequence[int]], fill: int
) -> None:
    """A stage that reads, along each axis of one image or vector, the given positions."""
    shape = pipeline.program.types[tensor].shape
    image = len(shape) in (3, 4) and shape[0] == 1 and list(sources[0]) == [0]
    if not image:
        flat = np.arange(prod(shape)).reshape(shape)[np.ix_(*sources)]
        if any(min(axis) < 0 for axis in sources):
            raise UnsupportedModelError(f"padding of a tensor of shape {shape}", expected="one image (1, C, …)")
        order = vector_order(flat.size)
        picked = _picked(pipeline, pipeline.take(tensor), tensor, flat.reshape(-1)[order.index], order, name)
        pipeline.offer(output, picked)
        return
    source = pipeline.take(tensor, image_order(shape))
    rows, columns = sources[2], sources[3] if len(shape) == 4 else [0]
    result = pipeline.program.types[output].shape
    order = image_order(result)
    constants = {
        "HEIGHT": shape[2],
        "WIDTH": shape[3] if len(shape) == 4 else 1,
        "OUT_HEIGHT": len(rows),
        "OUT_WIDTH": len(columns),
        "OUT_CHANNELS": len(sources[1]),
        "FILL": fill,
    }
    tables = [
        array(f"{name}_{axis}", values)
        for axis, values in (("rows", rows), ("columns", columns), ("lanes", sources[1]))
    ]
    struct = shape_struct(f"{name}_sources", constants).removesuffix("};")
    struct += f"    static int row(int y) {{ return int({name}_rows[y]); }}\n"
    struct += f"    static int column(int x) {{ return int({name}_columns[x]); }}\n"
    struct += f"    static int channel(int lane) {{ return int({name}_lanes[lane]); }}\n}};"
    sink = pipeline.stream(output, order)
    call = f"edge::box<{name}_sources, {sink.element}>({source.name}, {sink.name})"
    cycles = source.order.words + order.words
    pipeline.add(Stage(name, name.rsplit("_", 1)[0], (output,), (*tables, struct), call, cycles), output, sink)


def _picked(
    pipeline: Pipeline, source: Stream, tensor: str, flat: np.ndarray, order: Order, name: str | None = None
) -> Stream:
    """A stream of the elements of another whose indices in the tensor are `flat`, shape (words, lanes)."""
    places = np.empty(source.order.index.size, np.int64)
    places[source.order.index.reshape(-1)] = np.arange(places.size)
    return pipeline.reorder(source, places[flat].reshape(-1), order, (tensor,), name)
