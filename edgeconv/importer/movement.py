"""Operators that move values: reshapes, transposes, slices, pads, concatenations."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import prod

import numpy as np

from edgeconv.importer.builder import Builder
from edgeconv.importer.node import OnnxNode
from edgeconv.importer.values import Constant, QuantizedConstant, Tensor, Value
from edgeconv.ir.geometry import BORDERS


def reshape(node: OnnxNode, build: Builder) -> list[Value]:
    """Reshape, Flatten, Squeeze, Unsqueeze and Expand to an equal number of elements."""
    x = node.value(0)
    shape = _target_shape(node, x.shape)
    if prod(shape) != prod(x.shape):
        raise node.error(
            f"shape {shape} for a value of shape {x.shape}",
            expected="as many elements",
            advice="the shape is fixed in the file: export it with -1 where the extent follows from the others",
        )
    if isinstance(x, QuantizedConstant):
        return [_reshape_constant(node, x, shape)]
    if isinstance(x, Constant):
        return [Constant(node.output, x.array.reshape(shape), x.narrow)]
    if shape == x.shape:
        return [x]
    return [build.like(x, build.emit("Reshape", node, (x.name,), shape, shape=shape))]


def _target_shape(node: OnnxNode, shape: tuple[int, ...]) -> tuple[int, ...]:
    if node.op == "Reshape":
        return _reshape_shape(node, shape)
    if node.op == "Flatten":
        axis = node.attribute("axis", 1)
        axis = axis + len(shape) if axis < 0 else axis
        return (prod(shape[:axis]), prod(shape[axis:]))
    if node.op == "Expand":
        target = node.constant_ints(1, "the shape")
        rank = max(len(target), len(shape))
        return (1,) * (rank - len(shape)) + shape if prod(target) <= prod(shape) else target
    axes = node.ints("axes") if node.opset < 13 else None
    if node.opset >= 13 and node.has(1):
        axes = node.constant_ints(1, "the axes")
    if node.op == "Unsqueeze":
        return _unsqueezed(node, shape, axes or ())
    if axes is None:
        return tuple(extent for extent in shape if extent != 1)
    gone = {node.axis(axis, len(shape)) for axis in axes}
    if any(shape[axis] != 1 for axis in gone):
        raise node.error(f"squeezes axes {sorted(gone)} of shape {shape}", expected="axes of extent 1")
    return tuple(extent for axis, extent in enumerate(shape) if axis not in gone)


def _unsqueezed(node: OnnxNode, shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    rank = len(shape) + len(axes)
    new = {node.axis(axis, rank) for axis in axes}
    old = iter(shape)
    return tuple(1 if axis in new else next(old) for axis in range(rank))


def _reshape_shape(node: OnnxNode, shape: tuple[int, ...]) -> tuple[int, ...]:
    target = list(node.constant_ints(1, "the shape"))
    if not node.attribute("allowzero", 0):
        for axis, extent in enumerate(target):
            if extent == 0 and axis < len(shape):
                target[axis] = shape[axis]
    if target.count(-1) == 1:
        rest = prod(extent for extent in target if extent != -1)
        target[target.index(-1)] = prod(shape) // rest if rest else 0
    if any(extent < 1 for extent in target):
        raise node.error(f"shape {tuple(target)} for a value of shape {shape}", expected="positive extents")
    return tuple(target)


def _reshape_constant(node: OnnxNode, x: QuantizedConstant, shape: tuple[int, ...]) -> Value:
    axis = x.scale.axis
    if max(len(x.scale.scale), len(x.scale.zero_point)) > 1:
        # The channel axis survives where the same number of elements lies after it and its extent is kept.
        tail = prod(x.shape[axis + 1 :])
        survivors = [i for i, e in enumerate(shape) if e == x.shape[axis] and prod(shape[i + 1 :]) == tail]
        if not survivors:
            raise node.error(
                f"reshapes per-channel quantized weights from {x.shape} to {shape}",
                expected="a shape that keeps the channel axis",
                advice="quantize these weights per tensor, or after the reshape",
            )
        axis = survivors[0]
    return replace(x.with_integers(x.integers.reshape(shape), axis), name=node.output)


def transpose(node: OnnxNode, build: Builder) -> list[Value]:
    """Transpose; of quantized constants at once."""
    x = node.value(0)
    rank = len(x.shape)
    order = tuple(node.axis(axis, rank) for axis in node.ints("perm") or range(rank - 1, -1, -1))
    if sorted(order) != list(range(rank)):
        raise node.error(f"permutation {order} of shape {x.shape}", expected="every axis once")
    if isinstance(x, QuantizedConstant):
        axis = order.index(x.scale.axis) if max(len(x.scale.scale), len(x.scale.zero_point)) > 1 else x.scale.axis
        return [replace(x.with_integers(np.ascontiguousarray(x.integers.transpose(order)), axis), name=node.output)]
    if isinstance(x, Constant):
        return [Constant(node.output, np.ascontiguousarray(x.array.transpose(order)), x.narrow)]
    if order == tuple(range(rank)):
        return [x]
    shape = tuple(x.shape[axis] for axis in order)
    return [build.like(x, build.emit("Transpose", node, (x.name,), shape, permutation=order))]


def concat(node: OnnxNode, build: Builder) -> list[Value]:
    """Concat of integers of one type, or of real values."""
    values = [node.value(index) for index in range(len(node.inputs))]
    integers = [value for value in values if isinstance(value, Tensor) and value.dtype is not None]
    if integers and len({value.dtype for value in integers}) + len(values) - len(integers) != 1:
        raise node.error(
            "joins integers of different types, or integers and real values",
            expected="values of one type",
            advice="dequantize every input of the Concat",
        )
    names = [v.name for v in integers] or [build.real(node, index) for index in range(len(values))]
    if len(names) == 1:
        return [node.tensor(0)]
    return [emit_concat(node, build, names, node.attribute("axis", 0), integers[0] if integers else None)]


def emit_concat(
    node: OnnxNode, build: Builder, names: list[str], axis: int, like: Tensor | None = None, *, part: str = ""
) -> Tensor:
    """Append a Concat of values that exist; integers of the type of `like`, if given."""
    shapes = [build.shapes[name] for name in names]
    axis = node.axis(axis, len(shapes[0]))
    rest = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    if len(rest) > 1:
        raise node.error(f"joins shapes {shapes} along axis {axis}", expected="equal extents on the other axes")
    shape = (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])
    result = build.emit("Concat", node, names, shape, part=part, axis=axis)
    return result if like is None else build.like(like, result)


def slice_(node: OnnxNode, build: Builder) -> list[Value]:
    """Slice with Python's clamping of starts and ends."""
    x = node.tensor(0)
    rank = len(x.shape)
    starts, ends = node.constant_ints(1, "the starts"), node.constant_ints(2, "the ends")
    axes = node.constant_ints(3, "the axes") if node.has(3) else tuple(range(len(starts)))
    steps = node.constant_ints(4, "the steps") if node.has(4) else (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise node.error(
            f"starts {starts}, ends {ends}, axes {axes}, steps {steps}", expected="equal lengths and steps other than 0"
        )
    boxes = [(0, extent, 1) for extent in x.shape]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = node.axis(axis, rank)
        picked = range(x.shape[axis])[slice(start, _open_end(end, x.shape[axis], step), step)]
        if not picked:
            raise node.error(f"takes nothing from axis {axis} of shape {x.shape}", expected="at least one element")
        boxes[axis] = (picked[0], len(picked), step)
    return [emit_slice(node, build, x, boxes, node.output)]


def _open_end(end: int, extent: int, step: int) -> int | None:
    # ONNX writes "down to the first element" as an end below -extent; Python says None.
    return None if step < 0 and end < -extent else end


def emit_slice(node: OnnxNode, build: Builder, x: Tensor, boxes: list[tuple[int, int, int]], output: str) -> Tensor:
    """Append a Slice by (start, size, step) of every axis, unless it takes everything."""
    starts, sizes, steps = (tuple(column) for column in zip(*boxes, strict=True))
    steps = tuple(step if size > 1 else 1 for step, size in zip(steps, sizes, strict=True))
    if sizes == x.shape and set(steps) == {1}:
        return x
    result = build.emit("Slice", node, (x.name,), sizes, output=output, starts=starts, sizes=sizes, steps=steps)
    return build.like(x, result)


def split(node: OnnxNode, build: Builder) -> list[Value]:
    """Split: one Slice an output."""
    x = node.tensor(0)
    axis = node.axis(node.attribute("axis", 0), len(x.shape))
    extent, parts = x.shape[axis], len(node.outputs)
    sizes = node.ints("split")
    if node.opset >= 13 and node.has(1):
        sizes = node.constant_ints(1, "the sizes")
    if sizes is None:
        each = -(-extent // parts)
        sizes = tuple(min(each, extent - each * i) for i in range(parts))
    if sum(sizes) != extent or min(sizes) < 1 or len(sizes) != parts:
        raise node.error(f"splits an axis of extent {extent} into {sizes}", expected=f"{parts} parts of at least 1")
    results: list[Value] = []
    for index, size in enumerate(sizes):
        boxes = [(0, e, 1) for e in x.shape]
        boxes[axis] = (sum(sizes[:index]), size, 1)
        results.append(emit_slice(node, build, x, boxes, node.outputs[index] or build.fresh(f"{x.name}.part")))
    return results


def gather(node: OnnxNode, build: Builder) -> list[Value]:
    """Gather of constant indices in arithmetic progression: a Slice, and a Reshape where the index is a scalar."""
    x = node.tensor(0)
    axis = node.axis(node.attribute("axis", 0), len(x.shape))
    indices = node.constant(1, "the indices")
    extent = x.shape[axis]
    flat = [int(index) for index in indices.reshape(-1)]
    if indices.ndim > 1 or not flat or not all(-extent <= index < extent for index in flat):
        raise node.error(f"indices {indices.tolist()} into an axis of extent {extent}", expected="a list inside it")
    flat = [index % extent for index in flat]
    step = flat[1] - flat[0] if len(flat) > 1 else 1
    if step == 0 or any(b - a != step for a, b in pairwise(flat)):
        raise node.error(
            f"indices {flat}", expected="equally spaced indices", advice="use slices and Concat instead of a look-up"
        )
    boxes = [(0, e, 1) for e in x.shape]
    boxes[axis] = (flat[0], len(flat), step)
    if indices.ndim == 1:
        return [emit_slice(node, build, x, boxes, node.output)]
    picked = emit_slice(node, build, x, boxes, build.fresh(f"{node.output}.picked"))
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    return [build.like(x, build.emit("Reshape", node, (picked.name,), shape, shape=shape))]


def pad(node: OnnxNode, build: Builder) -> list[Value]:
    """Pad with a constant, or with what is inside; negative pads become a Slice."""
    x = node.tensor(0)
    mode = node.attribute("mode", "constant")
    if mode not in ("constant", *BORDERS):
        raise node.error(f"mode {mode!r}", expected=f"constant, {', '.join(BORDERS)}")
    pads = list(_full_pads(node, len(x.shape)))
    value = float(node.constant(2, "the value").reshape(-1)[0]) if node.has(2) and mode == "constant" else 0.0
    if not np.isfinite(value):
        raise node.error(f"pads with {value}", expected="a finite number")
    rank = len(x.shape)
    if min(pads) < 0:
        boxes = [(max(-pads[i], 0), e - max(-pads[i], 0) - max(-pads[rank + i], 0), 1) for i, e in enumerate(x.shape)]
        if any(size < 1 for _, size, _ in boxes):
            raise node.error(f"pads {tuple(pads)} leave nothing of shape {x.shape}", expected="at least one element")
        pads = [max(amount, 0) for amount in pads]
        output = build.fresh(f"{node.output}.cropped") if any(pads) else node.output
        x = emit_slice(node, build, x, boxes, output)
    if not any(pads):
        return [x]
    shape = tuple(extent + pads[i] + pads[rank + i] for i, extent in enumerate(x.shape))
    fill = value if x.dtype is None else int(value)
    return [build.like(x, build.emit("Pad", node, (x.name,), shape, pads=tuple(pads), value=fill, mode=mode))]


def _full_pads(node: OnnxNode, rank: int) -> tuple[int, ...]:
    pads = node.constant_ints(1, "the pads")
    axes = [node.axis(a, rank) for a in node.constant_ints(3, "the axes")] if node.has(3) else list(range(rank))
    if len(pads) != 2 * len(axes):
        raise node.error(f"{len(pads)} pads for {len(axes)} axes", expected=f"{2 * len(axes)}")
    full = [0] * (2 * rank)
    for position, axis in enumerate(axes):
        full[axis], full[rank + axis] = pads[position], pads[len(axes) + position]
    return tuple(full)
