"""The selective scan, step by step in time (docs/arithmetic.md, "Selective scan")."""

from __future__ import annotations

import numpy as np

from edgeconv.ir import operators as ops
from edgeconv.ir.operators.scan import LOW_BITS, REACH_BITS, TABLE_BITS, decay_tables
from edgeconv.reference.context import Array, Context, Integers


def selective_scan(context: Context, op: ops.SelectiveScan) -> Array:
    """The recurrence over time of every channel and state; exact sums over the states."""
    x, delta, b, c = (context.integers(name)[:, 0] for name in (op.x, op.delta, op.b, op.c))
    a, skip = (context.constant(name).astype(np.int64) for name in (op.a, op.skip))
    input_shifts = np.array(op.input_shifts)[:, None]
    samples, channels, length = x.shape
    state = np.zeros((samples, channels, a.shape[1]), np.int64)
    y = np.empty_like(x)
    half = 1 << (op.state_bits - 1)
    for t in range(length):
        decay = decays(delta[:, :, t, None] * a, np.array(op.decay_shifts)[:, None], op.exp_bits)
        inputs = (delta[:, :, t] * x[:, :, t])[:, :, None] * b[:, None, :, t]
        kept = shifted(decay * state, np.array(op.exp_bits))
        state = np.clip(kept + shifted(inputs, input_shifts), -half, half - 1)
        y[:, :, t] = (state * c[:, None, :, t]).sum(2) + skip * x[:, :, t]
    return y[:, None]


def decays(exponents: Integers, shifts: Integers, exp_bits: int) -> Integers:
    """2^exp_bits·exp(-exponents / 2^(exp_bits + shifts)): two tables and a linear correction."""
    high, low = (np.array(table) for table in decay_tables(exp_bits))
    v = np.minimum(shifted(exponents, shifts), (1 << (exp_bits + REACH_BITS)) - 1)
    rest_bits = exp_bits - LOW_BITS
    index, rest = v >> rest_bits, v & ((1 << rest_bits) - 1)
    coarse = shifted(high[index >> TABLE_BITS] * low[index & ((1 << TABLE_BITS) - 1)], np.array(exp_bits))
    return shifted(coarse * ((1 << exp_bits) - rest), np.array(exp_bits))


def shifted(value: Integers, shift: Integers) -> Integers:
    """value / 2^shift, rounded half to even; shift >= 1."""
    return np.asarray((value + (1 << (shift - 1)) - 1 + ((value >> shift) & 1)) >> shift)
