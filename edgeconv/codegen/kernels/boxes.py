"""Boxes of elements copied between tensors of equal storage, in runs as long as both allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeconv.codegen.builder import Builder, View, bind
from edgeconv.codegen.halo import fill
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.strided_runs import copy_strided
from edgeconv.codegen.layout import Layout, row_major
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr
from edgeconv.ir import operators as ops

__all__ = ["copy_run"]

_VECTOR_BYTES = 64
_UNROLLED_VECTORS = 4


def copy_run(build: Builder, x: View, source: Expr, y: View, target: Expr, count: int) -> None:
    """Copy `count` neighbouring stored elements; nothing else is read or written."""
    lanes = _VECTOR_BYTES // y.layout.storage.bytes
    whole = count // lanes
    source, target = bind(source + 0), bind(target + 0)
    if whole > _UNROLLED_VECTORS:
        with build.loop(whole) as index:
            y.vstore(target + index * lanes, x.vload(source + index * lanes, lanes), lanes)
        done = whole * lanes
    else:
        done = 0
    while done < count:
        size = min(lanes, 1 << ((count - done).bit_length() - 1))
        y.vstore(target + done, x.vload(source + done, size), size)
        done += size


def _copy_box(
    build: Builder, x: View, y: View, sizes: Sequence[int], strides: Sequence[tuple[int, int]], first: tuple[int, int]
) -> None:
    """Copy a box: `strides` gives per axis the element strides in x and y, `first` the offsets of its first element."""
    axes = sorted((pair[1], pair[0], size) for pair, size in zip(strides, sizes, strict=True) if size > 1)
    run = 1
    while axes and axes[0][:2] == (run, run):
        run *= axes.pop(0)[2]
    # Where single elements lie behind each other in y alone, the run has a step.
    stepped = axes.pop(0) if run == 1 and axes and axes[0][0] == 1 else None
    with build.parallel_nest([size for _, _, size in reversed(axes)]) as indices:
        source: Expr = first[0]
        target: Expr = first[1]
        for index, (y_stride, x_stride, _) in zip(indices, reversed(axes), strict=True):
            source, target = source + index * x_stride, target + index * y_stride
        if stepped is None:
            copy_run(build, x, source, y, target, run)
        else:
            copy_strided(build, x, source, y, target, stepped[2], stepped[1])


def _strides(layout: Layout) -> list[int]:
    return [layout.stride(axis) for axis in range(len(layout.axes))]


def _plain(layout: Layout) -> bool:
    return layout.order in ("row_major", "channels_last") and all(len(axis) == 1 for axis in layout.axes)


def _can_copy(isa: Isa, step: Step) -> bool:
    layouts = [step.layout(name) for name in (*step.operands, step.output)]
    same = all(layout.storage == layouts[0].storage and layout.order == layouts[0].order for layout in layouts)
    return isa.lanes > 1 and same and all(_plain(layout) for layout in layouts)


@kernel(ops.Concat, "concat.boxes", priority=10, can_handle=_can_copy, parallel=True)
def _concat(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Concat)
    y, at = build.view(step.output), 0
    for name in operator.inputs:
        x, shape = build.view(name), step.type(name).shape
        first = x.layout.base, y.layout.base + at * _strides(y.layout)[operator.axis]
        _copy_box(build, x, y, shape, list(zip(_strides(x.layout), _strides(y.layout), strict=True)), first)
        at += shape[operator.axis]
    return "contiguous runs"


@kernel(ops.Slice, "slice.boxes", priority=10, can_handle=_can_copy, parallel=True)
def _slice(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Slice)
    x, y = build.view(operator.x), build.view(step.output)
    x_strides = _strides(x.layout)
    start = x.layout.base + sum(a * b for a, b in zip(operator.starts, x_strides, strict=True))
    stepped = [stride * by for stride, by in zip(x_strides, operator.steps, strict=True)]
    pairs = list(zip(stepped, _strides(y.layout), strict=True))
    _copy_box(build, x, y, operator.sizes, pairs, (start, y.layout.base))
    return "contiguous runs"


def _can_move(isa: Isa, step: Step) -> bool:
    x, y = step.layout(step.operands[0]), step.layout(step.output)
    return isa.lanes > 1 and x.storage == y.storage and _plain(y)


@kernel(ops.Transpose, "transpose.boxes", priority=10, can_handle=_can_move, parallel=True)
def _transpose(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Transpose)
    x, y = build.view(operator.x), build.view(step.output)
    return _copy_components(build, x, x.layout.permuted(operator.permutation), y)


def _can_reshape(isa: Isa, step: Step) -> bool:
    return _can_move(isa, step) and step.layout(step.output).order == "row_major"


@kernel(ops.Reshape, "reshape.boxes", priority=10, can_handle=_can_reshape, parallel=True)
def _reshape(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Reshape)
    x, y = build.view(operator.x), build.view(step.output)
    # Row-major order of x is row-major order of y: y may be seen in the shape of x.
    seen = row_major(x.layout.shape, y.layout.storage)
    return _copy_components(build, x, x.layout, View(y.memory, seen, y.origin + y.layout.base))


def _copy_components(build: Builder, x: View, order: Layout, y: View) -> str:
    """Copy the elements of x, seen in the shape of y as `order`, component by component of their axes."""
    sizes, pairs = [], []
    for mine, (theirs,) in zip(order.axes, y.layout.axes, strict=True):
        below = theirs[0]
        for extent, stride in mine:
            below //= extent
            sizes.append(extent)
            pairs.append((stride, theirs[1] * below))
    _copy_box(build, x, y, sizes, pairs, (order.base, y.layout.base))
    return "contiguous runs"


@kernel(ops.Pad, "pad.boxes", priority=10, can_handle=_can_copy, parallel=True)
def _pad(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Pad)
    x, y = build.view(operator.x), build.view(step.output)
    if not operator.fills:
        return _pad_from_inside(build, step, operator, x, y)
    with build.parallel(1):
        fill(build, y, 0, y.layout.size, operator.value + y.layout.storage.bias)
    build.barrier()
    y_strides = _strides(y.layout)
    start = y.layout.base + sum(a * b for a, b in zip(operator.pads, y_strides, strict=False))
    pairs = list(zip(_strides(x.layout), y_strides, strict=True))
    _copy_box(build, x, y, step.type(operator.x).shape, pairs, (x.layout.base, start))
    return "filled, then contiguous runs"


@dataclass(frozen=True)
class _Axis:
    """One axis of a tensor that is padded from inside: strides in y and x, extent of x, sources where it is padded."""

    y_stride: int
    x_stride: int
    extent: int
    sources: tuple[int, ...] | None
    begin: int

    @property
    def size(self) -> int:
        """Extent in y."""
        return self.extent if self.sources is None else len(self.sources)


def _pad_from_inside(build: Builder, step: Step, operator: ops.Pad, x: View, y: View) -> str:
    """Row by row: outer positions by tables, then the interior of the innermost padded axis as one run, its border."""
    shape, rank = step.type(operator.x).shape, len(operator.pads) // 2
    axes = []
    for number, (y_stride, x_stride) in enumerate(zip(_strides(y.layout), _strides(x.layout), strict=True)):
        padded = operator.pads[number] or operator.pads[rank + number]
        sources = operator.sources(number, shape[number]) if padded else None
        axes.append(_Axis(y_stride, x_stride, shape[number], sources, operator.pads[number]))
    axes = sorted((axis for axis in axes if axis.size > 1), key=lambda axis: axis.y_stride)
    run = 1
    while axes and axes[0].sources is None and (axes[0].y_stride, axes[0].x_stride) == (run, run):
        run *= axes.pop(0).extent
    inner = axes.pop(0) if axes and (axes[0].y_stride, axes[0].x_stride) == (run, run) else None
    tables = [_table(build, step, axis, number) for number, axis in enumerate(axes)]
    with build.parallel_nest([axis.size for axis in reversed(axes)]) as indices:
        source: Expr = x.layout.base
        target: Expr = y.layout.base
        for index, outer, table in zip(indices, reversed(axes), reversed(tables), strict=True):
            source = source + (index * outer.x_stride if table is None else bind(table.load([index])))
            target = target + index * outer.y_stride
        if inner is None or inner.sources is None:
            copy_run(build, x, source, y, target, run)
        else:
            source, target = bind(source + 0), bind(target + 0)
            copy_run(build, x, source, y, target + inner.begin * run, inner.extent * run)
            border = [*range(inner.begin), *range(inner.begin + inner.extent, inner.size)]
            for position in border:
                copy_run(build, x, source + inner.sources[position] * run, y, target + position * run, run)
    return "contiguous runs, then their borders"


def _table(build: Builder, step: Step, axis: _Axis, number: int) -> View | None:
    if axis.sources is None:
        return None
    offsets = np.array(axis.sources, np.int32) * axis.x_stride
    return build.constant(f"{step.output}/sources{number}", offsets.astype(np.int32))
