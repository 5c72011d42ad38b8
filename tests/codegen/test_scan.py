"""The selective scan: code of each instruction set on odd numbers of channels and states, widths and types."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeconv.ir import Grid, Linear, dtype
from edgeconv.ir import operators as ops

from .agreement import Parts, assert_agrees, kernels

pytestmark = pytest.mark.needs_gcc

# channels, states, length, types of x, delta, b, c, exp_bits, state_bits
SCANS = [
    (16, 4, 9, ("i8", "u16", "i8", "i8"), 15, 16),
    (33, 16, 5, ("i8", "u16", "i8", "i8"), 15, 16),
    (7, 3, 6, ("u8", "u12", "i4", "u8"), 12, 14),
    (3, 1, 11, ("i5", "u8", "u8", "i8"), 9, 8),
    (70, 2, 3, ("i8", "u16", "i8", "i8"), 15, 12),
    (20, 5, 1, ("i8", "u15", "i8", "i8"), 14, 16),
]


def _scan(parts: Parts, number: int) -> str:
    channels, states, length, elements, exp_bits, state_bits = SCANS[number]
    x, delta = (parts.input(element, 1, channels, length) for element in elements[:2])
    b, c = (parts.input(element, 1, states, length) for element in elements[2:])
    a = parts.constant("u8", parts.rng.integers(0, 256, (channels, states)))
    skip = parts.constant("i20", parts.rng.integers(-(1 << 19), 1 << 19, channels))
    bits = dtype(elements[1]).bits
    count = channels if number % 2 == 0 else 1
    decays = np.maximum(1, parts.rng.integers(bits + 2 - exp_bits, bits + 8 - exp_bits, count))
    inputs = np.maximum(1, parts.rng.integers(bits + 12 - state_bits, bits + 18 - state_bits, count))
    return parts.add(
        ops.SelectiveScan(
            parts.fresh,
            x,
            delta,
            a,
            b,
            c,
            skip,
            tuple(map(int, decays)),
            tuple(map(int, inputs)),
            exp_bits,
            state_bits,
        )
    )


def test_selective_scans(any_isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=8)
    for number, (channels, states, *_) in enumerate(SCANS):
        acc = _scan(parts, number)
        if number % 3 < 2:
            grid = Grid.full(dtype(("i8", "u8", "i16")[number % 3]), number)
            factors = tuple(parts.factor(2.0**-12 / states) for _ in range(channels if number % 2 else 1))
            parts.add(ops.Requant(parts.fresh, acc, Linear((factors,)), grid))
    code = assert_agrees(parts, any_isa, tmp_path)
    assert ("scan.lanes" in kernels(code)) == (any_isa != "generic")
