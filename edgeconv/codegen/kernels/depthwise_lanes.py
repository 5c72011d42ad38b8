"""Depthwise convolution by products of words, for instruction sets that multiply and accumulate them lane by lane.

A tile is a few output positions along the last axis × up to four vectors of channels. The inputs under a row of taps
are loaded once and serve every position whose window covers them; the taps of a channel are words in memory, so nothing
is interleaved and nothing but the inputs is widened.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import Builder, Memory, View, bind
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.isa.vectors import shuffle
from edgeconv.codegen.kernels.conv_panels import stored_bias, stored_range
from edgeconv.codegen.kernels.panels import Bucket, Finish, can_finish, cut_panels, make_buckets
from edgeconv.codegen.kernels.product import stays_inside
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.starts import started_bias
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import operators as ops

_BLOCKS = 4  # vectors of channels of a tile
_MOST_TAPS = 16  # along the last axis: they are written out


def _can_handle(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if not isa.multiplies_words or not isinstance(operator, ops.Conv) or str(operator.dtype) != "i32":
        return False
    x, y = step.layout(operator.x), step.layout(step.output)
    channels = step.type(operator.x).shape[1]
    if operator.groups != channels or step.type(step.output).shape[1] != channels:
        return False
    if x.order != "channels_last" or y.order != "channels_last" or x.shape[0] != 1:
        return False
    if x.storage.element not in ("uint8", "int16"):
        return False
    if any(operator.pads) and (x.halo is None or not x.halo.covers(operator.pads, operator.x_zero_point)):
        return False
    w, bias = stored_bias(step, operator)
    words = w.min(initial=0) >= -(1 << 15) and w.max(initial=0) < 1 << 15
    if not words or w.shape[-1] > _MOST_TAPS or not stays_inside(w, bias, stored_range(step, operator.x)):
        return False
    axis_fits = step.requant is None or step.requant.linear.channels == 1 or step.requant.linear.axis == 1
    return axis_fits and can_finish(isa, step, range(0, channels, isa.lanes))


@kernel(ops.Conv, "conv.depthwise_lanes", can_handle=_can_handle, priority=15, fuses=True)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Conv)
    w, bias = stored_bias(step, operator)
    lanes = build.isa.lanes
    buckets = make_buckets(step, cut_panels(0, len(w), lanes, _BLOCKS), lanes)
    targets = [_Target(build, step, operator, bucket, w, bias, f".{number}") for number, bucket in enumerate(buckets)]
    rows, length = targets[0].outputs
    with build.loop(rows) as row:
        for target in targets:
            with build.loop(len(target.bucket.panels)) as panel, build.loop(-(-length // target.positions)) as index:
                start = index * target.positions
                if length % target.positions and not isinstance(index, int):
                    # The last tile is moved back inside the row and computes a few positions twice.
                    start = bind(tirx.min(start, length - target.positions))
                target.tile(panel, row, start)
    tile = ", ".join(sorted({f"{target.positions}×{target.bucket.blocks}" for target in targets}))
    return f"products of words, tile {tile}"


@dataclass(frozen=True)
class _Strides:
    """Elements between neighbours: taps and windows along rows and columns of x, and outputs of y."""

    tap_row: int
    tap: int
    window_row: int
    window: int
    y_row: int
    y: int


class _Target:
    """Emits the tiles of one bucket.

    Attributes:
        outputs: rows, and positions along one.
        positions: output positions of a tile.
    """

    def __init__(
        self,
        build: Builder,
        step: Step,
        operator: ops.Conv,
        bucket: Bucket,
        w: NDArray[np.int64],
        bias: NDArray[np.int64],
        label: str,
    ) -> None:
        self.bucket = bucket
        self._build, self._lanes = build, build.isa.lanes
        self._x, self._y = build.view(operator.x), build.view(step.output)
        x, y = self._x.layout, self._y.layout
        window = operator.window(step.type(operator.w))
        self._taps = window.kernel if window.rank == 2 else (1, *window.kernel)
        self._steps = window.strides[-1], window.dilations[-1]
        self.outputs = (y.shape[2], y.shape[3]) if window.rank == 2 else (1, y.shape[2])
        most = min(build.isa.accumulators // bucket.blocks, self.outputs[1])
        candidates = [(count,) for count in range(most, 0, -1)]
        (self.positions,) = build.choose(step, f"conv.depthwise_lanes{label}", ("positions",), candidates)
        x_strides = [x.stride(2 + axis) for axis in range(window.rank)]
        along = x_strides[-1]
        if window.rank == 2:
            row, stride, dilation = x_strides[0], window.strides[0], window.dilations[0]
            self._strides = _Strides(row * dilation, along, row * stride, along, y.stride(2), y.stride(3))
        else:
            self._strides = _Strides(0, along, 0, along, 0, y.stride(2))
        self._first = x.base - sum(window.begin(axis) * x_strides[axis] for axis in range(window.rank))
        size = bucket.blocks * self._lanes
        starts, started = started_bias(step, None, w, bias, stored_range(step, operator.x))
        taps = w.reshape(len(w), -1)
        packed = np.zeros((len(bucket.panels), taps.shape[1], size), np.int16)
        begin = np.zeros((len(bucket.panels), size), np.int64)
        for index, panel in enumerate(bucket.panels):
            packed[index, :, : panel.count] = taps[panel.first : panel.first + panel.count].T
            begin[index, : panel.count] = starts[panel.first : panel.first + panel.count]
        self._weights = build.constant(f"{step.output}/weights{label}", packed)
        self._bias = build.constant(f"{step.output}/bias{label}", begin.astype(np.int32))
        self._finish = Finish(build, step, bucket, f"requant{label}", started=started)
        firsts = np.array([panel.first for panel in bucket.panels], np.int32)
        self._channels = build.constant(f"{step.output}/channels{label}", firsts)

    def tile(self, panel: Expr, row: Expr, start: Expr) -> None:
        """Output positions start … of a row, channels of one panel."""
        blocks, lanes, positions = self.bucket.blocks, self._lanes, self.positions
        stride, _ = self._steps
        channel = bind(self._channels.load([panel]))
        source = bind(self._first + row * self._strides.window_row + start * (stride * self._strides.window) + channel)
        acc = self._build.local("int32", positions * blocks * lanes)
        for block in range(blocks):
            begin = bind(self._bias.vload((panel * blocks + block) * lanes, lanes))
            for position in range(positions):
                acc.store("int32", (position * blocks + block) * lanes, begin, lanes)
        with self._build.loop(self._taps[0], opaque=True) as tap_row:
            self._row_of_taps(acc, panel, source + tap_row * self._strides.tap_row, tap_row)
        values = [
            [acc.load("int32", (p * blocks + block) * lanes, lanes) for p in range(positions)]
            for block in range(blocks)
        ]
        finished = [self._finish.values(panel, block, values[block]) for block in range(blocks)]
        count = self.bucket.panels[0].count
        target = bind(self._y.layout.base + row * self._strides.y_row + start * self._strides.y + channel)
        offsets: list[Expr] = []
        for position in range(positions):
            offsets += [target + position * self._strides.y, *[None] * (blocks - 1)]
        counts = [min(lanes, count - block * lanes) for block in range(blocks)]
        vectors = [finished[block][position] for position in range(positions) for block in range(blocks)]
        self._finish.store(offsets, vectors, counts * positions)

    def _row_of_taps(self, acc: Memory, panel: Expr, source: Expr, tap_row: Expr) -> None:
        """Products of one row of taps with the inputs under it, each input loaded once."""
        (rows, taps), (stride, dilation) = self._taps, self._steps
        blocks, lanes = self.bucket.blocks, self._lanes
        size = blocks * lanes
        first = (panel * rows + tap_row) * taps
        weights = [self._words(self._weights, (first + tap) * size) for tap in range(taps)]
        pairs: dict[int, list[tuple[int, int]]] = {}
        for position in range(self.positions):
            for tap in range(taps):
                pairs.setdefault(position * stride + tap * dilation, []).append((position, tap))
        for column, users in sorted(pairs.items()):
            inputs = self._words(self._x, source + column * self._strides.tap)
            for position, tap in users:
                for block in range(blocks):
                    slot = (position * blocks + block) * lanes
                    product = self._build.isa.multiply_words(inputs[block], weights[tap][block])
                    acc.store("int32", slot, acc.load("int32", slot, lanes) + product, lanes)

    def _words(self, view: View, offset: Expr) -> list[Expr]:
        """A vector of stored elements for each block, as words."""
        size = self.bucket.blocks * self._lanes
        stored = view.vload(offset, size)
        words = bind(stored if view.layout.storage.element == "int16" else stored.astype(f"int16x{size}"))
        if self.bucket.blocks == 1:
            return [words]
        lanes = self._lanes
        return [
            bind(shuffle([words], range(block * lanes, (block + 1) * lanes))) for block in range(self.bucket.blocks)
        ]
