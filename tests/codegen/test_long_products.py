"""Small weights on `neon`: products that are added in 16 bits are exact up to the very edge of the proved range."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from edgeconv.codegen.isa.base import Dot
from edgeconv.codegen.isa.table import ISAS
from edgeconv.codegen.kernels import load_all, long_products
from edgeconv.codegen.kernels.long_products import split_panels, sums_fit
from edgeconv.codegen.kernels.panels import Panel
from edgeconv.ir import Grid, Linear, dtype
from edgeconv.ir import operators as ops
from tests.generate import Choices, random_case
from tests.mutation.mutate import mutated
from tests.random_graphs.compare import Graph, compare_graphs
from tests.random_graphs.machines import ARM

from .agreement import Parts, assert_agrees

NEON = ISAS["neon"]
LONG, SWEPT = NEON.long_dots
SHORT = NEON.dots[0]
ALL_BYTES = (0, 255)
_FIRST_SEED = 2_100_000


def cell(total: int) -> np.ndarray:
    """Weights (1 output, 1 run, 64) whose taps 37, 45, 53 and 61, which one lane adds, have absolute sum `total`."""
    rows = np.zeros((1, 1, 64), np.int64)
    rows[0, 0, 37::8] = (127, -(total - 3 * 64), 64, -1)
    assert np.abs(rows).sum() == total
    return rows


@pytest.mark.parametrize(
    ("total", "stored", "fits"),
    [
        (255, ALL_BYTES, True),
        (256, ALL_BYTES, False),  # 256·128 = 2¹⁵
        (256, (1, 255), True),  # |a - 128| ≤ 127
        (256, (0, 15), False),  # unsigned values of 4 bits lie at -128 … -113
        (300, (120, 135), True),  # signed ones at -8 … 7
    ],
)
def test_the_bound_of_the_range_proof(total: int, stored: tuple[int, int], fits: bool) -> None:
    assert sums_fit(LONG, cell(total), stored) == fits


def test_panels_are_chosen_one_by_one() -> None:
    rows = np.full((48, 1, 64), 63)
    rows[20, 0, 5] = 67
    panels = [Panel(first, 16, 4) for first in (0, 16, 32)]
    parts = split_panels(NEON, SHORT, panels, rows, ALL_BYTES, 4)
    assert parts == [(LONG, [panels[0], panels[2]]), (SHORT, [panels[1]])]
    assert split_panels(ISAS["neon+dotprod"], SHORT, panels, rows, ALL_BYTES, 4) == [(SHORT, panels)]


def test_short_runs_and_few_outputs_keep_the_short_groups() -> None:
    panels = [Panel(0, 16, 4)]
    assert split_panels(NEON, SHORT, panels, np.ones((16, 1, 16), np.int64), ALL_BYTES, 4) == [(SHORT, panels)]
    few = [Panel(0, 4, 1)]
    assert split_panels(NEON, SHORT, few, np.ones((4, 1, 64), np.int64), ALL_BYTES, 4) == [(SHORT, few)]


def extremes(total: int) -> Parts:
    """A convolution in which every lane's four products have one sign and the largest size, Σ|w| = `total`."""
    parts = Parts(seed=total)
    outputs, channels = 16, 64
    w = np.zeros((outputs, channels, 1), np.int64)
    signs = parts.rng.choice([-1, 1], (outputs, channels))
    for lane in range(8):
        for first in (lane, lane + 32):
            w[:, first : first + 32 : 8, 0] = signs[:, first : first + 32 : 8] * (64, 64, 64, total - 192)
    # Stored 0 and 255 are -128 and 127 to the products: each output meets inputs of its weights' signs.
    x = np.where(signs < 0, 255, 0).T
    values = np.concatenate([x, 255 - x], 1)
    name = parts.input("u8", 1, channels, 2 * outputs, values=np.stack([values, values[:, ::-1]])[:, None])
    bias = parts.constant("i32", np.zeros(outputs, np.int64))
    parts.add(ops.Conv(parts.fresh, name, parts.constant("i8", w), bias, dtype("i32"), (1,), (1,), (0, 0), 1, 0))
    return parts


