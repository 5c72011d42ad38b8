"""Bugs put into the library on purpose: each must be found by a test bench, or by the stand-in types."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edgeconv.ir import Constant, Grid, Linear, Program, TensorType, dtype
from edgeconv.ir import operators as ops
from tests.hls.simulate import Simulation, simulation

pytestmark = pytest.mark.needs_gxx

BUGS = {
    "ties go away from zero": ("library/edge_round.h", "(rest == half && (below & 1) != 0)", "rest == half"),
    "ties go down": ("library/edge_round.h", " || (rest == half && (below & 1) != 0)", ""),
    "padding is the integer zero": (
        "library/edge_conv.h",
        "return 0;  // padding is real zero",
        "return -Shape::ZERO_POINT;",
    ),
    "a row is kept too short": ("library/edge_conv.h", "rows[iy % ROWS][ix]", "rows[(iy + 1) % ROWS][ix]"),
    "rows that no window reaches stay": (
        "library/edge_conv.h",
        "for (int x = 0; x < Shape::WIDTH; ++x) in.read();",
        "",
    ),
    "clipped at the wrong end": ("library/edge_word.h", "value > hi ? T(hi)", "value > hi ? T(lo)"),
    "an accumulator one bit too narrow": (
        "src/net.cpp",
        "    typedef ap_int<8> accumulator;",
        "    typedef ap_int<7> accumulator;",
    ),
}


def _project(changes: dict[str, tuple[str, str]]) -> Simulation:
    """A convolution of few weights whose requantization by 1/4 has ties at every fourth accumulator."""
    weights = np.array([[[1, -1, 1], [2, 1, -2]], [[-1, 1, 1], [-2, 1, 2]]], np.int8)
    program = Program(
        {"x": TensorType((1, 2, 10), dtype("u4"))},
        ("q",),
        (
            ops.Conv("acc", "x", "w", None, dtype("i32"), (3,), (1,), (1, 0), x_zero_point=3),
            ops.Requant("q", "acc", Linear(((Fraction(1, 4),),)), Grid(dtype("u4"), 2, 12, 7)),
        ),
        {"w": Constant(dtype("i8"), weights)},
    )
    random = np.random.default_rng(0)
    anything, extremes = random.integers(0, 16, (40, 1, 2, 10)), random.choice([0, 15], (200, 1, 2, 10))
    x = np.concatenate([anything, extremes]).astype(np.uint8)
    return simulation(program, {"x": x}, changes=changes)


def test_without_a_bug_nothing_differs(tmp_path: Path) -> None:
    assert _project({}).problem(tmp_path) == ""


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_is_found(bug: str, tmp_path: Path) -> None:
    name, old, new = BUGS[bug]
    assert _project({name: (old, new)}).problem(tmp_path) != ""
