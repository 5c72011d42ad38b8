"""Depthwise 3×3 convolution of a nearest-neighbour upsampling by two, which never exists in memory.

Output rows 2y and 2y + 1 read rows y - 1, y, y and y + 1 of the small image: four rows, the taps of one group, and a
group serves both. Along a row, output positions 2x and 2x + 1 read positions x - 1, x, x and x, x, x + 1. So three
interleavings of the small image, of the elements before, at and behind a vector's positions, give four vectors of
outputs. Those of even and of odd positions come out apart; they go through a buffer of the thread's own, in which
whole rows are put together position by position.
"""

from __future__ import annotations

from math import lcm

import numpy as np

from edgeconv.codegen.blob import wrapped
from edgeconv.codegen.builder import PRIVATE_BYTES, Builder, bind
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.isa.vectors import gathered, interleaved, interleaved_order, packed_order, shuffle
from edgeconv.codegen.kernels.conv_panels import stored_bias, stored_range
from edgeconv.codegen.kernels.lane_finish import LaneFinish, can_finish_lanes
from edgeconv.codegen.kernels.loops import moved_back
from edgeconv.codegen.kernels.product import byte_dot, product_fits
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.starts import started_bias
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import operators as ops

_GROUP = 4
_SIDES = 2  # output rows of an input row, and positions of a position
_LEAST_LANES = 16  # instruction sets with shorter vectors have half as many registers
_WORD = 4  # bytes that shuffles across a whole register move together
_MOST_CYCLE = 5  # vectors that are shuffled together
_TAPS = {-1: ((0, 0),), 0: ((0, 1), (0, 2), (1, 0), (1, 1)), 1: ((1, 2),)}
"""By column of the small image, relative to a position: (side, tap column) that read it."""


def _cycle(channels: int, width: int) -> int:
    """Elements after which vectors and positions end together."""
    return lcm(channels, width)