@pytest.mark.needs_qemu
@pytest.mark.parametrize("total", [255, 256])
def test_sums_of_extremes_at_the_edge(total: int, tmp_path: Path) -> None:
    code = assert_agrees(extremes(total), "neon", tmp_path)
    (detail,) = [entry.detail for entry in code.report if entry.kernel == "conv.panels"]
    assert (LONG.name in detail) == (total == 255)


@pytest.mark.needs_qemu
@pytest.mark.parametrize(
    ("total", "function", "old", "new"),
    [
        (256, "sums_fit", "<= _WORD", "<= _WORD + 1"),  # the bound one too large: 2¹⁵ wraps
        (255, "made_signed", "const(128,", "const(0,"),
    ],
)
def test_seeded_bugs_are_seen(total: int, function: str, old: str, new: str, tmp_path: Path) -> None:
    importlib.import_module("edgeconv.codegen.emit")
    load_all()
    with (
        mutated("codegen.kernels.long_products", function, old, new),
        pytest.raises(AssertionError, match=r"'conv t0': '\d+ of 1024'"),
    ):
        assert_agrees(extremes(total), "neon", tmp_path)


CASES = (
    # input channels, outputs, extents, kernel, strides, dilations, pads, groups, weights
    (32, 32, (40,), (3,), (1,), (1,), (1, 1), 1, "i7"),
    (24, 40, (31,), (7,), (2,), (1,), (3, 2), 1, "i6"),
    (12, 20, (33,), (7,), (1,), (1,), (3, 3), 1, "i4"),
    (64, 9, (5,), (3,), (1,), (2,), (2, 2), 1, "i5"),
    (32, 16, (5, 7), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 1, "i7"),
    (64, 64, (4, 2), (1, 1), (1, 1), (1, 1), (0, 0, 0, 0), 1, "i7"),
    (64, 32, (9, 6), (3, 1), (2, 1), (1, 1), (1, 0, 0, 0), 2, "i4"),
)


@pytest.mark.needs_qemu
@pytest.mark.parametrize("fused", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_shapes(fused: bool, tmp_path: Path) -> None:
    parts = Parts(seed=3)
    for number, (channels, outputs, extents, kernel, strides, dilations, pads, groups, narrow) in enumerate(CASES):
        x = parts.input(("u8", "i8")[number % 2], 1, channels, *extents)
        type_ = dtype(narrow)
        w = parts.rng.integers(-type_.hi, type_.hi, (outputs, channels // groups, *kernel), endpoint=True)
        bias = parts.constant("i32", parts.rng.integers(-3000, 3000, outputs))
        weights = parts.constant(narrow, w)
        zero = int(parts.rng.integers(0, 9))
        acc = parts.add(ops.Conv(parts.fresh, x, weights, bias, dtype("i32"), strides, dilations, pads, groups, zero))
        if fused:
            factors = tuple(parts.factor(30_000 / float(np.abs(w).sum())) for _ in range(outputs))
            parts.add(ops.Requant(parts.fresh, acc, Linear((factors,)), Grid.full(dtype("u8"), 90)))
    code = assert_agrees(parts, "neon", tmp_path)
    assert [LONG.name in entry.detail for entry in code.report if entry.operators[0] == "conv"] == [True] * len(CASES)


@pytest.mark.needs_qemu
@pytest.mark.slow
def test_random_convolutions_with_long_groups_wherever_they_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """In graphs of ordinary size they would seldom pay."""
    taken = []

    def recorded(dot: Dot, rows: np.ndarray, stored: tuple[int, int]) -> bool:
        taken.append(sums_fit(dot, rows, stored))
        return taken[-1]

    monkeypatch.setattr(long_products, "_pays", lambda *_: True)
    monkeypatch.setattr(long_products, "_FEWEST_OUTPUTS", 1)
    monkeypatch.setattr(long_products, "sums_fit", recorded)
    cases = [random_case(Choices.seeded(seed), size=1, first="conv") for seed in range(_FIRST_SEED, _FIRST_SEED + 16)]
    graphs = [Graph(f"seed {_FIRST_SEED + n}", case, ("neon",), odd=n % 4, machine=ARM) for n, case in enumerate(cases)]
    found = compare_graphs(graphs)
    assert [compared.report() for compared in found if compared.differences] == []
    assert sum(taken) >= 8
