"""The selective scan of a vector of channels at a time: channels-last sequences, one state after the other.

Nothing passes between channels, so the lanes never meet. The states of a vector of channels stay in the nearest cache
(64 bytes each): successive states do not depend on one another, which hides the latency of the recurrence in time.
"""

from __future__ import annotations

import numpy as np

from edgeconv.codegen.builder import Builder, View, bind, const
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.elementwise_rows import load_values
from edgeconv.codegen.kernels.panels import Bucket, Finish, can_finish, cut_panels, make_buckets
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.scan_parts import Shift, decay_of, shift_columns
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import operators as ops
from edgeconv.ir.operators.scan import decay_tables


def _can_handle(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if not isinstance(operator, ops.SelectiveScan) or isa.lanes == 1:
        return False
    names = (operator.x, operator.delta, operator.b, operator.c, step.output)
    if any(step.layout(name).order != "channels_last" for name in names):
        return False
    if any(step.layout(name).storage.element not in ("uint8", "int16") for name in names[:-1]):
        return False
    if step.requant is not None and step.requant.linear.channels > 1 and step.requant.linear.axis != 1:
        return False
    return can_finish(isa, step, range(0, step.type(operator.x).shape[1], isa.lanes))


@kernel(ops.SelectiveScan, "scan.lanes", priority=10, can_handle=_can_handle, fuses=True, parallel=True)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.SelectiveScan)
    scan = _Scan(build, step, operator)
    panels = cut_panels(0, scan.channels, build.isa.lanes, 1)
    for number, bucket in enumerate(make_buckets(step, panels, build.isa.lanes)):
        finish = Finish(build, step, bucket, f"requant.{number}")
        firsts = build.constant(
            f"{step.output}/channels.{number}", np.array([p.first for p in bucket.panels], np.int32)
        )
        with build.parallel(len(bucket.panels)) as index:
            scan.panel(bucket, finish, index, bind(firsts.load([index])))
    return f"{build.isa.lanes} channels at a time, {scan.states} states in turn"


class _Scan:
    """Emits the scan of one vector of channels.

    Attributes:
        channels, states: extents of the operator.
    """

    def __init__(self, build: Builder, step: Step, operator: ops.SelectiveScan) -> None:
        self._build, self._operator, lanes = build, operator, build.isa.lanes
        self.channels, self.states = step.type(operator.a).shape
        self._length = step.type(operator.x).shape[2]
        self._x, self._delta, self._b, self._c = map(build.view, (operator.x, operator.delta, operator.b, operator.c))
        self._y = build.view(step.output)
        constants = step.plan.program.constants
        size = -(-self.channels // lanes) * lanes
        a = np.zeros((size, self.states), np.uint8)
        a[: self.channels] = constants[operator.a].array
        by_state = a.reshape(-1, lanes, self.states).transpose(0, 2, 1)
        self._a = build.constant(f"{step.output}/a", np.ascontiguousarray(by_state))
        skip = np.pad(constants[operator.skip].array.astype(np.int32), (0, size - self.channels))
        self._skip = build.constant(f"{step.output}/skip", skip)
        self._shifts = shift_columns(build, step, operator, size)
        tables = zip(("exp_high", "exp_low"), decay_tables(operator.exp_bits), strict=True)
        self._tables = [(f"{step.output}/{label}", np.array(table)) for label, table in tables]
        self._row = -(-self.states // lanes) * lanes
        # Each panel has states and rows of its own: threads share the panels.
        self._state = build.temporary("int32", size * self.states)
        self._rows = build.temporary("int32", size // lanes * 2 * self._row)

    def panel(self, bucket: Bucket, finish: Finish, index: Expr, first: Expr) -> None:
        """The whole sequence of the channels from `first` on."""
        build, lanes = self._build, self._build.isa.lanes
        to_exponent, to_state = (Shift(column.vload(first, lanes), lanes) for column in self._shifts)
        high, low = (build.isa.lookup(build, *table) for table in self._tables)
        skip = bind(self._skip.vload(first, lanes))
        states, rows = bind(first * self.states), bind(first // lanes * (2 * self._row))
        with build.loop(self.states, opaque=True) as n:
            self._state.vstore(states + n * lanes, const(0, "int32", lanes), lanes)
        with build.loop(self._length, opaque=True) as t:
            delta, x = (self._values(view, first, t) for view in (self._delta, self._x))
            self._spread(self._b, t, rows)
            self._spread(self._c, t, rows + self._row)
            product, total = bind(delta * x), build.local("int32", lanes)
            total.store("int32", 0, skip * x, lanes)
            with build.loop(self.states, opaque=True) as n:
                place = bind(states + n * lanes)
                a = self._a.vload(place, lanes).astype(f"int32x{lanes}")
                decay = decay_of(self._operator, to_exponent(delta * a), high, low, lanes)
                inputs = to_state(product * tirx.Broadcast(self._rows.vload(rows + n, 1), lanes))
                new = self._advanced(place, decay, inputs)
                c = tirx.Broadcast(self._rows.vload(rows + (self._row + n), 1), lanes)
                total.store("int32", 0, total.load("int32", 0, lanes) + new * c, lanes)
            target = self._y.layout.base + t * self._y.layout.stride(2) + first
            vectors = finish.values(index, 0, [bind(total.load("int32", 0, lanes))])
            finish.store([bind(target)], vectors, [bucket.panels[0].count])

    def _advanced(self, place: Expr, decay: Expr, inputs: Expr) -> Expr:
        """The next state of a vector of channels, stored in the place of the last."""
        lanes, half = self._build.isa.lanes, 1 << (self._operator.state_bits - 1)
        kept = Shift(self._operator.exp_bits, lanes)(decay * self._state.vload(place, lanes))
        most, least = const(half - 1, "int32", lanes), const(-half, "int32", lanes)
        new = bind(tirx.max(tirx.min(kept + inputs, most), least))
        self._state.vstore(place, new, lanes)
        return new

    def _values(self, view: View, first: Expr, t: Expr) -> Expr:
        layout = view.layout
        return load_values(view, layout.base + t * layout.stride(2) + first, self._build.isa.lanes)

    def _spread(self, view: View, t: Expr, rows: Expr) -> None:
        """The values of all states at one time as int32, from which one is broadcast faster than from bytes."""
        lanes = self._build.isa.lanes
        for start in range(0, self._row, lanes):
            self._rows.vstore(rows + start, self._values(view, start, t), lanes)
