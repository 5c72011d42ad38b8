"""Transposed convolutions: generated code equals the reference bit for bit on every instruction set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgeconv.codegen.isa.table import ISAS
from edgeconv.ir import Grid, Linear, dtype
from edgeconv.ir import operators as ops

from .agreement import Parts, assert_agrees, kernels


@dataclass(frozen=True)
class Case:
    """A transposed convolution: input channels and extents, output channels, kernel, and what else is not ordinary."""

    channels: int
    extents: tuple[int, ...]
    outputs: int
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()
    output_padding: tuple[int, ...] = ()
    groups: int = 1
    x: str = "u8"
    y: str = "u8"


CASES = (
    Case(8, (9,), 16, (4,), (2,), (1, 1)),
    Case(3, (7,), 5, (2,), (2,)),
    Case(16, (6,), 33, (5,), (3,), (2, 1), output_padding=(2,)),
    Case(4, (8,), 17, (3,), (1,), (1, 1), x="i8", y="i8"),
    Case(5, (6,), 8, (4,), (2,), (1, 2), (3,), x="i16", y="i16"),
    Case(12, (5, 4), 24, (2, 2), (2, 2)),
    Case(16, (4, 5), 16, (4, 4), (2, 2), (1, 1, 1, 1)),
    Case(6, (3, 6), 20, (3, 2), (2, 3), (0, 1, 1, 0), output_padding=(1, 2)),
    Case(2, (4, 3), 4, (1, 1), (2, 3)),
    Case(8, (5, 3), 16, (3, 3), (2, 1), (1, 1, 1, 1), (1, 2), groups=2),
)
DEPTHWISE = (
    Case(1, (1, 1), 1, (3, 3), (2, 2)),
    Case(6, (7,), 6, (4,), (2,), (1, 1), groups=6),
    Case(70, (5, 4), 70, (3, 4), (2, 2), (1, 0, 1, 1), groups=70, x="i8"),
    Case(16, (4, 3), 16, (2, 2), (3, 2), (), (1, 2), (1, 0), groups=16, x="i16", y="i16"),
)
SCALAR = (Case(2, (3,), 3, (40,), (20,), (7, 3)),)


def add(parts: Parts, case: Case, weights: str = "i8") -> None:
    """The operator, requantized per channel."""
    rank, x, y = len(case.extents), dtype(case.x), dtype(case.y)
    ones, zeros = (1,) * rank, (0,) * rank
    shape = (case.outputs, case.channels // case.groups, *case.kernel)
    w = dtype(weights)
    conv = ops.ConvTranspose(
        parts.fresh, parts.input(case.x, 1, case.channels, *case.extents),
        parts.constant(weights, parts.rng.integers(w.lo, w.hi + 1, shape)),
        parts.constant("i32", parts.rng.integers(-4000, 4000, case.outputs)), dtype("i32"),
        case.strides, case.dilations or ones, case.pads or zeros * 2, case.output_padding or zeros, case.groups,
        int(parts.rng.integers(x.lo, x.hi)),
    )  # fmt: skip
    size = 2.0 ** (y.bits - x.bits) / (np.sqrt(np.prod(shape[1:])) * w.hi)
    linear = Linear((tuple(parts.factor(size) for _ in range(case.outputs)),), axis=1)
    grid = Grid(y, y.lo, y.hi, (y.lo + y.hi) // 3)
    accumulator = parts.add(conv)
    parts.add(ops.Requant(parts.fresh, accumulator, linear, grid))


@pytest.mark.needs_gcc
def test_equals_reference(isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=5)
    for case in (*CASES, *DEPTHWISE, *SCALAR):
        add(parts, case)
    code = assert_agrees(parts, isa, tmp_path)
    vectors = ISAS[isa].lanes > 1
    for kernel, cases in (("panels", CASES), ("depthwise", DEPTHWISE)):
        taken = sum(entry.kernel == f"conv_transpose.{kernel}" for entry in code.report)
        assert taken == (len(cases) if vectors else 0)


@pytest.mark.needs_gcc
def test_weights_of_16_bits_and_sums_of_64_equal_the_reference(isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=6)
    add(parts, CASES[0], "i12")
    x, w = parts.input("i16", 1, 3, 5), parts.constant("i16", parts.rng.integers(-32768, 32768, (4, 3, 3)))
    acc = parts.add(ops.ConvTranspose(parts.fresh, x, w, None, dtype("i64"), (2,), (1,), (1, 1), (1,), 1, -5))
    linear = Linear((tuple(parts.factor(2.0**-24) for _ in range(4)),), axis=1)
    parts.add(ops.Requant(parts.fresh, acc, linear, Grid(dtype("i8"), -128, 127)))
    assert "conv_transpose.scalar" in kernels(assert_agrees(parts, isa, tmp_path))


@pytest.mark.needs_gcc
def test_accumulators_that_nothing_requantizes_are_stored(isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=7)
    x, w = parts.input("u8", 1, 4, 5, 3), parts.constant("i8", parts.rng.integers(-128, 128, (18, 4, 3, 2)))
    parts.add(ops.ConvTranspose(parts.fresh, x, w, None, dtype("i32"), (2, 2), (1, 1), (1, 0, 0, 1), (0, 1), 1, 9))
    assert_agrees(parts, isa, tmp_path)
