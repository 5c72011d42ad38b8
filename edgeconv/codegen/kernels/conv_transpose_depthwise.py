"""Depthwise transposed convolution by its phases: a vector of channels at a time, tap after tap."""

from __future__ import annotations

import numpy as np

from edgeconv.codegen.builder import Builder, bind, const
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.conv import conv_constants
from edgeconv.codegen.kernels.conv_transpose_phases import (
    SubConvolution,
    all_phases,
    make_phase,
    reads_halo,
    stored_range,
)
from edgeconv.codegen.kernels.panels import Bucket, Finish, can_finish, cut_panels, make_buckets
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr
from edgeconv.ir import operators as ops

__all__: list[str] = []

_BLOCKS = 4  # vectors of channels of one position
_MOST_PRODUCTS = 256  # written out, over all phases


def _can_handle(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if isa.lanes == 1 or not isinstance(operator, ops.ConvTranspose) or not reads_halo(step, operator):
        return False
    x, (w, bias) = step.layout(operator.x), conv_constants(step)
    channels = x.shape[1]
    if not operator.groups == channels == len(w) or x.storage.element not in ("uint8", "int16"):
        return False
    # Every phase has code of its own, and at least one product, of zero where no tap falls on it.
    products = max(w[0].size, len(all_phases(step, operator)))
    if products > _MOST_PRODUCTS:
        return False
    lo, hi = stored_range(step, operator.x)
    reach = max(-lo, hi) + abs(operator.x_zero_point + x.storage.bias)
    if int((np.abs(w).reshape(channels, -1).sum(1) * reach + np.abs(bias)).max()) >= 1 << 31:
        return False
    axis_fits = step.requant is None or step.requant.linear.channels == 1 or step.requant.linear.axis == 1
    return axis_fits and can_finish(isa, step, range(0, channels, isa.lanes))


@kernel(ops.ConvTranspose, "conv_transpose.depthwise", can_handle=_can_handle, priority=20, fuses=True)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.ConvTranspose)
    x, y, lanes = step.layout(operator.x), step.layout(step.output), build.isa.lanes
    buckets = make_buckets(step, cut_panels(0, x.shape[1], lanes, _BLOCKS), lanes)
    phases = [make_phase(step, operator, phase, x, y) for phase in all_phases(step, operator)]
    for number, phase in enumerate(phases):
        for index, bucket in enumerate(buckets):
            _emit_phase(build, step, operator, phase, bucket, f".phase{number}.{index}")
    return f"{len(phases)} phases, {min(_BLOCKS, -(-x.shape[1] // lanes))} × {lanes} channels at a time"


def _emit_phase(
    build: Builder, step: Step, operator: ops.ConvTranspose, phase: SubConvolution, bucket: Bucket, label: str
) -> None:
    lanes, blocks = build.isa.lanes, bucket.blocks
    x, y = build.view(operator.x), build.view(step.output)
    channels = x.layout.shape[1]
    products = phase.rows.reshape(channels, -1).T
    padded = np.zeros((1 + len(products), channels + blocks * lanes), np.int32)
    padded[0, :channels], padded[1:, :channels] = phase.bias, products
    table = build.constant(f"{step.output}/weights{label}", padded)
    firsts = build.constant(f"{step.output}/channels{label}", np.array([p.first for p in bucket.panels], np.int32))
    finish = Finish(build, step, bucket, f"requant{label}")
    # With one channel in all a run holds the taps of a row, else each is a run.
    places = [
        int(np.dot(at, phase.runs.strides)) + member
        for at in np.ndindex(*phase.runs.counts)
        for member in range(phase.runs.length)
    ]
    count = bucket.panels[0].count
    counts = [min(lanes, count - block * lanes) for block in range(blocks)]
    rows, length = phase.counts
    x_row, y_row = (layout.stride(2) if len(layout.shape) == 4 else 0 for layout in (x.layout, y.layout))
    with build.nest([rows, length, len(bucket.panels)]) as (row, position, panel):
        channel = bind(const(0) + firsts.vload(panel, 1))
        source = bind(phase.x_first + row * x_row + position * x.layout.stride(-1) + channel)
        y_step = operator.strides[-1] * y.layout.stride(-1)
        target = bind(phase.y_first + row * (operator.strides[0] * y_row) + position * y_step + channel)
        sums: list[Expr] = []
        for block in range(blocks):
            acc = table.vload(channel + block * lanes, lanes)
            for tap, place in enumerate(places, 1):
                weight = table.vload(tap * padded.shape[1] + channel + block * lanes, lanes)
                value = x.vload(source + (place + block * lanes), lanes).astype(f"int32x{lanes}")
                acc = bind(acc + value * weight)
            sums += finish.values(panel, block, [acc])
        finish.store([target, *[None] * (blocks - 1)], sums, counts)
