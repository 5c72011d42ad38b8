"""Grouped convolutions with few channels a group: along flat rows, or merged; every width, multiplier and window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeconv.codegen.isa.table import ISAS
from edgeconv.codegen.kernels.conv_grouped import merged_weights
from edgeconv.ir import Grid, Linear, dtype
from edgeconv.ir import operators as ops

from .agreement import Parts, assert_agrees

# channels, extents, outputs, groups, kernel, strides, dilations, pads, x, scales
FLAT = (
    (32, (5, 20), 32, 16, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), "u8", 1),
    (32, (4, 21), 32, 8, (1, 3), (1, 1), (1, 1), (0, 1, 0, 1), "i8", 32),
    (12, (7, 9), 12, 6, (3, 1), (2, 1), (1, 1), (1, 0, 1, 0), "u8", 12),
    (20, (37,), 20, 5, (4,), (1,), (1,), (1, 2), "u8", 1),
)
MERGED = (
    (48, (4, 19), 48, 16, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), "u8", 1),
    (20, (5, 9), 40, 20, (3, 3), (1, 1), (2, 1), (2, 1, 2, 1), "u8", 1),
    (24, (33,), 24, 12, (3,), (2,), (1,), (1, 1), "i8", 24),
    (30, (6, 7), 30, 2, (1, 3), (1, 2), (1, 1), (0, 1, 0, 1), "u8", 1),
    (26, (21,), 13, 13, (3,), (1,), (3,), (3, 3), "u8", 0),
    (18, (5, 6), 27, 9, (2, 2), (1, 1), (1, 1), (0, 1, 1, 0), "i16", 1),
)


@pytest.mark.needs_gcc
def test_equals_reference(any_isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=17)
    for channels, extents, outputs, groups, kernel, strides, dilations, pads, x_type, scales in (*FLAT, *MERGED):
        x = parts.input(x_type, 1, channels, *extents)
        w = parts.rng.integers(-128, 127, (outputs, channels // groups, *kernel), endpoint=True)
        bias = parts.constant("i32", parts.rng.integers(-3000, 3000, outputs))
        zero = int(parts.rng.integers(0, 9))
        operator = ops.Conv(
            *(parts.fresh, x, parts.constant("i8", w), bias, dtype("i32"), strides, dilations, pads, groups, zero)
        )
        acc = parts.add(operator)
        if scales:
            reach = 20.0 * w[0].size ** 0.5 * (dtype(x_type).hi - dtype(x_type).lo)
            factors = tuple(parts.factor(300 / reach) for _ in range(scales))
            parts.add(ops.Requant(parts.fresh, acc, Linear((factors,)), Grid.full(dtype("u8"), 90)))
    code = assert_agrees(parts, any_isa, tmp_path)
    taken = [entry.kernel for entry in code.report if entry.operators[0] == "conv"]
    if ISAS[any_isa].lanes == 1:
        assert taken == ["conv.scalar"] * len(taken)
        return
    flat = "conv.panels" if any_isa == "neon" else "conv.grouped_flat"  # which needs dot products of bytes
    assert taken == [flat] * len(FLAT) + ["conv.panels"] * len(MERGED)
    assert any("groups together" in entry.detail for entry in code.report)


def test_merged_weights_are_block_diagonal() -> None:
    w = np.arange(1, 25).reshape(6, 2, 2)  # three groups, two outputs of each
    merged = merged_weights(w, 3, 3)
    assert merged.shape == (6, 6, 2)
    for output in range(6):
        own = slice(output // 2 * 2, output // 2 * 2 + 2)
        assert (merged[output, own] == w[output]).all()
        assert merged[output].sum() == w[output].sum()
    assert (merged_weights(w, 3, 1) == w).all()
