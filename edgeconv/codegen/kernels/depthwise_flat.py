"""Depthwise convolution, and such of two or four channels a group, over whole rows: every lane works.

Where windows move by one position along a row, channels-last memory is one flat run: output element f, whatever its
position and channel, needs the elements f + tap·C. So vectors of bytes begin anywhere in the row, and a vector's
channels follow from where it begins; they repeat after lcm(C, vector) elements, that is after a few *phases*, each with
constants of its own. Four vectors, shifted by one tap each, are interleaved into the groups that a dot product takes.
Taps of a group are rows where the window has several, so that output rows of a tile share it, else positions.

With two channels in a group of the convolution (and as many outputs) a dot product takes two taps of both channels: two
vectors are interleaved by pairs, and what they become serves two vectors of sums, one for each output of the group.
With four channels it takes one tap of all four: a vector of memory as it is, for four vectors of sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.blob import wrapped
from edgeconv.codegen.builder import Builder, bind
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.isa.vectors import interleaved, interleaved_order, interleaved_pairs, packed_order, shuffle
from edgeconv.codegen.kernels.conv_panels import stored_bias, stored_range
from edgeconv.codegen.kernels.lane_finish import LaneFinish, can_finish_lanes
from edgeconv.codegen.kernels.loops import moved_back
from edgeconv.codegen.kernels.product import byte_dot, product_fits
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.starts import started_bias
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import operators as ops

__all__ = ["FlatShape", "flat_shape", "runs_along_rows"]

_GROUP = 4
_INTERLEAVE_COST = {1: 8, 2: 0, 4: 0}
"""By channels of a group: shuffles of four vectors, in dot products of which as many are needed for one group of taps.
Those of pairs hide beside the products: output rows that share them were measured to bring nothing."""
_MOST_ROWS = 4
_MOST_CONSTANT_BYTES = 1 << 14  # of weights: phases of odd channel counts must not push activations out of the cache
_TOGETHER = 2  # vectors of one phase that use each loaded weight
_SHORT_LANES = 4  # of NEON
_MANY_ACCUMULATORS = 16  # of instruction sets with 32 registers


@dataclass(frozen=True)
class _Group:
    """Taps of a dot product: element offsets from the first element of the tile's window, and (row, column) in it."""

    offsets: tuple[int, ...]
    taps: tuple[tuple[int, int], ...]


def _runs(taps: int, size: int) -> list[range]:
    return [range(first, min(first + size, taps)) for first in range(0, taps, size)]


@dataclass(frozen=True)
class FlatShape:
    """The convolution as rows of flat runs.

    Attributes:
        rows, row_elements: output rows, and elements of one.
        kernel: taps along rows and columns.
        stride: of rows.
        x_row, y_row: elements between rows.
        x_first: offset of the first window.
        members: channels of a group of the convolution, and outputs of it.
    """

    rows: int
    row_elements: int
    channels: int
    kernel: tuple[int, int]
    stride: int
    x_row: int
    y_row: int
    x_first: int
    members: int = 1

    def phases(self, width: int) -> int:
        """Vectors after which the channels of the lanes repeat."""
        return self.channels // gcd(self.channels, width)

    def groups(self, along: int) -> list[_Group]:
        """Groups that cover the windows of `along` output rows."""
        height, width = (along - 1) * self.stride + self.kernel[0], self.kernel[1]
        size = _GROUP // self.members
        if height == 1 or (along == 1 and self.members > 1):
            whole = [(row, column) for row in range(height) for column in range(width)]
            taps = [[whole[place] for place in run] for run in _runs(len(whole), size)]
        else:
            taps = [[(row, column) for row in run] for column in range(width) for run in _runs(height, size)]
        # Places without a tap repeat the first one; their weights are zero.
        full = [tuple(members + [members[0]] * (size - len(members))) for members in taps]
        return [
            _Group(tuple(row * self.x_row + column * self.channels for row, column in group), group) for group in full
        ]

    def uses(self, group: _Group, output: int) -> bool:
        """Whether a window of output row `output` of a tile has taps in a group."""
        first = output * self.stride
        return any(first <= row < first + self.kernel[0] for row, _ in group.taps)


