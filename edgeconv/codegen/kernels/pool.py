"""Pooling, one output at a time: any layout, type and window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from edgeconv.codegen.builder import Builder, const
from edgeconv.codegen.kernels.accumulator import ScalarFinish
from edgeconv.codegen.kernels.loops import each_element
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, T, tirx
from edgeconv.ir import operators as ops
from edgeconv.ir.geometry import Window

__all__ = ["border_weights", "pool_element", "taps_inside"]


@kernel(ops.MaxPool, "max_pool.scalar", parallel=True)
def _max_pool(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.MaxPool)
    x, y = build.view(operator.x), build.view(step.output)
    type_ = step.type(operator.x)
    element = "int32" if type_.dtype.bits <= 31 else "int64"
    with each_element(build, y.layout) as indices:
        best = build.local(element, 1)
        best.store(element, 0, const(max(type_.dtype.lo, np.iinfo(element).min), element))
        with taps_inside(build, operator.window, type_.shape[2:], indices[2:]) as position:
            value = x.load([*indices[:2], *position], element)
            best.store(element, 0, tirx.max(best.load(element, 0), value))
        y.store(indices, best.load(element, 0))
    return f"one output at a time in {element}"


@kernel(ops.AvgPool, "avg_pool.scalar", fuses=True, parallel=True)
def _avg_pool(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.AvgPool)
    x = build.view(operator.x)
    type_ = step.type(operator.x)
    element = pool_element(operator)
    weights = border_weights(operator, type_.shape[2:])
    table = build.constant(f"{step.output}/border", weights.astype(element)) if weights.max() > 1 else None
    finish = ScalarFinish(build, step)
    with each_element(build, build.view(step.output).layout) as indices:
        total = build.local(element, 1)
        total.store(element, 0, const(0, element))
        with taps_inside(build, operator.window, type_.shape[2:], indices[2:]) as position:
            value = x.load([*indices[:2], *position], element) - const(operator.x_zero_point, element)
            total.store(element, 0, total.load(element, 0) + value)
        acc = total.load(element, 0)
        finish.store(indices, acc * table.load(indices[2:], element) if table else acc)
    return f"one output at a time in {element}"


def pool_element(operator: ops.AvgPool) -> str:
    """The type that holds the sums: that of the accumulator, which the certificate shows to suffice."""
    return "int32" if operator.dtype.bits == 32 else "int64"


def border_weights(operator: ops.AvgPool, spatial: Sequence[int]) -> np.ndarray:
    """L / count for every output position: int64, spatial shape of the output."""
    shape = tuple(spatial)
    counts = operator.window.counts(shape, operator.counted_pads)
    return np.asarray(operator.window.count_multiple(shape, operator.counted_pads) // counts)


@contextmanager
def taps_inside(build: Builder, window: Window, spatial: Sequence[int], output: Sequence[Expr]) -> Iterator[list[Expr]]:
    """A loop over the taps of one window that lie inside the input; yields their positions."""
    with build.nest(window.kernel) as taps:
        position, conditions = [], []
        for axis, (tap, out) in enumerate(zip(taps, output, strict=True)):
            at = out * window.strides[axis] + tap * window.dilations[axis] - window.begin(axis)
            position.append(at)
            last_start = (window.output_shape(tuple(spatial))[axis] - 1) * window.strides[axis] - window.begin(axis)
            if window.begin(axis):
                conditions.append(at >= 0)
            if last_start + window.reach(axis) > spatial[axis]:
                conditions.append(at < spatial[axis])
        if conditions:
            with T.If(tirx.all(*conditions)), T.Then():
                yield position
        else:
            yield position
