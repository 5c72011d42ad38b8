"""Transposed convolution by its phases, each a convolution of stride 1 by panels of output channels.

The outputs whose index is r modulo the stride read the same taps at neighbouring inputs (`TransposedWindow.phases`);
a phase computes them like any convolution and writes every stride-th position, so that no product with an inserted
zero is ever formed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import Builder, View, bind
from edgeconv.codegen.isa.base import Dot, Isa
from edgeconv.codegen.kernels.conv import conv_constants, panel_blocks
from edgeconv.codegen.kernels.conv_transpose_phases import (
    SubConvolution,
    all_phases,
    make_phase,
    phase_weights,
    reads_halo,
    stored_bias,
    stored_range,
)
from edgeconv.codegen.kernels.dense_blocking import choose_tile
from edgeconv.codegen.kernels.panels import Bucket, Panel, can_finish, cut_panels, make_buckets
from edgeconv.codegen.kernels.product import (
    Product,
    choose_dot,
    may_split,
    product_fits,
    widened,
)
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.starts import started_bias
from edgeconv.codegen.kernels.tiles import pairs_rows
from edgeconv.codegen.layout import Layout
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import operators as ops

_FEWEST_GROUP_CHANNELS = 4  # below, most lanes of a vector would be empty
_MOST_PHASES = 16  # each has code of its own


def _panels(operator: ops.ConvTranspose, outputs: int, isa: Isa) -> list[Panel]:
    per_group, lanes = outputs // operator.groups, isa.lanes
    together = min(isa.panel_blocks, panel_blocks(per_group, lanes))
    groups = [cut_panels(group * per_group, per_group, lanes, together) for group in range(operator.groups)]
    return [panel for panels in groups for panel in panels]


def _can_handle(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if isa.lanes == 1 or not isinstance(operator, ops.ConvTranspose) or not reads_halo(step, operator):
        return False
    x = step.layout(operator.x)
    phases = all_phases(step, operator)
    w, _ = conv_constants(step)
    if len(phases) > _MOST_PHASES or (operator.groups > 1 and len(w) // operator.groups < _FEWEST_GROUP_CHANNELS):
        return False
    dot, stored = choose_dot(isa, x.storage.element, w), stored_range(step, operator.x)
    if dot is None:
        return False
    for phase in phases:
        part = phase_weights(step, operator, phase)
        if not product_fits(dot, part, stored_bias(step, operator, part), stored):
            return False
    axis_fits = step.requant is None or step.requant.linear.channels == 1 or step.requant.linear.axis == 1
    blocks = [p.first + b * isa.lanes for p in _panels(operator, len(w), isa) for b in range(p.blocks)]
    return axis_fits and can_finish(isa, step, blocks)


@kernel(ops.ConvTranspose, "conv_transpose.panels", can_handle=_can_handle, priority=10, fuses=True, parallel=True)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.ConvTranspose)
    y, x, (w, _) = step.layout(step.output), build.view(operator.x), conv_constants(step)
    dot = choose_dot(build.isa, x.layout.storage.element, w)
    assert dot is not None
    if dot.activation != x.layout.storage.element:
        x = widened(build, x)
    buckets = make_buckets(step, _panels(operator, len(w), build.isa), build.isa.lanes)
    phases = [make_phase(step, operator, phase, x.layout, y) for phase in all_phases(step, operator)]
    stored = stored_range(step, operator.x)
    for number, phase in enumerate(phases):
        bias, started = started_bias(step, dot, phase.rows, phase.bias, stored)
        phase = replace(phase, bias=bias)
        for index, bucket in enumerate(buckets):
            paired = dot.joins and pairs_rows(bucket.panels[0].count, build.isa.lanes, phase.counts[1])
            bucket = replace(bucket, paired=paired)
            label = f".phase{number}.{index}"
            product = Product(build, step, bucket, dot, phase.runs, x, phase.rows, bias, label, started=started)
            _Target(build, step, operator, bucket, product, phase, dot, x).emit(f"conv_transpose.panels{label}")
    most = max(phase.runs.number * phase.runs.groups(dot.group) for phase in phases)
    return f"{dot.name}, {len(phases)} phases of at most {most} groups, panels of {buckets[0].blocks} vectors"


@dataclass(frozen=True)
class _Target:
    """One bucket of panels of one phase."""

    build: Builder
    step: Step
    operator: ops.ConvTranspose
    bucket: Bucket
    product: Product
    phase: SubConvolution
    dot: Dot
    x: View

    def emit(self, part: str) -> None:
        """All outputs of the phase in the channels of the bucket; `part` names them."""
        build, (rows, length) = self.build, self.phase.counts
        stored, groups = stored_range(self.step, self.operator.x), self.phase.runs.groups(self.dot.group)
        counts = groups, groups * self.phase.runs.number
        height, chains = choose_tile(
            *(build, self.step, part, self.dot, self.bucket.blocks, self.bucket.paired, counts, length),
            splits=may_split(self.dot, self.phase.rows, self.phase.bias, stored),
        )
        # The last tile is moved back inside the row: computing a few positions twice is cheaper than a second tile.
        each_row, each_tile = build.sharing([rows, length // height])
        with each_row(rows) as row, each_tile(-(-length // height)) as tile:
            whole = length % height == 0 or isinstance(tile, int)
            start = tile * height if whole else bind(tirx.min(tile * height, length - height))
            with build.loop(len(self.bucket.panels)) as panel:
                self._tile(row, start, height, panel, chains)

    def _tile(self, row: Expr, start: Expr, height: int, panel: Expr, chains: int) -> None:
        x, y, strides = self.x.layout, self.step.layout(self.step.output), self.operator.strides
        x_channel, y_channel = self._channels(panel)
        x_start = self.phase.x_first + row * _row_stride(x) + start * x.stride(-1) + x_channel
        position = strides[-1] * y.stride(-1)
        y_start = bind(self.phase.y_first + row * (strides[0] * _row_stride(y)) + start * position + y_channel)
        windows = [x_start + index * x.stride(-1) for index in range(height)]
        outputs: Callable[[int], Expr] = lambda index: y_start + index * position  # noqa: E731
        count = self.bucket.panels[0].count
        dense = strides[-1] == 1 and count == y.shape[1] and count % self.build.isa.lanes == 0
        self.product.tile(panel, windows, outputs, chains, dense)

    def _channels(self, panel: Expr) -> tuple[Expr, Expr]:
        """First input channel and first output channel of a panel."""
        first = np.array([p.first for p in self.bucket.panels])
        outputs, inputs = self.step.type(self.step.output).shape[1], self.x.layout.shape[1]
        source = first // (outputs // self.operator.groups) * (inputs // self.operator.groups)
        return self._looked_up(panel, source, "x"), self._looked_up(panel, first, "y")

    def _looked_up(self, panel: Expr, values: NDArray[np.int64], label: str) -> Expr:
        steps = np.unique(np.diff(values))
        if len(values) == 1 or len(steps) == 1:
            return int(values[0]) + (panel * int(steps[0]) if len(values) > 1 else 0)
        table = self.build.constant(f"{self.step.output}/channels.{label}", values.astype(np.int32))
        return bind(table.load([panel]))


def _row_stride(layout: Layout) -> int:
    return layout.stride(2) if len(layout.shape) == 4 else 0
