"""Blockings never change a result: every kernel that has a choice equals the reference with other picks, too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeconv.codegen import fusion
from edgeconv.codegen.choices import Blocking, Choices, Question
from edgeconv.ir import Grid, Linear, dtype
from edgeconv.ir import operators as ops
from edgeconv.runtime.cpu_features import supported_isas

from .agreement import Parts, assert_agrees
from .test_bands import EVERY_CHAIN, chain_of

# channels, extents, outputs, groups, kernel, strides, pads: convolutions of every kind of kernel
CONVOLUTIONS = (
    (24, (41,), 72, 1, (3,), (1,), (1, 1)),
    (12, (33,), 24, 3, (3,), (1,), (1, 1)),
    (33, (18,), 3, 1, (3,), (1,), (1, 2)),
    (24, (3, 37), 1, 1, (1, 3), (1, 1), (0, 1, 0, 1)),
    (16, (7, 22), 16, 16, (3, 3), (2, 2), (1, 1, 1, 1)),
    (16, (7, 21), 16, 16, (3, 3), (1, 1), (1, 1, 1, 1)),
    (16, (5, 50), 16, 16, (5, 5), (1, 1), (2, 2, 2, 2)),
)
DENSE = {"conv.panels", "conv_transpose.panels", "matmul.panels"}
FEW = {"conv.few", "conv.few_flat"}
ASKING = {
    "avx2": DENSE | FEW | {"matmul.dynamic", "conv.depthwise", "conv.depthwise_flat"},
    "avx512vnni": DENSE | FEW | {"matmul.dynamic", "conv.depthwise", "conv.depthwise_flat", "conv.depthwise_stacked"},
    "neon": DENSE | {"conv.depthwise_lanes"},
    "neon+dotprod": DENSE | {"matmul.dynamic", "conv.depthwise_lanes", "conv.depthwise_flat"},
}
"""The kernels that have a choice, by instruction set."""


def _another(seed: int, picks: dict[str, Blocking]) -> Callable[[Question], Blocking]:
    """Picks any candidate but the cycle model's, and notes it."""
    rng = np.random.default_rng(seed)

    def pick(question: Question) -> Blocking:
        first = min(1, len(question.candidates) - 1)
        picked = question.candidates[int(rng.integers(first, len(question.candidates)))]
        picks[f"{question.output} {question.part}"] = picked
        return picked

    return pick


def _requantize(parts: Parts, acc: str, terms: int) -> None:
    linear = Linear(((parts.factor(1 / (60.0 * terms**0.5)),),))
    parts.add(ops.Requant(parts.fresh, acc, linear, Grid(dtype("u8"), 9, 250, 20)))


def _network() -> Parts:
    parts = Parts(seed=41)
    for channels, extents, outputs, groups, kernel, strides, pads in CONVOLUTIONS:
        x = parts.input("u8", 1, channels, *extents)
        shape = (outputs, channels // groups, *kernel)
        w = parts.constant("i8", parts.rng.integers(-128, 127, shape, endpoint=True))
        bias = parts.constant("i32", parts.rng.integers(-3000, 3000, outputs))
        ones = (1,) * len(kernel)
        conv = ops.Conv(parts.fresh, x, w, bias, dtype("i32"), strides, ones, pads, groups, 3)
        _requantize(parts, parts.add(conv), int(np.prod(shape[1:])))
    x, w = parts.input("u8", 1, 16, 23), parts.constant("i8", parts.rng.integers(-128, 127, (24, 16, 4)))
    moved = ops.ConvTranspose(parts.fresh, x, w, None, dtype("i32"), (2,), (1,), (1, 1), (0,), 1, 3)
    _requantize(parts, parts.add(moved), 64)
    w = parts.constant("i8", parts.rng.integers(-128, 127, (70, 40)))
    _requantize(parts, parts.add(ops.MatMul(parts.fresh, parts.input("u8", 9, 70), w, None, dtype("i32"))), 70)
    left, right = parts.input("u8", 11, 21), parts.input("u8", 21, 37)
    _requantize(parts, parts.add(ops.MatMul(parts.fresh, left, right, None, dtype("i32"), 4, 100)), 21)
    return parts


@pytest.mark.needs_gcc
@pytest.mark.parametrize(
    "name", [*list(ASKING)[:2], *(pytest.param(name, marks=pytest.mark.needs_qemu) for name in list(ASKING)[2:])]
)
def test_no_pick_changes_a_result(name: str, tmp_path: Path) -> None:
    if name.startswith("avx") and name not in supported_isas():
        pytest.skip(f"this CPU does not run {name}")
    picks: dict[str, Blocking] = {}
    choices = Choices(_another(5, picks))
    code = assert_agrees(_network(), name, tmp_path, choices)
    asking = {entry.output: entry.kernel for entry in code.report if entry.operators[-1] == "requant"}
    assert {asking[question.output] for question in choices.asked} == ASKING[name], picks
    assert all(picks[f"{question.output} {question.part}"] != question.candidates[0] for question in choices.asked)


@pytest.mark.needs_gcc
@pytest.mark.parametrize("seed", [0, 1])
def test_no_pick_changes_a_result_by_bands(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "avx2" not in supported_isas():
        pytest.skip("this CPU does not run avx2")
    monkeypatch.setattr(fusion, "LIMITS", EVERY_CHAIN)
    picks: dict[str, Blocking] = {}
    code = assert_agrees(chain_of(seed), "avx2", tmp_path, Choices(_another(seed, picks)))
    assert any("in bands of" in entry.detail for entry in code.report)
    assert len(picks) > 2


def test_what_is_no_candidate_is_not_taken() -> None:
    question = Question("y", "conv.panels.0", ("rows", "sums each"), ((8, 1), (6, 1)))
    assert Choices.of({("y", "conv.panels.0"): (6, 1)}).answer(question) == (6, 1)
    assert Choices.of({("y", "conv.panels.0"): (7, 1)}).answer(question) == (8, 1)
    assert Choices.of({("z", "conv.panels.0"): (6, 1)}).answer(question) == (8, 1)
    assert Choices.of({}).answer(question) == (8, 1)


def test_questions_with_one_answer_are_not_kept() -> None:
    choices = Choices()
    single, several = Question("y", "a", ("rows",), ((1,),)), Question("y", "b", ("rows",), ((1,), (2,)))
    for question in (single, several, several):
        choices.answer(question)
    assert choices.asked == (several,)
