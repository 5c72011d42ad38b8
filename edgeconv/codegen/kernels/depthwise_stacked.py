"""Depthwise convolution by stacked rows, for windows of four rows and more: rows are interleaved once for all columns.

As in `depthwise_flat`, output element f of a row needs the elements f + column·C, and the rows under the window are the
taps of groups. Here a piece of those rows is stacked first: the bytes of four rows side by side, element by element in
the order of memory, in a buffer of the thread's own that stays in the first-level cache. The taps of a column are then
one load, aligned or not, and five columns cost 12 shuffles for each four vectors instead of 40. The end of a tile is
computed beside the products of the next one: one after the other, they would wait for each other more than compute.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.blob import wrapped
from edgeconv.codegen.builder import PRIVATE_BYTES, Builder, Memory, bind
from edgeconv.codegen.choices import Blocking
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.isa.vectors import interleaved, shuffle
from edgeconv.codegen.kernels.conv_panels import stored_bias, stored_range
from edgeconv.codegen.kernels.depthwise_flat import FlatShape, flat_shape, runs_along_rows
from edgeconv.codegen.kernels.lane_finish import LaneFinish, can_finish_lanes
from edgeconv.codegen.kernels.loops import moved_back
from edgeconv.codegen.kernels.product import byte_dot
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.starts import started_bias
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import operators as ops

_GROUP = 4
_STACK_COST = 12  # shuffles of four vectors for a group of rows, in dot products
_MOST_ROWS = 4
_LEAST_LANES = 16  # instruction sets with shorter vectors have half as many registers
_LEAST_HEIGHT = 4  # with fewer rows the buffer brings nothing: measured


@dataclass(frozen=True)
class _Pieces:
    """How rows are cut.

    Attributes:
        along: output rows of a tile.
        groups: of four input rows under the tile.
        unit: elements after which positions and lanes repeat.
        piece: output elements for which rows are stacked at a time, a multiple of 4·unit.
        stacked: elements of a group in the buffer, whole vectors of bytes.
    """

    along: int
    groups: int
    unit: int
    piece: int
    stacked: int


def _groups(shape: FlatShape, along: int) -> int:
    return -(-((along - 1) * shape.stride + shape.kernel[0]) // _GROUP)


def _uses(shape: FlatShape, output: int, group: int) -> bool:
    """Whether a window of output row `output` of a tile has taps in a group."""
    first = output * shape.stride
    return first < (group + 1) * _GROUP and first + shape.kernel[0] > group * _GROUP


def _rank_cuts(shape: FlatShape, lanes: int) -> list[_Pieces]:
    """Ways to cut, the cheapest first; none where a row is too short or the buffer too small for that one."""

    def cost(along: int) -> float:
        groups = _groups(shape, along)
        dots = sum(_uses(shape, output, group) for output in range(along) for group in range(groups))
        return (groups * _STACK_COST + _GROUP * shape.kernel[1] * dots) / along

    ranked = sorted(range(1, min(_MOST_ROWS, shape.rows) + 1), key=cost)
    cuts = [_cut(shape, lanes, along) for along in ranked]
    return [cut for cut in cuts if cut is not None] if cuts[0] is not None else []


def _cut(shape: FlatShape, lanes: int, along: int) -> _Pieces | None:
    groups, unit, width = _groups(shape, along), lcm(shape.channels, lanes), _GROUP * lanes
    border = (shape.kernel[1] - 1) * shape.channels
    room = PRIVATE_BYTES // (_GROUP * groups) - border - width
    whole, most = shape.row_elements // (_GROUP * unit), room // (_GROUP * unit)
    if min(whole, most) < 1:
        return None
    number = -(-shape.row_elements // (_GROUP * unit * most))
    piece = _GROUP * unit * min(whole, -(-shape.row_elements // (_GROUP * unit * number)))
    return _Pieces(along, groups, unit, piece, -(-(piece + border) // width) * width)


def _can_handle(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if isa.lanes < _LEAST_LANES or not runs_along_rows(isa, step, 1) or not isinstance(operator, ops.Conv):
        return False
    shape = flat_shape(step, operator)
    return shape.kernel[0] >= _LEAST_HEIGHT and bool(_rank_cuts(shape, isa.lanes)) and can_finish_lanes(isa, step)


@kernel(
    ops.Conv, "conv.depthwise_stacked", can_handle=_can_handle, priority=40, fuses=True, parallel=True, by_rows=True
)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Conv)
    shape = flat_shape(step, operator)
    cuts: dict[Blocking, _Pieces] = {(pieces.along,): pieces for pieces in _rank_cuts(shape, build.isa.lanes)}
    pieces = cuts[build.choose(step, "conv.depthwise_stacked", ("rows",), list(cuts))]
    stacked = _Stacked(build, step, operator, shape, pieces)
    with build.parallel(-(-shape.rows // pieces.along)) as index:
        row = moved_back(index, pieces.along, shape.rows)
        with build.loop(-(-shape.row_elements // pieces.piece)) as number:
            stacked.piece(row, moved_back(number, pieces.piece, shape.row_elements))
    return f"{stacked.dot.name}, {pieces.along} rows, {pieces.groups} × {_GROUP} stacked, {pieces.piece} elements"


class _Stacked:
    """Emits the pieces of rows."""

    def __init__(self, build: Builder, step: Step, operator: ops.Conv, shape: FlatShape, pieces: _Pieces) -> None:
        self._build, self._shape, self._pieces, self._lanes = build, shape, pieces, build.isa.lanes
        self._width = _GROUP * self._lanes
        self._x, self._y = build.view(operator.x), build.view(step.output)
        w, bias = stored_bias(step, operator)
        dot = byte_dot(build.isa, w)
        assert dot is not None
        self.dot = dot
        bias, started = started_bias(step, dot, w, bias, stored_range(step, operator.x))
        channels = np.arange(pieces.unit).reshape(-1, self._lanes) % shape.channels  # (vector, lane)
        packed = self._packed(w[:, 0].reshape(len(w), *shape.kernel)[channels])
        self._weights = build.constant(f"{step.output}/weights", packed.astype(np.int8))
        starts = wrapped(bias[channels])
        self._bias = build.constant(f"{step.output}/bias", starts)
        self._finish = LaneFinish(build, step, channels, "requant", started=started)

    def _packed(self, taps: NDArray[np.int64]) -> NDArray[np.int64]:
        """(vector, output row, group, column, lane, row of the group) of taps (vector, lane, rows, columns)."""
        vectors, lanes, height, width = taps.shape
        along, groups, stride = self._pieces.along, self._pieces.groups, self._shape.stride
        rows = np.zeros((vectors, along, width, lanes, groups * _GROUP), np.int64)
        for output in range(along):
            first = output * stride
            rows[:, output, :, :, first : first + height] = taps.transpose(0, 3, 1, 2)
        return rows.reshape(*rows.shape[:-1], groups, _GROUP).transpose(0, 1, 4, 2, 3, 5)

    def piece(self, row: Expr, start: Expr) -> None:
        """Elements from `start` on of the output rows from `row` on."""
        shape, pieces = self._shape, self._pieces
        source = bind(shape.x_first + row * shape.stride * shape.x_row + start)
        target = bind(self._y.layout.base + row * shape.y_row + start)
        with self._build.loop(pieces.stacked // self._width) as block:
            for group in range(pieces.groups):
                self._stack(bind(source + block * self._width), group, block * self._width)
        tile = _GROUP * pieces.unit
        steps = pieces.piece // tile
        with self._build.loop(pieces.unit // self._lanes) as vector:
            first = bind(vector * self._lanes + 0)
            kept = self._build.local("int32", _GROUP * pieces.along * self._lanes)
            self._sums(kept, vector, first)
            if steps > 1:
                with self._build.loop(steps - 1) as step:
                    at = bind(first + step * tile)
                    sums = self._taken(kept)
                    self._sums(kept, vector, bind(at + tile))
                    self._end(sums, vector, target + at)
            self._end(self._taken(kept), vector, target + first + (steps - 1) * tile)

    def _stack(self, source: Expr, group: int, at: Expr) -> None:
        """Four vectors of a group: neighbouring elements of its rows, in the order of memory."""
        words, lanes = f"int32x{self._lanes}", self._lanes
        covered = (self._pieces.along - 1) * self._shape.stride + self._shape.kernel[0]
        # Words come in the order that interleaving inside of quarters undoes.
        order = [lane // 4 + lanes // 4 * (lane % 4) for lane in range(lanes)]
        vectors = []
        for row in range(group * _GROUP, min((group + 1) * _GROUP, covered)):
            loaded = bind(self._x.vload(source + row * self._shape.x_row, self._width))
            mixed = shuffle([tirx.reinterpret(words, loaded)], order)
            vectors.append(bind(tirx.reinterpret(f"uint8x{self._width}", mixed)))
        vectors += [vectors[0]] * (_GROUP - len(vectors))  # rows without taps meet weights of zero
        first = self._place(group, at)
        for index, vector in enumerate(interleaved(vectors, lanes)):
            self._build.private.vstore(first + index * self._width, vector, self._width)

    def _place(self, group: int, element: Expr) -> Expr:
        """Where an element of a group lies in the buffer."""
        return (element + group * self._pieces.stacked) * _GROUP

    def _sums(self, kept: Memory, vector: Expr, first: Expr) -> None:
        """Accumulators of one vector of channels at four positions, `unit` elements apart, of all output rows."""
        shape, pieces, lanes = self._shape, self._pieces, self._lanes
        start = bind(self._bias.vload(vector * lanes, lanes))
        for index in range(_GROUP):
            sums = [start] * pieces.along
            for group in range(pieces.groups):
                for column in range(shape.kernel[1]):
                    place = self._place(group, first + index * pieces.unit + column * shape.channels)
                    inputs = bind(self._build.private.vload(place, self._width))
                    for output in range(pieces.along):
                        if _uses(shape, output, group):
                            weights = self._weights_at(vector, output, group, column)
                            sums[output] = self.dot.accumulate(sums[output], inputs, weights)
            for output, value in enumerate(sums):
                kept.store("int32", (output * _GROUP + index) * lanes, value, lanes)

    def _taken(self, kept: Memory) -> list[Expr]:
        """The accumulators of `kept`, so that others can take their place."""
        count, lanes = self._pieces.along * _GROUP, self._lanes
        return [bind(kept.load("int32", index * lanes, lanes)) for index in range(count)]

    def _end(self, sums: list[Expr], vector: Expr, target: Expr) -> None:
        """Requantize and store accumulators, by (output row, position)."""
        shape, pieces, lanes = self._shape, self._pieces, self._lanes
        target = bind(target)
        finished = self._finish.values(vector, sums)
        for output in range(pieces.along):
            packed = self._finish.packed(finished[output * _GROUP : (output + 1) * _GROUP])
            for index in range(_GROUP):
                where = target + output * shape.y_row + index * pieces.unit
                self._y.vstore(where, shuffle([packed], range(index * lanes, (index + 1) * lanes)), lanes)

    def _weights_at(self, vector: Expr, output: int, group: int, column: int) -> Expr:
        place = ((vector * self._pieces.along + output) * self._pieces.groups + group) * self._shape.kernel[1] + column
        return self.dot.weights(self._weights.memory, "int8", self._weights.origin + place * self._width)
