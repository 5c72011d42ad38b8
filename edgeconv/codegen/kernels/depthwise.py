"""Depthwise convolution: one vector of channels at a time, the taps of one channel as the group of a dot product.

Along one axis (rows; for one-dimensional windows positions) neighbouring inputs of a channel are interleaved into the
groups that a dot product takes. Such a group serves several outputs along that axis, each with its own weights, zero
where a tap lies outside of its window; along the other axis (`sweep`) a group serves every window that covers it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.blob import wrapped
from edgeconv.codegen.builder import Builder, bind, const, reinterpret
from edgeconv.codegen.choices import Blocking
from edgeconv.codegen.isa.base import Dot, Isa
from edgeconv.codegen.kernels.conv_panels import stored_bias, stored_range
from edgeconv.codegen.kernels.loops import moved_back
from edgeconv.codegen.kernels.panels import Bucket, Finish, Panel, can_finish, cut_panels, make_buckets
from edgeconv.codegen.kernels.product import choose_dot, product_fits
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.starts import started_bias
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import operators as ops

_ACCUMULATORS = 8  # enough to hide the latency of a dot product
_HELD_GROUPS = 16  # interleaved inputs kept in registers by one tile
_INTERLEAVE_COST = 5  # of one group, in dot products: measured on a VNNI core
_LONGEST_TILE = 8


@dataclass(frozen=True)
class _Axis:
    """A spatial axis: taps, stride of the window, output positions, and element strides of x and y along it."""

    kernel: int
    stride: int
    outputs: int
    x_step: int
    y_step: int

    def inputs(self, outputs: int) -> int:
        """Input positions that `outputs` neighbouring windows cover."""
        return (outputs - 1) * self.stride + self.kernel


_NO_AXIS = _Axis(1, 1, 1, 0, 0)


@dataclass(frozen=True)
class _Tile:
    """Outputs of a tile along the grouped axis and along the sweep, and groups along the grouped axis."""

    along: int
    across: int
    groups: int


def _axes(step: Step, operator: ops.Conv) -> tuple[_Axis, _Axis]:
    """The grouped axis and the sweep axis."""
    window = operator.window(step.type(operator.w))
    x, y = step.layout(operator.x), step.layout(step.output)
    axes = [
        _Axis(window.kernel[i], window.strides[i], y.shape[2 + i], x.stride(2 + i), y.stride(2 + i))
        for i in range(window.rank)
    ]
    if len(axes) == 1:
        return axes[0], _NO_AXIS
    rows, columns = axes
    return (columns, rows) if rows.kernel == 1 else (rows, columns)


def _uses(axis: _Axis, output: int, group: int, size: int) -> bool:
    """Whether a tap of output `output` of a tile lies in group `group`."""
    first = output * axis.stride
    return first < (group + 1) * size and first + axis.kernel > group * size


def _rank_tiles(grouped: _Axis, sweep: _Axis, size: int) -> list[_Tile]:
    """Tiles, the cheapest first."""
    costs: dict[_Tile, float] = {}
    for along in range(1, min(_LONGEST_TILE, grouped.outputs) + 1):
        groups = -(-grouped.inputs(along) // size)
        across = min(max(1, _ACCUMULATORS // along), sweep.outputs)
        while across > 1 and sweep.inputs(across) * groups > _HELD_GROUPS:
            across -= 1
        dots = sum(_uses(grouped, output, group, size) for output in range(along) for group in range(groups))
        cost = (dots * sweep.kernel + groups * _INTERLEAVE_COST * sweep.inputs(across) / across) / along
        costs[_Tile(along, across, groups)] = cost
    return sorted(costs, key=costs.__getitem__)


def _can_handle(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if isa.lanes == 1 or not isinstance(operator, ops.Conv) or str(operator.dtype) != "i32":
        return False
    x, y = step.layout(operator.x), step.layout(step.output)
    channels = step.type(operator.x).shape[1]
    if operator.groups != channels or step.type(step.output).shape[1] != channels or max(operator.dilations) > 1:
        return False
    if x.order != "channels_last" or y.order != "channels_last" or x.shape[0] != 1:
        return False
    if any(operator.pads) and (x.halo is None or not x.halo.covers(operator.pads, operator.x_zero_point)):
        return False
    w, bias = stored_bias(step, operator)
    dot = choose_dot(isa, x.storage.element, w)
    if dot is None or dot.span > 1 or not product_fits(dot, w, bias, stored_range(step, operator.x)):
        return False
    axis_fits = step.requant is None or step.requant.linear.channels == 1 or step.requant.linear.axis == 1
    return axis_fits and can_finish(isa, step, range(0, channels, isa.lanes))


@kernel(ops.Conv, "conv.depthwise", can_handle=_can_handle, priority=20, fuses=True, parallel=True, by_rows=True)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Conv)
    w, bias = stored_bias(step, operator)
    dot = choose_dot(build.isa, step.layout(operator.x).storage.element, w)
    assert dot is not None
    grouped, sweep = _axes(step, operator)
    tiles: dict[Blocking, _Tile] = {(t.along, t.across): t for t in _rank_tiles(grouped, sweep, dot.group)}
    tile = tiles[build.choose(step, "conv.depthwise", ("outputs along", "across"), list(tiles))]
    buckets = make_buckets(step, cut_panels(0, len(w), build.isa.lanes, 1), build.isa.lanes)
    targets = [
        _Depthwise(build, step, operator, bucket, dot, tile, w, bias, f".{number}")
        for number, bucket in enumerate(buckets)
    ]
    counts = -(-grouped.outputs // tile.along), -(-sweep.outputs // tile.across)
    each_row, each_tile = build.sharing(counts)
    with each_row(counts[0]) as index:
        along = moved_back(index, tile.along, grouped.outputs)
        for target in targets:
            with build.loop(len(target.bucket.panels)) as panel, each_tile(counts[1]) as at:
                target.tile(panel, along, moved_back(at, tile.across, sweep.outputs))
    return f"{dot.name}, tile {tile.along}×{tile.across}, {tile.groups} groups of {dot.group} taps"


class _Depthwise:
    """Emits the tiles of one bucket."""

    def __init__(
        self,
        build: Builder,
        step: Step,
        operator: ops.Conv,
        bucket: Bucket,
        dot: Dot,
        tile: _Tile,
        w: NDArray[np.int64],
        bias: NDArray[np.int64],
        label: str,
    ) -> None:
        self.bucket = bucket
        self._build, self._dot, self._tile, self._lanes = build, dot, tile, build.isa.lanes
        self._grouped, self._sweep = _axes(step, operator)
        self._x, self._y = build.view(operator.x), build.view(step.output)
        window = operator.window(step.type(operator.w))
        layout = self._x.layout
        self._first = layout.base - sum(window.begin(i) * layout.stride(2 + i) for i in range(window.rank))
        taps = w[:, 0].reshape(len(w), *window.kernel)
        if window.rank == 1 or window.kernel[0] == 1:
            taps = taps.reshape(len(w), 1, -1).transpose(0, 2, 1)  # (C, grouped, sweep)
        packed = np.stack([self._packed(panel, taps) for panel in bucket.panels])
        self._element = "int8" if taps.min() >= -128 and taps.max() <= 127 else "int16"
        self._weights = build.constant(f"{step.output}/weights{label}", packed.astype(self._element))
        bias, started = started_bias(step, dot, w, bias, stored_range(step, operator.x))
        starts = np.stack([self._padded(bias[panel.first : panel.first + panel.count]) for panel in bucket.panels])
        self._bias = build.constant(f"{step.output}/bias{label}", wrapped(starts))
        self._finish = Finish(build, step, bucket, f"requant{label}", started=started)
        firsts = np.array([panel.first for panel in bucket.panels], np.int32)
        self._channels = build.constant(f"{step.output}/channels{label}", firsts)

    def _padded(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.concatenate([values, np.zeros((self._lanes - len(values), *values.shape[1:]), np.int64)])

    def _packed(self, panel: Panel, taps: NDArray[np.int64]) -> NDArray[np.int64]:
        """(outputs along, sweep taps, groups, lanes, group): what each output of a tile multiplies a group with."""
        members = self._padded(taps[panel.first : panel.first + panel.count])
        size, grouped = self._dot.group, self._grouped
        result = np.zeros((self._tile.along, self._sweep.kernel, self._tile.groups * size, self._lanes), np.int64)
        for output in range(self._tile.along):
            for tap in range(grouped.kernel):
                result[output, :, output * grouped.stride + tap] = members[:, tap].T
        split = result.reshape(self._tile.along, self._sweep.kernel, self._tile.groups, size, self._lanes)
        return split.swapaxes(3, 4)

    def tile(self, panel: Expr, along: Expr, across: Expr) -> None:
        """Outputs along … and across … of one panel's channels."""
        grouped, sweep, tile, lanes = self._grouped, self._sweep, self._tile, self._lanes
        channel = bind(self._channels.load([panel]))
        window = along * grouped.stride * grouped.x_step + across * sweep.stride * sweep.x_step
        source = bind(self._first + window + channel)
        groups = [
            [self._interleaved(source + position * sweep.x_step, group) for group in range(tile.groups)]
            for position in range(sweep.inputs(tile.across))
        ]
        start = bind(self._bias.vload(panel * lanes, lanes))
        target = bind(self._y.layout.base + along * grouped.y_step + across * sweep.y_step + channel)
        sums, offsets = [], []
        for output in range(tile.along):
            weights = self._weights_of(panel, output)
            for position in range(tile.across):
                acc = start
                for tap in range(sweep.kernel):
                    for group, weight in weights[tap]:
                        inputs = groups[position * sweep.stride + tap][group]
                        acc = self._dot.accumulate(acc, inputs, weight)
                sums.append(bind(acc))
                offsets.append(target + output * grouped.y_step + position * sweep.y_step)
        count = self.bucket.panels[0].count
        self._finish.store(offsets, self._finish.values(panel, 0, sums), [count] * len(sums))

    def _weights_of(self, panel: Expr, output: int) -> list[list[tuple[int, Expr]]]:
        """Per tap of the sweep: the groups that an output reads, with their weights."""
        tile, size = self._tile, self._dot.group * self._lanes
        memory, origin = self._weights.memory, self._weights.origin
        result = []
        for tap in range(self._sweep.kernel):
            row = (panel * tile.along + output) * self._sweep.kernel + tap
            used = [group for group in range(tile.groups) if _uses(self._grouped, output, group, self._dot.group)]
            result.append(
                [
                    (group, self._dot.weights(memory, self._element, origin + (row * tile.groups + group) * size))
                    for group in used
                ]
            )
        return result

    def _interleaved(self, source: Expr, group: int) -> Expr:
        """Inputs `group`·size … of one position of the sweep, those of a channel side by side in one 32-bit lane."""
        size, lanes = self._dot.group, self._lanes
        bits = 32 // size
        signed = self._x.layout.storage.element == "int16"
        merged: Expr | None = None
        for index in range(group * size, min((group + 1) * size, self._grouped.inputs(self._tile.along))):
            stored = self._x.vload(source + index * self._grouped.x_step, lanes)
            part = stored.astype(f"int32x{lanes}")
            if signed and index % size < size - 1:
                part = tirx.bitwise_and(part, const((1 << bits) - 1, "int32", lanes))
            if index % size:
                part = tirx.shift_left(part, const(bits * (index % size), "int32", lanes))
            merged = part if merged is None else tirx.bitwise_or(merged, part)
        assert merged is not None
        return bind(reinterpret(f"{self._dot.activation}x{size * lanes}", bind(merged)))
