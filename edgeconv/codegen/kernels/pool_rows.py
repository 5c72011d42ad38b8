"""Pooling of channels-last tensors, a vector of channels at a time."""

from __future__ import annotations

import numpy as np

from edgeconv.codegen.builder import Builder, bind, const
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.elementwise_rows import store_elements
from edgeconv.codegen.kernels.panels import Bucket, Finish, can_finish, cut_panels, make_buckets
from edgeconv.codegen.kernels.pool import border_weights, taps_inside
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import operators as ops

_VECTOR_BYTES = 64
_SHORTEST_BYTES = 16
_MOST_UNROLLED_TAPS = 49
_BLOCKS = 4  # vectors of channels that one loop over the taps sums up together


def _can_max(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if not isinstance(operator, ops.MaxPool) or isa.lanes == 1:
        return False
    x, y = step.layout(operator.x), step.layout(step.output)
    rank = operator.window.rank
    # A tap in the padding is moved to the border. Without dilation the border is inside every window that leaves it.
    movable = all(operator.dilations[i] == 1 or not (operator.pads[i] or operator.pads[rank + i]) for i in range(rank))
    unrolled = int(np.prod(operator.kernel)) <= _MOST_UNROLLED_TAPS
    return movable and unrolled and x.order == y.order == "channels_last" and x.storage == y.storage


@kernel(ops.MaxPool, "max_pool.rows", priority=10, can_handle=_can_max, parallel=True)
def _max_pool(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.MaxPool)
    x, y = build.view(operator.x), build.view(step.output)
    samples, channels, *spatial = y.layout.shape
    lanes = min(_VECTOR_BYTES // y.layout.storage.bytes, 4 * build.isa.lanes)
    with build.parallel_nest([samples, *spatial]) as (sample, *position):
        start = x.layout.offset([sample, *(0,) * (len(spatial) + 1)])
        taps = [bind(start + 0)]
        for axis, at in enumerate(position):
            taps = [tap + along for tap in taps for along in _tap_offsets(step, operator, axis, at)]
        taps = [bind(tap) for tap in taps]
        target = bind(y.layout.offset([sample, 0, *position]))
        for first in range(0, channels, lanes):
            count = min(lanes, channels - first)
            width = _width(count, lanes, y.layout.storage.bytes)
            best = x.vload(taps[0] + first, width)
            for tap in taps[1:]:
                best = bind(tirx.max(best, x.vload(tap + first, width)))
            store_elements(y, target + first, bind(best), width, count)
    return f"{_width(channels, lanes, y.layout.storage.bytes)} channels at a time"


def _width(count: int, lanes: int, element_bytes: int) -> int:
    """Elements of a vector that holds `count`: half of `lanes` and less, as long as registers are that short.

    Few elements of long vectors are also what LLVM 22 selects instructions for without end, where a dot product of
    AVX-512 reads them next.
    """
    width = lanes
    while width // 2 >= max(count, _SHORTEST_BYTES // element_bytes):
        width //= 2
    return width


def _tap_offsets(step: Step, operator: ops.MaxPool, axis: int, at: Expr) -> list[Expr]:
    """Element offsets of the taps of one axis, those outside moved to the border."""
    window, layout = operator.window, step.layout(operator.x)
    extent, stride = layout.shape[2 + axis], layout.stride(2 + axis)
    last_start = (_outputs(step, axis) - 1) * window.strides[axis] - window.begin(axis)
    offsets = []
    for tap in range(window.kernel[axis]):
        place = at * window.strides[axis] + (tap * window.dilations[axis] - window.begin(axis))
        if tap * window.dilations[axis] < window.begin(axis):
            place = tirx.max(const(0), place)
        if last_start + tap * window.dilations[axis] >= extent:
            place = tirx.min(const(extent - 1), place)
        offsets.append(bind(place * stride + 0 * at))
    return offsets


def _outputs(step: Step, axis: int) -> int:
    """Output positions along a spatial axis."""
    return step.layout(step.output).shape[2 + axis]


def _can_average(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if not isinstance(operator, ops.AvgPool) or isa.lanes == 1 or operator.dtype.bits != 32:
        return False
    x, y = step.layout(operator.x), step.layout(step.output)
    if x.order != "channels_last" or y.order != "channels_last" or x.storage.element not in ("uint8", "int16"):
        return False
    axis_fits = step.requant is None or step.requant.linear.channels == 1 or step.requant.linear.axis == 1
    return axis_fits and can_finish(isa, step, range(0, x.shape[1], isa.lanes))


@kernel(ops.AvgPool, "avg_pool.rows", priority=10, can_handle=_can_average, fuses=True, parallel=True)
def _avg_pool(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.AvgPool)
    lanes, channels = build.isa.lanes, step.layout(operator.x).shape[1]
    for number, bucket in enumerate(make_buckets(step, cut_panels(0, channels, lanes, _BLOCKS), lanes)):
        _average(build, step, operator, bucket, f".{number}")
    return f"{min(_BLOCKS, -(-channels // lanes))} × {lanes} channels at a time"


def _average(build: Builder, step: Step, operator: ops.AvgPool, bucket: Bucket, label: str) -> None:
    lanes, x, y = build.isa.lanes, build.view(operator.x), build.view(step.output)
    samples, _, *spatial = y.layout.shape
    weights = border_weights(operator, x.layout.shape[2:])
    table = build.constant(f"{step.output}/border", weights.astype(np.int32)) if weights.max() > 1 else None
    firsts = build.constant(f"{step.output}/channels{label}", np.array([p.first for p in bucket.panels], np.int32))
    finish = Finish(build, step, bucket, f"requant{label}")
    shift = const(operator.x_zero_point + x.layout.storage.bias, "int32", lanes)
    count = bucket.panels[0].count
    counts = [min(lanes, count - block * lanes) for block in range(bucket.blocks)]
    with build.parallel_nest([samples, *spatial, len(bucket.panels)]) as (sample, *position, panel):
        channel = bind(firsts.load([panel]))
        total = build.local("int32", bucket.blocks * lanes)
        for block in range(bucket.blocks):
            total.store("int32", block * lanes, const(0, "int32", lanes), lanes)
        with taps_inside(build, operator.window, x.layout.shape[2:], position) as at:
            source = bind(x.layout.offset([sample, 0, *at]) + channel)
            for block in range(bucket.blocks):
                value = x.vload(source + block * lanes, lanes).astype(f"int32x{lanes}") - shift
                total.store("int32", block * lanes, total.load("int32", block * lanes, lanes) + value, lanes)
        target = bind(y.layout.offset([sample, 0, *position]) + channel)
        sums = []
        weight = tirx.Broadcast(bind(table.load(position)), lanes) if table else None
        for block in range(bucket.blocks):
            acc = total.load("int32", block * lanes, lanes)
            sums += finish.values(panel, block, [bind(acc * weight if weight is not None else acc)])
        finish.store([target, *[None] * (bucket.blocks - 1)], sums, counts)
