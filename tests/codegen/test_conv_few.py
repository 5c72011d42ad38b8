"""Convolution into few channels: lanes along the window, any stride and pad, one to four outputs of a position."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeconv.codegen.isa.table import ISAS
from edgeconv.ir import Grid, Linear, dtype
from edgeconv.ir import operators as ops

from .agreement import Parts, assert_agrees, kernels

pytestmark = pytest.mark.needs_gcc

# channels, extents, outputs, kernel, strides, dilations, pads, x
CASES = (
    (24, (5, 37), 1, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), "u8"),
    (24, (9, 41), 2, (3, 3), (2, 2), (1, 1), (1, 0, 0, 2), "i8"),
    (40, (7, 20), 3, (3, 2), (1, 1), (2, 1), (2, 0, 0, 1), "u8"),
    (33, (6, 18), 4, (3, 3), (1, 1), (1, 2), (1, 2, 1, 2), "u7"),
    (70, (1, 16), 1, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0), "u8"),
    (48, (50,), 1, (9,), (1,), (1,), (4, 4), "i8"),
    (64, (45,), 3, (5,), (2,), (1,), (0, 2), "u8"),
    (12, (4, 33), 2, (3, 3), (1, 1), (1, 1), (0, 2, 1, 0), "i8"),
    (16, (3, 16), 3, (2, 5), (2, 1), (1, 1), (1, 2, 0, 2), "u8"),
    (24, (3, 4), 1, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), "u8"),  # shorter than a vector: another kernel's
)


@pytest.mark.slow
@pytest.mark.parametrize("fused", [True, False])
def test_few_outputs(isa: str, fused: bool, tmp_path: Path) -> None:
    parts = Parts(seed=23)
    for channels, extents, outputs, kernel, strides, dilations, pads, x_type in CASES:
        x = parts.input(x_type, 1, channels, *extents)
        w = parts.constant("i8", parts.rng.integers(-128, 127, (outputs, channels, *kernel), endpoint=True))
        bias = parts.constant("i32", parts.rng.integers(-3000, 3000, outputs))
        zero = 0 if x_type == "u7" else 3
        conv = parts.add(ops.Conv(parts.fresh, x, w, bias, dtype("i32"), strides, dilations, pads, 1, zero))
        if fused:
            factors = tuple(parts.factor(1 / (60.0 * channels * np.prod(kernel) ** 0.5)) for _ in range(outputs))
            grid = Grid(dtype("u8"), 9, 250, 20)
            parts.add(ops.Requant(parts.fresh, conv, Linear((factors,)), grid))
    code = assert_agrees(parts, isa, tmp_path)
    for name in ("conv.few", "conv.few_flat"):
        assert (name in kernels(code)) == (ISAS[isa].lanes > 1)
