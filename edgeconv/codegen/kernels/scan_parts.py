"""What the kernels of the selective scan share: shifts that round, and the decay of one step; scalars and vectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgeconv.codegen.builder import Builder, View, bind, const
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import operators as ops
from edgeconv.ir.operators.scan import LOW_BITS, REACH_BITS, TABLE_BITS

__all__ = ["Lookup", "Shift", "decay_of", "shift_columns"]

Lookup = Callable[[Expr], Expr]
"""What finds entries of a table of 64; bits of the index above the lowest six do not count."""


class Shift:
    """value ↦ value / 2^shift, rounded half to even, for int32 values of `lanes` lanes.

    Args:
        shift: a number, or an int32 expression that the values share; at least 1.
    """

    def __init__(self, shift: int | Expr, lanes: int = 1) -> None:
        one = self._one = const(1, "int32", lanes)
        if isinstance(shift, int):
            self._shift, self._below_half = const(shift, "int32", lanes), const((1 << (shift - 1)) - 1, "int32", lanes)
        else:
            self._shift = bind(shift)
            self._below_half = bind((one << (self._shift - one)) - one)

    def __call__(self, value: Expr) -> Expr:
        value = bind(value)
        odd = (value >> self._shift) & self._one
        return bind((value + self._below_half + odd) >> self._shift)


def shift_columns(build: Builder, step: Step, operator: ops.SelectiveScan, size: int) -> list[View]:
    """decay_shifts and input_shifts as constants, one for each channel; beyond the channels up to `size` the last."""
    columns = []
    for label, shifts in (("decay_shift", operator.decay_shifts), ("input_shift", operator.input_shifts)):
        channels = step.type(operator.x).shape[1]
        column = np.broadcast_to(np.array(shifts, np.int32), channels)
        columns.append(build.constant(f"{step.output}/{label}", np.pad(column, (0, size - channels), "edge")))
    return columns


def decay_of(operator: ops.SelectiveScan, v: Expr, high: Lookup, low: Lookup, lanes: int = 1) -> Expr:
    """2^exp_bits·exp(-v / 2^exp_bits) by two tables and a linear correction, for v >= 0."""
    bits = operator.exp_bits
    rest_bits = bits - LOW_BITS

    def number(value: int) -> Expr:
        return const(value, "int32", lanes)

    round_off = Shift(bits, lanes)
    v = bind(tirx.min(v, number((1 << (bits + REACH_BITS)) - 1)))
    coarse = round_off(high(v >> number(rest_bits + TABLE_BITS)) * low(v >> number(rest_bits)))
    return round_off(coarse * (number(1 << bits) - (v & number((1 << rest_bits) - 1))))
