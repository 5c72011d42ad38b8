"""Movement of values, element by element: concat, slice, pad, reshape, transpose, resize, cast; any layout and type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from edgeconv.codegen.builder import Builder
from edgeconv.codegen.kernels.loops import each_element, exact_element
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, T, tirx
from edgeconv.ir import operators as ops

_DETAIL = "element by element"


def _gather(build: Builder, step: Step, source: str, position: Callable[[Sequence[Expr]], list[Expr]]) -> str:
    """Every element of the output is the element of `source` at `position(indices of the output)`."""
    x, y = build.view(source), build.view(step.output)
    with each_element(build, y.layout) as indices:
        y.store(indices, x.load(position(indices), exact_element(x)))
    return _DETAIL


@kernel(ops.Cast, "cast.scalar", parallel=True)
def _cast(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Cast)
    return _gather(build, step, operator.x, list)


@kernel(ops.Slice, "slice.scalar", parallel=True)
def _slice(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Slice)

    def position(indices: Sequence[Expr]) -> list[Expr]:
        return [
            start + index * stride
            for index, start, stride in zip(indices, operator.starts, operator.steps, strict=True)
        ]

    return _gather(build, step, operator.x, position)


@kernel(ops.Transpose, "transpose.scalar", parallel=True)
def _transpose(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Transpose)

    def position(indices: Sequence[Expr]) -> list[Expr]:
        return [indices[operator.permutation.index(axis)] for axis in range(len(indices))]

    return _gather(build, step, operator.x, position)


@kernel(ops.Reshape, "reshape.scalar", parallel=True)
def _reshape(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Reshape)
    shape, source = operator.shape, step.type(operator.x).shape

    def position(indices: Sequence[Expr]) -> list[Expr]:
        flat: Expr = 0
        for index, extent in zip(indices, shape, strict=True):
            flat = flat * extent + index
        result: list[Expr] = []
        for axis, extent in enumerate(source):
            below = prod(source[axis + 1 :])
            result.append(0 if extent == 1 else (flat // below) % extent)
        return result

    return _gather(build, step, operator.x, position)


@kernel(ops.Resize, "resize.scalar", parallel=True, by_rows=True)
def _resize(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Resize)
    tables = [
        build.constant(f"{step.output}/indices{axis}", np.array(indices, np.int32))
        for axis, indices in enumerate(operator.indices)
    ]

    def position(indices: Sequence[Expr]) -> list[Expr]:
        sample, channel, *spatial = indices
        return [sample, channel, *(table.load([index]) for table, index in zip(tables, spatial, strict=True))]

    return _gather(build, step, operator.x, position)


@kernel(ops.Concat, "concat.scalar", parallel=True)
def _concat(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Concat)
    y, start = build.view(step.output), 0
    for name in operator.inputs:
        x = build.view(name)
        with each_element(build, x.layout) as indices:
            target = [index + start if axis == operator.axis else index for axis, index in enumerate(indices)]
            y.store(target, x.load(indices, exact_element(x)))
        start += step.type(name).shape[operator.axis]
    return _DETAIL


@kernel(ops.Pad, "pad.scalar", parallel=True)
def _pad(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Pad)
    if not operator.fills:
        return _pad_from_inside(build, step, operator)
    x, y = build.view(operator.x), build.view(step.output)
    source = step.type(operator.x).shape
    with each_element(build, y.layout) as indices:
        own = [index - begin for index, begin in zip(indices, operator.pads, strict=False)]
        inside = _inside(own, source, operator.pads)
        if inside is None:
            y.store(indices, x.load(own, exact_element(x)))
        else:
            with T.If(inside):
                with T.Then():
                    y.store(indices, x.load(own, exact_element(x)))
                with T.Else():
                    y.store(indices, tirx.const(operator.value, "int64"))
    return _DETAIL


def _pad_from_inside(build: Builder, step: Step, operator: ops.Pad) -> str:
    tables = {
        axis: build.constant(f"{step.output}/sources{axis}", np.array(operator.sources(axis, extent), np.int32))
        for axis, extent in enumerate(step.type(operator.x).shape)
        if operator.pads[axis] or operator.pads[len(operator.pads) // 2 + axis]
    }

    def position(indices: Sequence[Expr]) -> list[Expr]:
        return [tables[axis].load([index]) if axis in tables else index for axis, index in enumerate(indices)]

    return _gather(build, step, operator.x, position)


def _inside(own: Sequence[Expr], shape: Sequence[int], pads: Sequence[int]) -> Expr | None:
    conditions = []
    for axis, (index, extent) in enumerate(zip(own, shape, strict=True)):
        if pads[axis]:
            conditions.append(index >= 0)
        if pads[len(shape) + axis]:
            conditions.append(index < extent)
    return tirx.all(*conditions) if conditions else None
