"""Convolution into few output channels: lanes hold parts of one window, and are added up at the end.

A panel of output channels would leave most lanes without work. Here a vector of neighbouring input elements meets a
vector of weights, so that each lane sums a part of the window; a tree of shuffles then adds the lanes of as many
outputs as a vector has lanes, and turns them into one vector of neighbouring positions. Output rows of a tile share
the input rows that their windows have in common.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import Builder, View, bind, const
from edgeconv.codegen.isa.base import Dot, Isa
from edgeconv.codegen.isa.vectors import lane_sums, shuffle
from edgeconv.codegen.kernels.conv_panels import Geometry, conv_geometry, stored_bias, stored_range
from edgeconv.codegen.kernels.lane_finish import LaneFinish, can_finish_lanes
from edgeconv.codegen.kernels.loops import moved_back
from edgeconv.codegen.kernels.product import byte_dot, stays_inside
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.starts import started_bias
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr
from edgeconv.ir import operators as ops

__all__ = ["MOST_OUTPUTS", "reads_few", "store_positions", "window_steps"]

MOST_OUTPUTS = 4  # vectors of one packed store
_GROUP = 4
_ACCUMULATORS = 16
_LEAST_TOGETHER = 4  # positions whose lanes the first shuffles add
_REDUCTION = 3  # shuffles and additions per output, in dot products


def reads_few(isa: Isa, step: Step) -> bool:
    """Whether a step is a convolution of bytes into few channels, over rows of at least one vector of positions."""
    operator = step.operator
    if isa.lanes == 1 or not isinstance(operator, ops.Conv) or str(operator.dtype) != "i32" or operator.groups > 1:
        return False
    x, y = step.layout(operator.x), step.layout(step.output)
    outputs, positions = y.shape[1], y.shape[-1]
    if outputs > MOST_OUTPUTS or positions < isa.lanes or x.storage.element != "uint8":
        return False
    if x.order != "channels_last" or y.order != "channels_last" or x.shape[0] != 1:
        return False
    if any(operator.pads) and (x.halo is None or not x.halo.covers(operator.pads, operator.x_zero_point)):
        return False
    w, bias = stored_bias(step, operator)
    dot = byte_dot(isa, w)
    return dot is not None and stays_inside(w, bias, stored_range(step, operator.x)) and can_finish_lanes(isa, step)


def window_steps(isa: Isa, step: Step) -> int:
    """Dot products along the window for each position, in vectors."""
    operator = step.operator
    assert isinstance(operator, ops.Conv)
    outputs, channels = step.type(operator.w).shape[:2]
    runs = conv_geometry(step, operator, step.layout(operator.x), step.layout(step.output), channels).runs
    return outputs * runs.number * -(-runs.length // (_GROUP * isa.lanes))


def _can_handle(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if not reads_few(isa, step) or not isinstance(operator, ops.Conv):
        return False
    outputs, channels = step.type(operator.w).shape[:2]
    runs = conv_geometry(step, operator, step.layout(operator.x), step.layout(step.output), channels).runs
    return window_steps(isa, step) + outputs * _REDUCTION < runs.number * runs.groups(_GROUP)


@kernel(ops.Conv, "conv.few", can_handle=_can_handle, priority=15, fuses=True, parallel=True, by_rows=True)
def _emit(build: Builder, step: Step) -> str:
    operator, lanes = step.operator, build.isa.lanes
    assert isinstance(operator, ops.Conv)
    y = step.layout(step.output)
    w, bias = stored_bias(step, operator)
    geometry = conv_geometry(step, operator, step.layout(operator.x), y, w.shape[1])
    most = max(1, min(MOST_OUTPUTS // len(w), geometry.rows))
    candidates = [(rows, _together(lanes, rows * len(w))) for rows in range(most, 0, -1)]
    candidates += [(rows, count) for rows, _ in candidates for count in (_LEAST_TOGETHER << i for i in range(3))]
    offered = [(rows, count) for rows, count in candidates if count <= lanes]
    rows, together = build.choose(step, "conv.few", ("rows", "positions at a time"), offered)
    few = _Few.make(build, step, operator, geometry, rows, together, w, bias)
    counts = -(-geometry.rows // rows), -(-geometry.row_length // lanes)
    each_row, each_part = build.sharing(counts)
    with each_row(counts[0]) as index:
        row = moved_back(index, rows, geometry.rows)
        with each_part(counts[1]) as at:
            few.tile(row, moved_back(at, lanes, geometry.row_length))
    return f"{few.dot.name} along the window, {rows} rows of {lanes} positions, {few.vectors} vectors a run"


def _together(lanes: int, sums: int) -> int:
    """Positions whose `sums` accumulators each are in registers together."""
    return min(lanes, max(_LEAST_TOGETHER, 1 << (_ACCUMULATORS // sums).bit_length() - 1))


@dataclass(frozen=True)
class _Few:
    """Emits tiles of `rows` output rows and one vector of positions.

    Attributes:
        together: positions whose sums are in registers together.
        weights: packed as (output, run, vector, element).
        bias: accumulators' start, by output, in all lanes.
        vectors: vectors that cover a run.
    """

    build: Builder
    operator: ops.Conv
    geometry: Geometry
    rows: int
    together: int
    outputs: int
    x: View
    y: View
    dot: Dot
    weights: View
    bias: View
    finish: LaneFinish
    vectors: int

    @staticmethod
    def make(
        build: Builder,
        step: Step,
        operator: ops.Conv,
        geometry: Geometry,
        rows: int,
        together: int,
        w: NDArray[np.int64],
        bias: NDArray[np.int64],
    ) -> _Few:
        dot, lanes = byte_dot(build.isa, w), build.isa.lanes
        assert dot is not None
        runs, width = geometry.runs, dot.group * lanes
        vectors = -(-runs.length // width)
        packed = np.zeros((len(w), runs.number, vectors * width), np.int8)
        packed[:, :, : runs.length] = np.moveaxis(w, 1, -1).reshape(len(w), runs.number, -1)
        bias, started = started_bias(step, None, w, bias, stored_range(step, operator.x))
        starts = np.repeat(bias[:, None], lanes, 1).astype(np.int32)
        channels = np.repeat(np.arange(len(w))[:, None], lanes, 1)
        return _Few(
            build,
            operator,
            geometry,
            rows,
            together,
            len(w),
            build.view(operator.x),
            build.view(step.output),
            dot,
            build.constant(f"{step.output}/weights", packed),
            build.constant(f"{step.output}/bias", starts),
            LaneFinish(build, step, channels, "requant", started=started),
            vectors,
        )

    def tile(self, row: Expr, start: Expr) -> None:
        """Output rows row …, positions start … of all channels."""
        lanes, geometry = self.build.isa.lanes, self.geometry
        first = bind(geometry.x_first + row * geometry.x_row + start * geometry.x_position)
        together = self.together
        parts: list[list[list[Expr]]] = [[[] for _ in range(self.outputs)] for _ in range(self.rows)]
        for at in range(0, lanes, together):
            sums = self._window_sums(first + at * geometry.x_position, together)
            for r in range(self.rows):
                for o in range(self.outputs):
                    parts[r][o] += lane_sums([sums(r, o, p) for p in range(together)], lanes, levels=2)
        target = self.y.layout.base + row * geometry.y_row + start * self.outputs
        finished: list[Expr] = []
        for r in range(self.rows):
            for o in range(self.outputs):
                (total,) = lane_sums(parts[r][o], lanes, done=2)
                start_of = bind(self.bias.vload(o * lanes, lanes))
                finished += self.finish.values(o, [total + start_of])
        store_positions(self.finish, self.y, geometry.y_row, self.outputs, finished, bind(target + 0))

    def _window_sums(self, first: Expr, positions: int) -> Callable[[int, int, int], Expr]:
        """Sums by lane of the windows of neighbouring positions, by (row, output, position)."""
        lanes, runs, geometry = self.build.isa.lanes, self.geometry.runs, self.geometry
        acc = self.build.local("int32", self.rows * self.outputs * positions * lanes)

        def slot(row: int, output: int, position: int) -> int:
            return ((row * self.outputs + output) * positions + position) * lanes

        started: set[int] = set()
        for place, users in self._places().items():
            for vector in range(self.vectors):
                at = first + place + vector * self.dot.group * lanes
                for position in range(positions):
                    loaded = bind(self.x.vload(at + position * geometry.x_position, self.dot.group * lanes))
                    for row, run in users:
                        for output in range(self.outputs):
                            where = slot(row, output, position)
                            before = acc.load("int32", where, lanes) if where in started else const(0, "int32", lanes)
                            started.add(where)
                            weights = self._weights_at(output * runs.number + run, vector)
                            acc.store("int32", where, self.dot.accumulate(before, loaded, weights), lanes)
        return lambda row, output, position: acc.load("int32", slot(row, output, position), lanes)

    def _places(self) -> dict[int, list[tuple[int, int]]]:
        """Element offsets at which runs begin, each with the (row of the tile, run) that begin there."""
        runs = self.geometry.runs
        places: dict[int, list[tuple[int, int]]] = {}
        for row in range(self.rows):
            for run in range(runs.number):
                places.setdefault(row * self.geometry.x_row + runs.place(run), []).append((row, run))
        return places

    def _weights_at(self, run: int, vector: int) -> Expr:
        size = self.dot.group * self.build.isa.lanes
        return self.dot.weights(self.weights.memory, "int8", self.weights.origin + (run * self.vectors + vector) * size)


def store_positions(finish: LaneFinish, y: View, y_row: int, outputs: int, vectors: list[Expr], target: Expr) -> None:
    """Store vectors of positions, by (row, output), as runs of positions, the channels of a position side by side.

    Args:
        y_row: elements between output rows.
        target: offset of the first position of the first row.
    """
    lanes, count = finish.build.isa.lanes, outputs
    rows = len(vectors) // count
    order = [output * lanes + position for position in range(lanes) for output in range(count)]
    if y.layout.storage.element == "int32":
        for row in range(rows):
            members = vectors[row * count : (row + 1) * count]
            for part in range(count):
                piece = bind(shuffle(members, order[part * lanes : (part + 1) * lanes]))
                y.vstore(target + row * y_row + part * lanes, piece, lanes)
        return
    packed = finish.packed(vectors)
    for row in range(rows):
        run = [row * count * lanes + index for index in order]
        piece = packed if len(run) == 4 * lanes and run == sorted(run) else bind(shuffle([packed], run))
        size = len(run)
        while size & (size - 1):  # three channels: a store of two lanes' worth, then one
            size &= size - 1
        y.vstore(target + row * y_row, _head(piece, len(run), 0, size), size)
        if size < len(run):
            rest = len(run) - size
            y.vstore(target + row * y_row + size, _head(piece, len(run), size, rest), rest)


def _head(vector: Expr, width: int, first: int, count: int) -> Expr:
    return vector if count == width else shuffle([vector], range(first, first + count))
