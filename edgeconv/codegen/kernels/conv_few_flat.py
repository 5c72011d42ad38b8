"""Convolution into few output channels along flat rows: a lane sums one group of four channels over all taps.

Where windows move by one position, the inputs under one tap of neighbouring outputs are one flat run of memory. So a
vector of it meets a vector of weights that repeats along the channels, tap by tap, and no lane is without work, however
long a window's run of channels is; `conv_few` would fill its last vector up with zeros. What remains is to add the
lanes of a position, which are neighbours: pairs while these are even in number, then the rest one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import Builder, bind, const
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.isa.vectors import gathered, shuffle
from edgeconv.codegen.kernels.conv_few import MOST_OUTPUTS, reads_few, store_positions, window_steps
from edgeconv.codegen.kernels.conv_panels import Geometry, conv_geometry, stored_bias, stored_range
from edgeconv.codegen.kernels.lane_finish import LaneFinish
from edgeconv.codegen.kernels.loops import moved_back
from edgeconv.codegen.kernels.product import byte_dot
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.starts import started_bias
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr
from edgeconv.ir import operators as ops

_GROUP = 4
_MOST_ACCUMULATORS = 16


@dataclass(frozen=True)
class _Lanes:
    """How groups of channels and positions share lanes.

    Attributes:
        groups: lanes of a position.
        vectors: after which positions and lanes repeat.
        positions: in those vectors.
    """

    groups: int
    vectors: int
    positions: int


def _lanes_of(channels: int, lanes: int) -> _Lanes:
    groups = channels // _GROUP
    shared = gcd(groups, lanes)
    return _Lanes(groups, groups // shared, lanes // shared)


def _rows(outputs: int, rows: int) -> int:
    return max(1, min(MOST_OUTPUTS // outputs, rows))


def _can_handle(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if not reads_few(isa, step) or not isinstance(operator, ops.Conv):
        return False
    outputs, channels, *taps = step.type(operator.w).shape
    if channels % _GROUP or operator.strides[-1] > 1 or operator.dilations[-1] > 1:
        return False
    vectors = _lanes_of(channels, isa.lanes).vectors
    y = step.layout(step.output)
    rows = _rows(outputs, y.shape[2] if len(y.shape) == 4 else 1)
    steps = outputs * np.prod(taps) * (channels // _GROUP) / isa.lanes
    return bool(vectors * rows * outputs <= _MOST_ACCUMULATORS and steps < window_steps(isa, step))


@kernel(ops.Conv, "conv.few_flat", can_handle=_can_handle, priority=17, fuses=True, parallel=True, by_rows=True)
def _emit(build: Builder, step: Step) -> str:
    operator, lanes = step.operator, build.isa.lanes
    assert isinstance(operator, ops.Conv)
    y = step.layout(step.output)
    w, bias = stored_bias(step, operator)
    geometry = conv_geometry(step, operator, step.layout(operator.x), y, w.shape[1])
    flat = _Flat(build, step, operator, geometry, w, bias)
    counts = -(-geometry.rows // flat.rows), -(-geometry.row_length // lanes)
    each_row, each_part = build.sharing(counts)
    with each_row(counts[0]) as index:
        row = moved_back(index, flat.rows, geometry.rows)
        with each_part(counts[1]) as at:
            flat.tile(row, moved_back(at, lanes, geometry.row_length))
    return f"{flat.dot.name} along rows, {flat.rows} rows of {lanes} positions, {flat.shared.groups} lanes each"


class _Flat:
    """Emits tiles of `rows` output rows and one vector of positions."""

    def __init__(
        self,
        build: Builder,
        step: Step,
        operator: ops.Conv,
        geometry: Geometry,
        w: NDArray[np.int64],
        bias: NDArray[np.int64],
    ) -> None:
        self._build, self._geometry, self._lanes = build, geometry, build.isa.lanes
        self.outputs, self._channels = w.shape[:2]
        most, self.shared = _rows(self.outputs, geometry.rows), _lanes_of(self._channels, self._lanes)
        (self.rows,) = build.choose(step, "conv.few_flat", ("rows",), [(rows,) for rows in range(most, 0, -1)])
        self._columns = w.shape[-1]
        self._x, self._y = build.view(operator.x), build.view(step.output)
        dot = byte_dot(build.isa, w)
        assert dot is not None
        self.dot = dot
        # (output, tap row, tap column, channel), repeated until vectors and positions end together.
        taps = np.moveaxis(w, 1, -1).reshape(self.outputs, geometry.runs.number, self._columns, self._channels)
        packed = np.tile(taps, self.shared.positions).astype(np.int8)
        self._weights = build.constant(f"{step.output}/weights", packed)
        bias, started = started_bias(step, None, w, bias, stored_range(step, operator.x))
        starts = np.repeat(bias[:, None], self._lanes, 1).astype(np.int32)
        self._bias = build.constant(f"{step.output}/bias", starts)
        channels = np.repeat(np.arange(self.outputs)[:, None], self._lanes, 1)
        self._finish = LaneFinish(build, step, channels, "requant", started=started)

    def tile(self, row: Expr, start: Expr) -> None:
        """Output rows row …, one vector of positions from `start` on, of all outputs."""
        geometry, lanes, shared = self._geometry, self._lanes, self.shared
        first = bind(geometry.x_first + row * geometry.x_row + start * geometry.x_position)
        parts: list[list[list[Expr]]] = [[[] for _ in range(self.outputs)] for _ in range(self.rows)]
        for unit in range(lanes // shared.positions):
            sums = self._unit_sums(first + unit * shared.positions * self._channels)
            for r in range(self.rows):
                for o in range(self.outputs):
                    parts[r][o].append(self._position_sums(sums[r][o]))
        finished: list[Expr] = []
        for r in range(self.rows):
            for o in range(self.outputs):
                total = self._joined(parts[r][o])
                finished += self._finish.values(o, [total + bind(self._bias.vload(o * lanes, lanes))])
        target = self._y.layout.base + row * geometry.y_row + start * self.outputs
        store_positions(self._finish, self._y, geometry.y_row, self.outputs, finished, bind(target + 0))

    def _unit_sums(self, first: Expr) -> list[list[list[Expr]]]:
        """Sums over all taps lane by lane: vectors by (row, output)."""
        runs, geometry, width = self._geometry.runs, self._geometry, _GROUP * self._lanes
        places: dict[int, list[tuple[int, int]]] = {}
        for row in range(self.rows):
            for run in range(runs.number):
                places.setdefault(row * geometry.x_row + runs.place(run), []).append((row, run))
        zero = const(0, "int32", self._lanes)
        sums: list[list[list[Expr]]] = [[[] for _ in range(self.outputs)] for _ in range(self.rows)]
        for vector in range(self.shared.vectors):
            acc = [[zero] * self.outputs for _ in range(self.rows)]
            for column in range(self._columns):
                for place, users in places.items():
                    inputs = bind(self._x.vload(first + place + column * self._channels + vector * width, width))
                    for row, run in users:
                        for output in range(self.outputs):
                            weights = self._weights_at(output, run, column, vector)
                            acc[row][output] = bind(self.dot.accumulate(acc[row][output], inputs, weights))
            for row in range(self.rows):
                for output in range(self.outputs):
                    sums[row][output].append(acc[row][output])
        return sums

    def _weights_at(self, output: int, run: int, column: int, vector: int) -> Expr:
        place = (output * self._geometry.runs.number + run) * self._columns + column
        size = self.shared.vectors * _GROUP * self._lanes
        offset = self._weights.origin + place * size + vector * _GROUP * self._lanes
        return self.dot.weights(self._weights.memory, "int8", offset)

    def _position_sums(self, vectors: list[Expr]) -> Expr:
        """The sums of the positions of a unit, in the first lanes of one vector."""
        lanes, members, step = self._lanes, self.shared.groups, 1
        while members % 2 == 0:
            vectors = [bind(v + shuffle([v], [(i + step) % lanes for i in range(lanes)])) for v in vectors]
            members, step = members // 2, step * 2
        starts = [position * self.shared.groups for position in range(self.shared.positions)]
        total: Expr | None = None
        for member in range(members):
            part = bind(gathered(vectors, [first + member * step for first in starts], lanes))
            total = part if total is None else total + part
        return bind(total)

    def _joined(self, parts: list[Expr]) -> Expr:
        """The positions of all units in one vector."""
        positions, lanes = self.shared.positions, self._lanes
        return bind(gathered(parts, [u * lanes + p for u in range(len(parts)) for p in range(positions)], lanes))
