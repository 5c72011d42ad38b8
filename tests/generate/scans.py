"""Selective scans for random programs: odd numbers of channels and states, all widths, states that saturate."""

from __future__ import annotations

import numpy as np

from edgeconv.ir import TensorType, dtype
from edgeconv.ir import operators as ops
from edgeconv.ir.operators.scan import MOST_SHIFT
from tests.generate.builder import SAMPLES, Builder
from tests.generate.scales import spread_values

_MOST_PRODUCT_BITS = 30


def selective_scan(b: Builder) -> None:
    """A scan of a sequence; its step sizes are a table of another tensor or an input, rounded behind it mostly."""
    choose = b.choose
    candidates = [name for name in b.narrow((3,), 8) if b.types[name].shape[0] == 1]
    if not candidates:
        name = b.add_input(*_tensor(b, (1, choose.pick((3, 8, 17, 40)), choose.integer(1, 9)), ("i8", "u8", "i4")))
        candidates = [name]
    x = candidates[-1]
    _, channels, length = b.types[x].shape
    states = choose.pick((1, 2, 3, 4, 8, 16))
    delta = _step_sizes(b, x)
    one, other = (_sequence(b, states, length) for _ in range(2))
    a = b.constant(dtype("u8"), spread_values(choose, dtype("u8"), (channels, states)))
    skip = b.constant(dtype("i16"), spread_values(choose, dtype("i16"), (channels,)))
    exp_bits = choose.pick((15, 15, 15, 14, 12, 9))
    state_bits = choose.pick((16, 16, 16, 14, 8))
    bits = b.types[delta].dtype.bits
    decays = _shifts(b, channels, bits + 8 - exp_bits - 6, bits + 8 - exp_bits)
    inputs = _shifts(b, channels, bits + 12 - state_bits, bits + 18 - state_bits)
    scan = ops.SelectiveScan(b.name("scan"), x, delta, a, one, other, skip, decays, inputs, exp_bits, state_bits)
    name = b.apply(scan)
    if choose.chance(90):
        b.requant(name)


def _tensor(b: Builder, shape: tuple[int, ...], types: tuple[str, ...]) -> tuple[TensorType, np.ndarray]:
    type_ = dtype(b.choose.pick(types))
    return TensorType(shape, type_), spread_values(b.choose, type_, (SAMPLES, *shape))


def _step_sizes(b: Builder, x: str) -> str:
    """Unsigned numbers of the shape of x; products with x and b stay below 2^_MOST_PRODUCT_BITS."""
    bits = min(16, _MOST_PRODUCT_BITS - 7 - (b.types[x].dtype.bits - b.types[x].dtype.signed))
    kind = f"u{b.choose.pick((bits, bits, 12, 8))}"
    if b.choose.chance(50):
        return b.add_input(*_tensor(b, b.types[x].shape, (kind,)))
    source = b.types[x]
    rows = (source.shape[1],) if b.choose.chance(50) else ()
    values = b.choose.numbers().integers(0, 1 << int(kind[1:]), (*rows, 1 << source.dtype.bits))
    return b.apply(ops.Table(b.name("delta"), x, b.constant(dtype(kind), values)))


def _sequence(b: Builder, states: int, length: int) -> str:
    """A signed sequence of as many rows as there are states: part of a tensor that is there, or an input."""
    found = [
        name for name in b.narrow((3,), 8)
        if b.types[name].dtype.signed and b.types[name].shape[::2] == (1, length) and b.types[name].shape[1] >= states
    ]  # fmt: skip
    if not found or b.choose.chance(50):
        return b.add_input(*_tensor(b, (1, states, length), ("i8", "i8", "i4")))
    name = b.choose.pick(found)
    first = b.choose.integer(0, b.types[name].shape[1] - states)
    part = ops.Slice(b.name("part"), name, (0, first, 0), (1, states, length), (1, 1, 1))
    return b.apply(part)


def _shifts(b: Builder, channels: int, lo: int, hi: int) -> tuple[int, ...]:
    count = channels if b.choose.chance(50) else 1
    shifts = b.choose.numbers().integers(lo, hi, count, endpoint=True)
    return tuple(int(shift) for shift in np.clip(shifts, 1, MOST_SHIFT - 1))