def flat_shape(step: Step, operator: ops.Conv) -> FlatShape:
    window = operator.window(step.type(operator.w))
    x, y, channels = step.layout(operator.x), step.layout(step.output), step.type(operator.x).shape[1]
    first = x.base - sum(window.begin(axis) * x.stride(2 + axis) for axis in range(window.rank))
    length, members = y.shape[-1] * channels, channels // operator.groups
    if window.rank == 1:
        return FlatShape(1, length, channels, (1, window.kernel[0]), 1, 0, 0, first, members)
    kernel_, stride = (window.kernel[0], window.kernel[1]), window.strides[0]
    return FlatShape(y.shape[2], length, channels, kernel_, stride, x.stride(2), y.stride(2), first, members)


def _rank_along(shape: FlatShape) -> list[int]:
    """Output rows of a tile, the cheapest first."""

    def cost(along: int) -> float:
        groups = shape.groups(along)
        dots = sum(_GROUP * shape.uses(group, output) for group in groups for output in range(along))
        return (len(groups) * _INTERLEAVE_COST[shape.members] + dots) / along

    return sorted(range(1, min(_MOST_ROWS, shape.rows) + 1), key=cost)


def _together(isa: Isa, shape: FlatShape, along: int) -> tuple[int, ...]:
    """How many vectors of one phase may use each loaded weight, best first.

    Their sums are to stay in registers; with long vectors reloading some of them costs less.
    """
    width = _GROUP * isa.lanes
    if shape.row_elements // width // shape.phases(width) < _TOGETHER:
        return (1,)
    if shape.members == 1:
        fits = isa.lanes > _SHORT_LANES or _TOGETHER * along * _GROUP <= isa.accumulators
    else:
        fits = isa.accumulators >= max(_MANY_ACCUMULATORS, _TOGETHER * along * _GROUP)
    return (_TOGETHER, 1) if fits else (1, _TOGETHER)


def runs_along_rows(isa: Isa, step: Step, members: int) -> bool:
    """Whether a step is a convolution of bytes whose windows move by one position along flat rows.

    Args:
        members: channels in each group of the convolution, and outputs: 1 if it is depthwise.
    """
    operator = step.operator
    if isa.lanes == 1 or not isinstance(operator, ops.Conv) or str(operator.dtype) != "i32":
        return False
    x, y = step.layout(operator.x), step.layout(step.output)
    channels = step.type(operator.x).shape[1]
    if operator.groups * members != channels or step.type(step.output).shape[1] != channels:
        return False
    if max(operator.dilations) > 1:
        return False
    if x.order != "channels_last" or y.order != "channels_last" or x.shape[0] != 1 or x.storage.element != "uint8":
        return False
    if any(operator.pads) and (x.halo is None or not x.halo.covers(operator.pads, operator.x_zero_point)):
        return False
    w, bias = stored_bias(step, operator)
    dot = byte_dot(isa, w, any_offset=True)
    if dot is None or y.storage.element != "uint8" or operator.strides[-1] > 1:
        return False
    return product_fits(dot, w, bias, stored_range(step, operator.x))


def _can_handle(isa: Isa, step: Step, members: int = 1) -> bool:
    operator = step.operator
    if not runs_along_rows(isa, step, members) or not isinstance(operator, ops.Conv):
        return False
    shape, width = flat_shape(step, operator), _GROUP * isa.lanes
    constants = shape.phases(width) * width * _GROUP * len(shape.groups(_rank_along(shape)[0]))
    return constants <= _MOST_CONSTANT_BYTES and can_finish_lanes(isa, step)


