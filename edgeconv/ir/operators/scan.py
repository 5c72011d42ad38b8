"""The selective scan: a linear recurrence whose decay and input depend on the data (docs/arithmetic.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import cache
from typing import ClassVar

from edgeconv.ir.operators.base import Operator, require, require_integer
from edgeconv.ir.types import DType, TensorType, dtype

TABLE_BITS = 6
"""Each of the two tables of exp has 2^TABLE_BITS entries."""
REACH_BITS = 4
"""Exponents from 2^REACH_BITS on decay as much as the largest below: exp(-16) is 10⁻⁷."""
LOW_BITS = 2 * TABLE_BITS - REACH_BITS
"""The low table steps by 2^-LOW_BITS, the high one by 2^(TABLE_BITS - LOW_BITS)."""
LEAST_EXP_BITS, MOST_EXP_BITS = LOW_BITS + 1, 15
LEAST_STATE_BITS, MOST_STATE_BITS = 8, 16
MOST_SHIFT = 30


@cache
def decay_tables(exp_bits: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(high, low): 2^exp_bits·exp(-i/4) and 2^exp_bits·exp(-i/256) for i < 64, each rounded to the nearest integer."""
    context = Context(prec=40)  # decimal's exp is correctly rounded, on every machine

    def table(steps: int) -> tuple[int, ...]:
        unit = Decimal(1 << exp_bits)
        values = (context.exp(Decimal(-i) / steps) * unit for i in range(1 << TABLE_BITS))
        return tuple(int(value.to_integral_value()) for value in values)

    return table(1 << (LOW_BITS - TABLE_BITS)), table(1 << LOW_BITS)


@dataclass(frozen=True)
class SelectiveScan(Operator):
    """h[d, n] ← exp(-delta[d, t]·a[d, n])·h[d, n] + delta[d, t]·x[d, t]·b[n, t];  y[d, t] = Σ_n h·c[n, t] + skip[d]·x.

    x and delta have the shape (1, channels, length), b and c (1, states, length), the constants a (channels, states)
    and skip (channels,). The state has `state_bits` bits and begins at 0, the decay is a fraction of `exp_bits` bits.
    decay_shifts and input_shifts, one for all channels or one each, bring delta·a to units of 2^-exp_bits and
    delta·x·b to the units of the channel's state. y holds exact sums.
    """

    keyword: ClassVar[str] = "selective_scan"
    operand_fields: ClassVar[tuple[str, ...]] = ("x", "delta", "a", "b", "c", "skip")
    x: str
    delta: str
    a: str
    b: str
    c: str
    skip: str
    decay_shifts: tuple[int, ...]
    input_shifts: tuple[int, ...]
    exp_bits: int = MOST_EXP_BITS
    state_bits: int = MOST_STATE_BITS

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        x, a = types[self.x], types[self.a]
        require(len(x.shape) == 3 and x.shape[0] == 1, f"x of shape {x.shape}", "(1, channels, length)")
        _, channels, length = x.shape
        require(len(a.shape) == 2 and a.shape[0] == channels, f"a of shape {a.shape}", f"({channels}, states)")
        states = a.shape[1]
        require(states >= 1, "no states", "at least one")
        shapes = {self.delta: x.shape, self.b: (1, states, length), self.c: (1, states, length), self.skip: (channels,)}
        for name, shape in shapes.items():
            require(types[name].shape == shape, f"operand %{name} of shape {types[name].shape}", f"{shape}")
        self._check_types(types)
        for label, shifts in (("decay", self.decay_shifts), ("input", self.input_shifts)):
            require(len(shifts) in (1, channels), f"{len(shifts)} {label} shifts", f"1 or {channels}")
            inside = all(1 <= shift <= MOST_SHIFT for shift in shifts)
            require(inside, f"{label} shifts from {min(shifts)} to {max(shifts)}", f"1 to {MOST_SHIFT}")
        self._check_sums(types, states)
        return TensorType(x.shape, dtype("i32"))

    def _check_types(self, types: Mapping[str, TensorType]) -> None:
        for name in self.operands:
            require_integer(name, types[name])
        for name in (self.x, self.a, self.b, self.c):
            require(types[name].dtype.bits <= 8, f"operand %{name} is {types[name].dtype}", "at most 8 bits")
        for name, bits in ((self.delta, 16), (self.a, 8)):
            kind = types[name].dtype
            require(not kind.signed and kind.bits <= bits, f"operand %{name} is {kind}", f"unsigned, {bits} bits")
        for label, bits, least, most in (
            ("exp", self.exp_bits, LEAST_EXP_BITS, MOST_EXP_BITS),
            ("state", self.state_bits, LEAST_STATE_BITS, MOST_STATE_BITS),
        ):
            require(least <= bits <= most, f"{label}_bits of {bits}", f"{least} to {most}")

    def _check_sums(self, types: Mapping[str, TensorType], states: int) -> None:
        """No intermediate value leaves 32 bits, whatever the operands hold."""
        x, delta, b, c, skip = (_reach(types[name].dtype) for name in (self.x, self.delta, self.b, self.c, self.skip))
        product = delta * x * b + (1 << (max(self.input_shifts) - 1))
        require(product < 1 << 31, f"products delta·x·b that reach {product}", "less than 2³¹")
        total = (states * c << (self.state_bits - 1)) + skip * x
        require(total < 1 << 31, f"sums over {states} states that reach {total}", "less than 2³¹")


def _reach(type_: DType) -> int:
    return max(-type_.lo, type_.hi)
