"""The selective scan by warps: a lane for each state of a channel, which all move on at once.

A channel's states lie on neighbouring lanes, as many channels side by side as a warp has room for; what an output sums
over its states, the lanes exchange. The recurrence in time is the only chain: a state stays in its lane's register.
"""

from __future__ import annotations

import numpy as np

from edgeconv.codegen.builder import Builder, bind, const
from edgeconv.codegen.cuda.builder import CudaBuilder
from edgeconv.codegen.cuda.team import WARP, Fragment
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.accumulator import ScalarFinish
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.scan_parts import Lookup, Shift, decay_of, shift_columns
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, T, tirx
from edgeconv.ir import operators as ops
from edgeconv.ir.operators.scan import TABLE_BITS, decay_tables


def _can_handle(isa: Isa, step: Step) -> bool:
    operator = step.operator
    return isa.gpu and isinstance(operator, ops.SelectiveScan) and 2 <= step.type(operator.a).shape[1] <= WARP


@kernel(ops.SelectiveScan, "scan.warp", can_handle=_can_handle, priority=30, fuses=True, parallel=True)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.SelectiveScan)
    assert isinstance(build, CudaBuilder)
    return _WarpScan(build, step, operator).emit()


class _WarpScan:
    """Emits the kernel.

    Attributes of a lane that do not change in time are a fragment: a, the two shifts, skip.
    """

    def __init__(self, build: CudaBuilder, step: Step, operator: ops.SelectiveScan) -> None:
        self._build, self._operator = build, operator
        self._channels, self._states = step.type(operator.a).shape
        self._length = step.type(operator.x).shape[2]
        self._width = 1 << (self._states - 1).bit_length()
        self._x, self._delta, self._a, self._b, self._c, self._skip = map(build.view, operator.operands)
        self._columns = shift_columns(build, step, operator, self._channels)
        self._finish = ScalarFinish(build, step)
        self._high, self._low = (
            self._lookup(f"{step.output}/{label}", table)
            for label, table in zip(("exp_high", "exp_low"), decay_tables(operator.exp_bits), strict=True)
        )

    def emit(self) -> str:
        team, together = self._build.team, WARP // self._width
        groups = -(-self._channels // together)
        with team.tiles(team.samples * groups, team.active * groups) as tile:
            sample = bind(tirx.truncdiv(tile, const(groups)))
            first = bind((tile - sample * groups) * together)
            state, part, fixed = team.fragment(1), team.fragment(1), team.fragment(4)
            with self._build.of_sample(sample):
                with team.lanes() as lane:
                    state.store(lane, 0, const(0))
                    self._begin(fixed, lane, first)
                with self._build.loop(self._length) as t:
                    with team.lanes() as lane:
                        self._move_on(state, part, fixed, lane, first, t)
                    team.sum_lanes(part, self._width)
                    with team.lanes() as lane:
                        self._put(part, fixed, lane, first, t)
        return f"{together} channels of {self._states} states a warp"

    def _place(self, lane: Expr, first: Expr) -> tuple[Expr, Expr]:
        """Channel and state of a lane; lanes that have none repeat the last one's."""
        channel = bind(tirx.min(first + tirx.truncdiv(lane, const(self._width)), const(self._channels - 1)))
        return channel, bind(tirx.min(tirx.truncmod(lane, const(self._width)), const(self._states - 1)))

    def _begin(self, fixed: Fragment, lane: Expr, first: Expr) -> None:
        channel, n = self._place(lane, first)
        fixed.store(lane, 0, self._a.load([channel, n]))
        for index, column in enumerate(self._columns):
            fixed.store(lane, 1 + index, column.load([channel]))
        fixed.store(lane, 3, self._skip.load([channel]))

    def _move_on(self, state: Fragment, part: Fragment, fixed: Fragment, lane: Expr, first: Expr, t: Expr) -> None:
        """The next state of a lane, and what it adds to the output."""
        operator, (channel, n) = self._operator, self._place(lane, first)
        to_exponent, to_state = (Shift(fixed.load(lane, index)) for index in (1, 2))
        step_size, value = bind(self._delta.load([0, channel, t])), bind(self._x.load([0, channel, t]))
        decay = decay_of(operator, to_exponent(step_size * fixed.load(lane, 0)), self._high, self._low)
        kept = Shift(operator.exp_bits)(decay * state.load(lane, 0))
        moved = kept + to_state(bind(step_size * value) * self._b.load([0, n, t]))
        half = 1 << (operator.state_bits - 1)
        new = bind(tirx.max(tirx.min(moved, const(half - 1)), const(-half)))
        state.store(lane, 0, new)
        own = tirx.truncmod(lane, const(self._width))
        part.store(lane, 0, tirx.Select(own < const(self._states), new * self._c.load([0, n, t]), const(0)))

    def _put(self, part: Fragment, fixed: Fragment, lane: Expr, first: Expr, t: Expr) -> None:
        """The output of a channel, by the first of its lanes."""
        channel = bind(first + tirx.truncdiv(lane, const(self._width)))
        begins = tirx.EQ(tirx.truncmod(lane, const(self._width)), const(0))
        with T.If(tirx.all(begins, channel < const(self._channels))), T.Then():
            skipped = fixed.load(lane, 3) * self._x.load([0, channel, t])
            self._finish.store([0, channel, t], bind(part.load(lane, 0) + skipped))

    def _lookup(self, name: str, table: tuple[int, ...]) -> Lookup:
        view = self._build.constant(name, np.array(table, np.int32))
        return lambda index: view.load([index & const((1 << TABLE_BITS) - 1)])
