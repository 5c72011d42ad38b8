"""Reductions over axes, one output at a time: any layout, type and axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from edgeconv.codegen.builder import Builder, bind, const
from edgeconv.codegen.kernels.accumulator import ScalarFinish
from edgeconv.codegen.kernels.loops import each_element
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, T, tirx
from edgeconv.ir import DType
from edgeconv.ir import operators as ops

__all__ = ["each_reduced"]


@contextmanager
def each_reduced(
    build: Builder, axes: Sequence[int], shape: Sequence[int], outer: Sequence[Expr]
) -> Iterator[list[Expr]]:
    """A loop over the positions of one reduction: `outer` with its indices along `axes` running over `shape`."""
    with build.nest([shape[axis] for axis in axes]) as inner:
        position = list(outer)
        for axis, index in zip(axes, inner, strict=True):
            position[axis] = index
        yield position


@kernel(ops.ReduceSum, "reduce_sum.scalar", fuses=True, parallel=True)
def _sum(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.ReduceSum)
    x, shape = build.view(operator.x), step.type(operator.x).shape
    element = "int32" if operator.dtype.bits == 32 else "int64"
    finish = ScalarFinish(build, step)
    with each_element(build, build.view(step.output).layout) as indices:
        total = build.local(element, 1)
        total.store(element, 0, const(0, element))
        with each_reduced(build, operator.axes, shape, indices) as position:
            value = x.load(position, element) - const(operator.x_zero_point, element)
            total.store(element, 0, total.load(element, 0) + value)
        finish.store(indices, total.load(element, 0))
    return f"one output at a time in {element}"


def _extreme(build: Builder, step: Step, name: str, axes: Sequence[int], *, largest: bool) -> str:
    x, y = build.view(name), build.view(step.output)
    type_ = step.type(name)
    element, worst = _worst(type_.dtype, largest=largest)
    better = tirx.max if largest else tirx.min
    with each_element(build, y.layout) as indices:
        best = build.local(element, 1)
        best.store(element, 0, const(worst, element))
        with each_reduced(build, axes, type_.shape, indices) as position:
            best.store(element, 0, better(best.load(element, 0), x.load(position, element)))
        y.store(indices, best.load(element, 0))
    return f"one output at a time in {element}"


def _worst(dtype: DType, *, largest: bool) -> tuple[str, int]:
    """The element type that holds every value, and the value that any other replaces."""
    element = "int32" if dtype.bits <= (32 if dtype.signed else 31) else "int64"
    limits = np.iinfo(element)
    return element, int(limits.min if largest else limits.max)


@kernel(ops.ReduceMax, "reduce_max.scalar", parallel=True)
def _max(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.ReduceMax)
    return _extreme(build, step, operator.x, operator.axes, largest=True)


@kernel(ops.ReduceMin, "reduce_min.scalar", parallel=True)
def _min(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.ReduceMin)
    return _extreme(build, step, operator.x, operator.axes, largest=False)


@kernel(ops.ArgMax, "argmax.scalar", parallel=True)
def _argmax(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.ArgMax)
    x, y = build.view(operator.x), build.view(step.output)
    type_ = step.type(operator.x)
    element, worst = _worst(type_.dtype, largest=operator.largest)
    with each_element(build, y.layout) as indices:
        best, index = build.local(element, 1), build.local("int64", 1)
        best.store(element, 0, const(worst, element))
        index.store("int64", 0, const(0, "int64"))
        with each_reduced(build, (operator.axis,), type_.shape, indices) as position:
            value, held = bind(x.load(position, element)), bind(best.load(element, 0))
            better = value > held if operator.largest else value < held
            # The worst value of the type is no better than the start: index 0 is then right for the first of equals.
            with T.If(tirx.any(better, tirx.EQ(value, held)) if operator.last else better), T.Then():
                best.store(element, 0, value)
                index.store("int64", 0, tirx.Cast("int64", position[operator.axis]))
        y.store(indices, index.load("int64", 0))
    return f"one output at a time in {element}"