def _can_handle(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if isa.lanes < _LEAST_LANES or not isinstance(operator, ops.Conv) or str(operator.dtype) != "i32":
        return False
    x, y = step.layout(operator.x), step.layout(step.output)
    if x.order != "channels_last" or y.order != "channels_last" or x.shape[0] != 1 or x.storage.element != "uint8":
        return False
    if x.halo is None or not x.halo.covers(operator.pads, operator.x_zero_point) or y.storage.element != "uint8":
        return False
    w, bias = stored_bias(step, operator)
    dot = byte_dot(isa, w)
    if dot is None or not product_fits(dot, w, bias, stored_range(step, operator.x)):
        return False
    channels, width = x.shape[1], _GROUP * isa.lanes
    cycle, elements = _cycle(channels, width), x.shape[3] * channels
    room = _SIDES * _SIDES * (-(-elements // width) * width) <= PRIVATE_BYTES
    whole = channels % _WORD == 0 and cycle <= elements and cycle <= _MOST_CYCLE * width
    return room and whole and can_finish_lanes(isa, step)


@kernel(
    ops.Conv, "conv.depthwise_doubled", can_handle=_can_handle, priority=40, fuses=True, parallel=True, upsamples=True
)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Conv)
    doubled = _Doubled(build, step, operator)
    with build.parallel(doubled.height) as row:
        doubled.rows(row)
    return f"{doubled.dot.name}, two rows of positions twice as many, {doubled.phases} phases"


class _Doubled:
    """Emits the two output rows of an input row.

    Attributes:
        height: rows of the small image.
        phases: vectors after which the channels of the lanes repeat.
    """

    def __init__(self, build: Builder, step: Step, operator: ops.Conv) -> None:
        self._build, self._lanes, self._width = build, build.isa.lanes, _GROUP * build.isa.lanes
        self._x, self._y = build.view(operator.x), build.view(step.output)
        x = self._x.layout
        self._channels, self.height = x.shape[1], x.shape[2]
        self._elements = x.shape[3] * self._channels
        self._vectors = -(-self._elements // self._width)
        self.phases = _cycle(self._channels, self._width) // self._width
        w, bias = stored_bias(step, operator)
        dot = byte_dot(build.isa, w)
        assert dot is not None
        self.dot = dot
        order = np.array(interleaved_order(self._lanes))
        channels = (np.arange(self.phases)[:, None, None] * self._width + order) % self._channels
        taps = w[:, 0][channels]  # (phase, vector, lane, row, column)
        packed = np.zeros((self.phases, _SIDES, 3, *taps.shape[1:3], _GROUP), np.int8)
        for side in range(_SIDES):
            packed[:, side, ..., side : side + 3] = taps.transpose(0, 4, 1, 2, 3)
        self._weights = build.constant(f"{step.output}/weights", packed)
        bias, started = started_bias(step, dot, w, bias, stored_range(step, operator.x))
        starts = wrapped(bias[channels])
        self._bias = build.constant(f"{step.output}/bias", starts)
        flat = channels.reshape(-1, self._lanes)
        self._finish = LaneFinish(build, step, flat, "requant", started=started)

    def rows(self, row: Expr) -> None:
        """The output rows of an input row."""
        source = bind(self._x.layout.base + row * self._x.layout.stride(2))
        with self._build.loop(self._vectors) as vector:
            phase = bind(tirx.truncmod(vector, self.phases)) if self.phases > 1 else 0
            self._vector(phase, source, bind(vector * self._width + 0))
        stride = self._y.layout.stride(2)
        target = bind(self._y.layout.base + row * (_SIDES * stride))
        cycle = _cycle(self._channels, self._width)
        for side in range(_SIDES):
            with self._build.loop(-(-self._elements // cycle)) as index:
                self._zip(side, moved_back(index, cycle, self._elements), target + side * stride)

    def _vector(self, phase: Expr, source: Expr, at: Expr) -> None:
        """One vector of input elements: what becomes of it in two rows at even and at odd positions, to the buffer."""
        starts = [self._bias.vload((phase * _GROUP + k) * self._lanes, self._lanes) for k in range(_GROUP)]
        sums = {
            (row, side, k): bind(starts[k]) for row in range(_SIDES) for side in range(_SIDES) for k in range(_GROUP)
        }
        for column, readers in _TAPS.items():
            inputs = self._inputs(source + at + column * self._channels)
            for k in range(_GROUP):
                for row in range(_SIDES):
                    for side, tap in readers:
                        weights = self._weights_at(phase, row, tap, k)
                        sums[row, side, k] = self.dot.accumulate(sums[row, side, k], inputs[k], weights)
        places = [(row, side) for row in range(_SIDES) for side in range(_SIDES)]
        values = [self._finish.values(phase * _GROUP + k, [sums[*place, k] for place in places]) for k in range(_GROUP)]
        for index, (row, side) in enumerate(places):
            packed = self._finish.packed([value[index] for value in values])
            ordered = bind(shuffle([packed], packed_order(self._lanes)))
            self._build.private.vstore(self._place(row, side) + at, ordered, self._width)

    def _place(self, row: int, side: int) -> int:
        """Where the outputs of a row at even (side 0) or odd positions begin in the buffer."""
        return (row * _SIDES + side) * self._vectors * self._width

    def _inputs(self, source: Expr) -> list[Expr]:
        stride = self._x.layout.stride(2)
        above, here, below = (bind(self._x.vload(source + row * stride, self._width)) for row in (-1, 0, 1))
        return interleaved([above, here, here, below], self._lanes)

    def _weights_at(self, phase: Expr, row: int, tap: int, vector: int) -> Expr:
        place = ((phase * _SIDES + row) * 3 + tap) * _GROUP + vector
        return self.dot.weights(self._weights.memory, "int8", self._weights.origin + place * self._width)

    def _zip(self, row: int, start: Expr, target: Expr) -> None:
        """Even and odd positions of a row in turn, from input element `start` on, into the output."""
        width, cycle = self._width, _cycle(self._channels, self._width)
        vectors = [
            bind(self._build.private.vload(self._place(row, side) + start + first, width))
            for side in range(_SIDES)
            for first in range(0, cycle, width)
        ]
        order: list[int] = []
        for position in range(cycle // self._channels):
            for side in range(_SIDES):
                first = side * cycle + position * self._channels
                order += range(first, first + self._channels)
        target = bind(target + start * _SIDES)
        for first in range(0, len(order), width):
            self._y.vstore(target + first, bind(gathered(vectors, order[first : first + width], width)), width)