def _can_handle_grouped(isa: Isa, step: Step) -> bool:
    return any(_can_handle(isa, step, members) for members in (2, 4))


@kernel(
    *(ops.Conv, "conv.grouped_flat"),
    can_handle=_can_handle_grouped,
    priority=30,
    fuses=True,
    parallel=True,
    by_rows=True,
)
@kernel(ops.Conv, "conv.depthwise_flat", can_handle=_can_handle, priority=30, fuses=True, parallel=True, by_rows=True)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Conv)
    shape = flat_shape(step, operator)
    candidates = [(along, count) for along in _rank_along(shape) for count in _together(build.isa, shape, along)]
    name = "conv.depthwise_flat" if shape.members == 1 else "conv.grouped_flat"
    along, together = build.choose(step, name, ("rows", "vectors together"), candidates)
    flat = _Flat(build, step, operator, shape, along, together)
    with build.parallel(-(-shape.rows // flat.along)) as index:
        flat.rows(moved_back(index, flat.along, shape.rows))
    taps = _GROUP // shape.members
    detail = f"{flat.dot.name}, {flat.along} rows of flat vectors, {len(flat.groups)} groups of {taps} taps"
    return f"{detail}, {flat.phases} phases"


class _Flat:
    """Emits rows of tiles.

    Attributes:
        along: output rows of a tile.
        together: vectors of one phase that use each loaded weight.
        phases: vectors after which the channels of the lanes repeat.
    """

    def __init__(
        self, build: Builder, step: Step, operator: ops.Conv, shape: FlatShape, along: int, together: int
    ) -> None:
        self.along, self.together, self.groups = along, together, shape.groups(along)
        self._build, self._shape, self._lanes = build, shape, build.isa.lanes
        self._width = _GROUP * self._lanes
        self.phases = shape.phases(self._width)
        self._x, self._y = build.view(operator.x), build.view(step.output)
        w, bias = stored_bias(step, operator)
        dot = byte_dot(build.isa, w, any_offset=True)
        assert dot is not None
        self.dot = dot
        order = np.array(interleaved_order(self._lanes, shape.members))
        firsts = np.arange(self.phases)[:, None, None] * self._width
        channels = (firsts + order) % shape.channels  # (phase, vector, lane)
        taps = w.reshape(*w.shape[:2], *shape.kernel)
        packed = np.stack([self._packed(taps[channels], output) for output in range(along)], 1)
        self._weights = build.constant(f"{step.output}/weights", packed.astype(np.int8))
        bias, started = started_bias(step, dot, w, bias, stored_range(step, operator.x))
        bias = bias + dot.offset * w.reshape(len(w), -1).sum(1)
        starts = wrapped(bias[channels])
        self._bias = build.constant(f"{step.output}/bias", starts)
        flat = channels.reshape(-1, self._lanes)
        self._finish = LaneFinish(build, step, flat, "requant", started=started)

    def _packed(self, taps: NDArray[np.int64], output: int) -> NDArray[np.int64]:
        """(phase, group, vector, lane, group element): what an output row of a tile multiplies the groups with.

        Args:
            taps: (phase, vector, lane, member, kernel rows, kernel columns).
        """
        members = self._shape.members
        result = np.zeros((self.phases, len(self.groups), *taps.shape[1:3], _GROUP), np.int64)
        for number, group in enumerate(self.groups):
            for index, (row, column) in enumerate(group.taps):
                inside = row - output * self._shape.stride
                repeated = (row, column) in group.taps[:index]
                if 0 <= inside < self._shape.kernel[0] and not repeated:
                    places = slice(index * members, (index + 1) * members)
                    result[:, number, ..., places] = taps[..., inside, column]
        return result

    def rows(self, row: Expr) -> None:
        """The output rows of one tile, phase by phase."""
        shape, width, phases = self._shape, self._width, self.phases
        source = bind(shape.x_first + row * shape.stride * shape.x_row)
        target = bind(self._y.layout.base + row * shape.y_row)
        whole, rest = divmod(shape.row_elements, width)
        together = self.together
        if whole:
            with self._build.loop(min(phases, whole)) as phase:
                count = self._count(phase, whole)
                tiles = -(-count // together) if isinstance(count, int) else (count + (together - 1)) // together
                with self._build.loop(tiles) as tile:
                    first = self._first(tile, count, together)
                    at = bind(phase * width + first * (phases * width))
                    self._tile(phase, source + at, target + at, together, width)
        if rest:
            self._tile(whole % phases, source + whole * width, target + whole * width, 1, rest)

    def _count(self, phase: Expr, whole: int) -> Expr:
        """Whole vectors of a phase in a row."""
        if whole % self.phases == 0 or isinstance(phase, int):
            return (whole - phase + self.phases - 1) // self.phases if isinstance(phase, int) else whole // self.phases
        return bind(tirx.Select(phase < whole % self.phases, whole // self.phases + 1, whole // self.phases))

    @staticmethod
    def _first(tile: Expr, count: Expr, together: int) -> Expr:
        if isinstance(count, int):
            return moved_back(tile, together, count)
        return tile if together == 1 else bind(tirx.min(tile * together, count - together))

    def _tile(self, phase: Expr, source: Expr, target: Expr, together: int, count: int) -> None:
        """`together` vectors, a cycle of phases apart, of all output rows; `count` elements of each are written."""
        lanes, cycle = self._lanes, self.phases * self._width
        source, target = bind(source), bind(target)
        acc = self._build.local("int32", together * self.along * _GROUP * lanes)

        def slot(at: int, output: int, vector: int) -> int:
            return ((at * self.along + output) * _GROUP + vector) * lanes

        for vector in range(_GROUP):
            start = bind(self._bias.vload((phase * _GROUP + vector) * lanes, lanes))
            for at in range(together):
                for output in range(self.along):
                    acc.store("int32", slot(at, output, vector), start, lanes)
        for number, group in enumerate(self.groups):
            inputs = [self._inputs(source + at * cycle, group) for at in range(together)]
            for vector in range(_GROUP):
                for output in range(self.along):
                    if not self._shape.uses(group, output):
                        continue
                    weights = self._weights_at(phase, output, number, vector)
                    for at in range(together):
                        where = slot(at, output, vector)
                        value = self.dot.accumulate(acc.load("int32", where, lanes), inputs[at][vector], weights)
                        acc.store("int32", where, value, lanes)
        for at in range(together):
            for output in range(self.along):
                finished: list[Expr] = []
                for vector in range(_GROUP):
                    total = acc.load("int32", slot(at, output, vector), lanes)
                    finished += self._finish.values(phase * _GROUP + vector, [total])
                ordered = bind(shuffle([self._finish.packed(finished)], packed_order(lanes, self._shape.members)))
                where = target + at * cycle + output * self._shape.y_row
                self._finish.store(where, ordered, self._width, count)

    def _inputs(self, source: Expr, group: _Group) -> list[Expr]:
        """What each of the four vectors of sums multiplies."""
        loaded: dict[int, Expr] = {}
        for offset in group.offsets:
            if offset not in loaded:
                loaded[offset] = bind(self._x.vload(source + offset, self._width))
        members, taps = self._shape.members, [loaded[offset] for offset in group.offsets]
        if members == 1:
            taps = interleaved(taps, self._lanes)
        elif members == 2:
            taps = interleaved_pairs(taps[0], taps[1], self._lanes)
        return [vector for tap in taps for vector in [self.dot.from_bytes(tap)] * members]

    def _weights_at(self, phase: Expr, output: int, group: int, vector: int) -> Expr:
        place = ((phase * self.along + output) * len(self.groups) + group) * _GROUP + vector
        memory, origin = self._weights.memory, self._weights.origin
        return self.dot.weights(memory, "int8", origin + place * self._width)
