"""Depthwise convolution: one- and two-dimensional windows at every stride, channel counts that fill no vector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeconv.codegen.kernels import load_all
from edgeconv.ir import Grid, Linear, dtype
from edgeconv.ir import operators as ops
from tests.mutation.mutate import mutated

from .agreement import Parts, assert_agrees

pytestmark = pytest.mark.needs_gcc

CASES = (
    (24, (7, 9), (3, 3), (1, 1), (1, 1, 1, 1), "u8", "i8"),
    (70, (6, 11), (3, 3), (2, 2), (1, 1, 1, 1), "i8", "i8"),
    (5, (9, 8), (5, 5), (1, 1), (2, 2, 2, 2), "u8", "i4"),
    (16, (9, 8), (3, 3), (2, 1), (0, 0, 1, 1), "u8", "i8"),
    (33, (50,), (7,), (1,), (3, 3), "i8", "i8"),
    (64, (50,), (7,), (2,), (3, 2), "u8", "i8"),
    (20, (6, 7), (1, 5), (1, 1), (0, 2, 0, 2), "u7", "i8"),
    (20, (6, 7), (5, 1), (1, 1), (2, 0, 2, 0), "u8", "i8"),
    (17, (6, 7), (3, 3), (1, 1), (1, 1, 1, 1), "i16", "i8"),
    (3, (1,), (1,), (1,), (0, 0), "u8", "i8"),
    (96, (9, 13), (3, 3), (1, 1), (2, 1, 0, 1), "u8", "i8"),
    (160, (3, 5), (5, 5), (1, 1), (2, 2, 2, 2), "i8", "i8"),
    (48, (7, 21), (3, 3), (2, 1), (1, 1, 1, 1), "u8", "i8"),
    (24, (1, 70), (5, 5), (1, 1), (2, 2, 2, 2), "u8", "i8"),
    (64, (40,), (9,), (1,), (4, 4), "u8", "i8"),
    (12, (200,), (4,), (1,), (3, 0), "u8", "i8"),
    (48, (5, 110), (5, 5), (1, 1), (2, 2, 2, 2), "u8", "i8"),
    (24, (7, 17), (4, 2), (1, 1), (1, 0, 2, 1), "i8", "i8"),
    (24, (2, 2), (5, 3), (1, 1), (4, 2, 2, 1), "u8", "i8"),
)


@pytest.mark.parametrize("fused", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_depthwise(any_isa: str, fused: bool, tmp_path: Path) -> None:
    parts = Parts(seed=8)
    for channels, extents, kernel, strides, pads, x_type, w_type in CASES:
        x = parts.input(x_type, 1, channels, *extents)
        w_values = parts.rng.integers(dtype(w_type).lo, dtype(w_type).hi, (channels, 1, *kernel), endpoint=True)
        w = parts.constant(w_type, w_values)
        bias = parts.constant("i32", parts.rng.integers(-3000, 3000, channels))
        ones = (1,) * len(kernel)
        zero = int(parts.rng.integers(0, 9))
        acc = parts.add(ops.Conv(parts.fresh, x, w, bias, dtype("i32"), strides, ones, pads, channels, zero))
        if fused:
            reach = float(np.abs(w_values).sum() / channels) * (dtype(x_type).hi - dtype(x_type).lo)
            factors = tuple(parts.factor(300 / reach) for _ in range(channels))
            parts.add(ops.Requant(parts.fresh, acc, Linear((factors,)), Grid.full(dtype("u8"), 90)))
    code = assert_agrees(parts, any_isa, tmp_path)
    taken = {entry.kernel for entry in code.report if entry.operators[0] == "conv"}
    vectors = {"conv.depthwise", "conv.depthwise_flat"} if fused else {"conv.depthwise"}
    if fused and any_isa == "avx512vnni":
        vectors.add("conv.depthwise_stacked")
    lanes = {"conv.depthwise_lanes"}
    dotprod = lanes | {"conv.depthwise_flat"} if fused else lanes
    assert taken == {"generic": {"conv.scalar"}, "neon": lanes, "neon+dotprod": dotprod}.get(any_isa, vectors)


@pytest.mark.needs_qemu
def test_a_seeded_bug_in_the_offset_of_signed_bytes_is_seen(tmp_path: Path) -> None:
    parts = Parts(seed=9)
    x = parts.input("u8", 1, 24, 6, 9)
    w = parts.constant("i8", parts.rng.integers(-127, 127, (24, 1, 3, 3), endpoint=True))
    bias = parts.constant("i32", np.zeros(24, np.int64))
    acc = parts.add(ops.Conv(parts.fresh, x, w, bias, dtype("i32"), (1, 1), (1, 1), (1, 1, 1, 1), 24, 0))
    factors = tuple(parts.factor(1 / 400) for _ in range(24))
    parts.add(ops.Requant(parts.fresh, acc, Linear((factors,)), Grid.full(dtype("u8"), 90)))
    load_all()
    with (
        mutated("codegen.kernels.depthwise_flat", "_Flat", "bias + dot.offset *", "bias + 0 *"),
        pytest.raises(AssertionError, match="'requant t1': "),
    ):
        assert_agrees(parts, "neon+dotprod", tmp_path)
