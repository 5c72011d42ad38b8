"""The selective scan, one state at a time: any layout and type."""

from __future__ import annotations

import numpy as np

from edgeconv.codegen.builder import Builder, bind, const
from edgeconv.codegen.kernels.accumulator import ScalarFinish
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.scan_parts import Lookup, Shift, decay_of, shift_columns
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import tirx
from edgeconv.ir import operators as ops
from edgeconv.ir.operators.scan import TABLE_BITS, decay_tables


@kernel(ops.SelectiveScan, "scan.scalar", fuses=True, parallel=True)
def _scan(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.SelectiveScan)
    channels, states = step.type(operator.a).shape
    length = step.type(operator.x).shape[2]
    x, delta, a, b, c, skip = (build.view(name) for name in operator.operands)
    finish = ScalarFinish(build, step)
    # A row of states for each channel: threads share the channels.
    state = build.temporary("int32", channels * states)
    columns = shift_columns(build, step, operator, channels)
    high, low = _lookups(build, step, operator)
    half, drop_decay = 1 << (operator.state_bits - 1), Shift(operator.exp_bits)
    with build.parallel(channels) as channel:
        to_exponent, to_state = (Shift(column.load([channel])) for column in columns)
        with build.loop(states) as n:
            state.store([channel * states + n], const(0))
        with build.loop(length) as t:
            step_size, value = bind(delta.load([0, channel, t])), bind(x.load([0, channel, t]))
            product, total = bind(step_size * value), build.local("int32", 1)
            total.store("int32", 0, skip.load([channel]) * value)
            with build.loop(states) as n:
                decay = decay_of(operator, to_exponent(step_size * a.load([channel, n])), high, low)
                kept = drop_decay(decay * state.load([channel * states + n]))
                moved = kept + to_state(product * b.load([0, n, t]))
                new = bind(tirx.max(tirx.min(moved, const(half - 1)), const(-half)))
                state.store([channel * states + n], new)
                total.store("int32", 0, total.load("int32", 0) + new * c.load([0, n, t]))
            finish.store([0, channel, t], total.load("int32", 0))
    return "one state at a time"


def _lookups(build: Builder, step: Step, operator: ops.SelectiveScan) -> list[Lookup]:
    def lookup(label: str, table: tuple[int, ...]) -> Lookup:
        view = build.constant(f"{step.output}/{label}", np.array(table, np.int32))
        return lambda index: view.load([index & const((1 << TABLE_BITS) - 1)])

    high, low = decay_tables(operator.exp_bits)
    return [lookup("exp_high", high), lookup("exp_low", low)]
