"""Reductions over axes other than the one whose elements are neighbours in memory: a vector of these at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeconv.codegen.builder import Builder, bind, const
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.elementwise_rows import load_values, store_elements
from edgeconv.codegen.kernels.panels import Bucket, Finish, can_finish, cut_panels, make_buckets
from edgeconv.codegen.kernels.reduce import each_reduced
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.layout import Layout
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import operators as ops

_VECTOR_BYTES = 64
_BLOCKS = 4  # vectors that one loop over the reduced elements sums up together


def _neighbour_axis(step: Step, axes: Sequence[int]) -> int | None:
    """The axis of stride 1 in operand and result, where it is not reduced."""
    layouts = [step.layout(step.operands[0]), step.layout(step.output)]
    if any(layout.order not in ("row_major", "channels_last") for layout in layouts):
        return None
    if any(len(components) > 1 for layout in layouts for components in layout.axes):
        return None
    for axis, extent in enumerate(layouts[0].shape):
        if extent > 1 and axis not in axes and all(layout.stride(axis) == 1 for layout in layouts):
            return axis
    return None


def _outer(layout: Layout, axis: int) -> list[int]:
    """Extents of the loops over the results, all but the neighbours."""
    return [1 if index == axis else extent for index, extent in enumerate(layout.shape)]


def _can_sum(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if not isinstance(operator, ops.ReduceSum) or isa.lanes == 1 or operator.dtype.bits != 32:
        return False
    axis, x = _neighbour_axis(step, operator.axes), step.layout(operator.x)
    if axis is None or x.storage.element not in ("uint8", "int16"):
        return False
    axis_fits = step.requant is None or step.requant.linear.channels == 1 or step.requant.linear.axis == axis
    return axis_fits and can_finish(isa, step, range(0, x.shape[axis], isa.lanes))


@kernel(ops.ReduceSum, "reduce_sum.rows", priority=10, can_handle=_can_sum, fuses=True)
def _sum(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.ReduceSum)
    axis = _neighbour_axis(step, operator.axes)
    assert axis is not None
    lanes, extent = build.isa.lanes, step.layout(operator.x).shape[axis]
    for number, bucket in enumerate(make_buckets(step, cut_panels(0, extent, lanes, _BLOCKS), lanes)):
        _sum_bucket(build, step, operator, axis, bucket, f".{number}")
    return f"{min(_BLOCKS, -(-extent // lanes))} × {lanes} at a time"


def _sum_bucket(build: Builder, step: Step, operator: ops.ReduceSum, axis: int, bucket: Bucket, label: str) -> None:
    x, y, lanes = build.view(operator.x), build.view(step.output), build.isa.lanes
    firsts = np.array([panel.first for panel in bucket.panels], np.int32)
    places = build.constant(f"{step.output}/firsts{label}", firsts)
    finish = Finish(build, step, bucket, f"requant{label}")
    zero = const(operator.x_zero_point, "int32", lanes)
    count = bucket.panels[0].count
    counts = [min(lanes, count - block * lanes) for block in range(bucket.blocks)]
    with build.nest([*_outer(y.layout, axis), len(bucket.panels)]) as (*outer, panel):
        first = bind(places.load([panel]))
        total = build.local("int32", bucket.blocks * lanes)
        for block in range(bucket.blocks):
            total.store("int32", block * lanes, const(0, "int32", lanes), lanes)
        with each_reduced(build, operator.axes, x.layout.shape, outer) as position:
            source = bind(x.layout.offset(position) + first)
            for block in range(bucket.blocks):
                value = load_values(x, source + block * lanes, lanes) - zero
                total.store("int32", block * lanes, total.load("int32", block * lanes, lanes) + value, lanes)
        target = bind(y.layout.offset(outer) + first)
        sums = []
        for block in range(bucket.blocks):
            sums += finish.values(panel, block, [bind(total.load("int32", block * lanes, lanes))])
        finish.store([target, *[None] * (bucket.blocks - 1)], sums, counts)


def _can_choose(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if not isinstance(operator, (ops.ReduceMax, ops.ReduceMin)) or isa.lanes == 1:
        return False
    same = step.layout(operator.x).storage == step.layout(step.output).storage
    return same and _neighbour_axis(step, operator.axes) is not None


def _choose(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, (ops.ReduceMax, ops.ReduceMin))
    x, y, axis = build.view(operator.x), build.view(step.output), _neighbour_axis(step, operator.axes)
    assert axis is not None
    storage, extent = x.layout.storage, x.layout.shape[axis]
    lanes = min(_VECTOR_BYTES // storage.bytes, 4 * build.isa.lanes)
    better = tirx.max if isinstance(operator, ops.ReduceMax) else tirx.min

    def part(outer: list[Expr], first: Expr, count: int) -> None:
        best = build.local(storage.element, lanes)
        # Every position is met, the first one twice.
        best.store(storage.element, 0, x.vload(x.layout.offset(outer) + first, lanes), lanes)
        with each_reduced(build, operator.axes, x.layout.shape, outer) as position:
            value = x.vload(x.layout.offset(position) + first, lanes)
            best.store(storage.element, 0, better(best.load(storage.element, 0, lanes), value), lanes)
        target = bind(y.layout.offset(outer) + first)
        store_elements(y, target, bind(best.load(storage.element, 0, lanes)), lanes, count)

    whole, rest = divmod(extent, lanes)
    with build.nest(_outer(y.layout, axis)) as outer:
        if whole:
            with build.loop(whole) as index:
                part(outer, bind(index * lanes + 0), lanes)
        if rest:
            part(outer, whole * lanes, rest)
    return f"{lanes} at a time"


kernel(ops.ReduceMax, "reduce_max.rows", priority=10, can_handle=_can_choose)(_choose)
kernel(ops.ReduceMin, "reduce_min.rows", priority=10, can_handle=_can_choose)(_choose)
