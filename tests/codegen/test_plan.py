"""The plan: what is fused, and that tensors alive at the same time never share memory."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from edgeconv.codegen import generate
from edgeconv.codegen.isa.table import ISAS
from edgeconv.codegen.kernels import load_all
from edgeconv.codegen.plan import SLACK, Plan, make_plan
from edgeconv.errors import ProgramError, TargetError
from edgeconv.ir import Grid, Linear, TensorType, dtype
from edgeconv.ir import operators as ops
from edgeconv.ir.forms import AddFmaF32, MulShift, ProvedForms

from .programs import Draft

GRID = Grid.full(dtype("u8"))
WINDOW = ((1,), (1,), (1, 1))


def residual() -> Draft:
    """Three residual blocks of convolutions over (1, 8, 20)."""
    parts = Draft(np.random.default_rng(6))
    parts.inputs["x"] = TensorType((1, 8, 20), dtype("u8"))
    current = "x"
    for block in range(3):
        for conv, source in ((f"b{block}c0", current), (f"b{block}c1", f"b{block}c0_q")):
            parts.constant(f"{conv}_w", "i8", 8, 8, 3)
            parts.operators.append(ops.Conv(conv, source, f"{conv}_w", None, dtype("i32"), *WINDOW))
            parts.operators.append(ops.Requant(f"{conv}_q", conv, Linear(((Fraction(1, 256),),)), GRID))
            parts.forms[f"{conv}_q"] = ProvedForms(f"{conv}_q", (MulShift(1, 0, 8),), (((-(1 << 20), 1 << 20),),))
        total = f"sum{block}"
        half = (Fraction(1, 2),)
        parts.operators.append(ops.Add(total, (current, f"b{block}c1_q"), Linear((half, half)), GRID))
        parts.forms[total] = ProvedForms(total, (AddFmaF32((0.5, 0.5), 0.0),), (((0, 255),), ((0, 255),)))
        current = total
    parts.outputs.append(current)
    return parts


def _plan(parts: Draft, *, fuse: bool = True) -> Plan:
    load_all()
    return make_plan(parts.program(), parts.forms, ISAS["avx2"], fuse=fuse)


def _lives(plan: Plan) -> dict[str, tuple[int, int]]:
    lives: dict[str, tuple[int, int]] = {}
    for index, step in enumerate(plan.steps):
        for name in (step.output, *step.operands):
            if name in plan.places and plan.places[name].space == "arena":
                first, _ = lives.get(name, (index, index))
                lives[name] = (first, index)
    return lives


@pytest.mark.parametrize("fuse", [True, False])
def test_tensors_alive_together_do_not_overlap(fuse: bool) -> None:
    plan = _plan(residual(), fuse=fuse)
    lives = _lives(plan)
    spans = {name: (plan.places[name].at, plan.places[name].at + plan.layouts[name].bytes + SLACK) for name in lives}
    assert max(end for _, end in spans.values()) <= plan.arena_bytes
    for one, (first, last) in lives.items():
        for other, (other_first, other_last) in lives.items():
            # A tensor that dies where another is born may lend its memory, but only as a whole: in place.
            if one < other and first < other_last and other_first < last:
                assert spans[one][1] <= spans[other][0] or spans[other][1] <= spans[one][0], (one, other)


def test_memory_is_used_again() -> None:
    plan = _plan(residual())
    together = sum(plan.layouts[name].bytes + SLACK for name in _lives(plan))
    assert plan.arena_bytes < together / 2


def test_fusion_removes_the_accumulators_and_what_is_only_added() -> None:
    fused, plain = _plan(residual()), _plan(residual(), fuse=False)
    assert {type(step.operator).__name__ for step in fused.steps} == {"Load", "Conv", "Store"}
    assert len(plain.steps) == len(fused.steps) + 6 + 3


def test_an_accumulator_that_is_an_output_is_not_fused() -> None:
    parts = residual()
    parts.outputs.append("b0c0")
    plan = _plan(parts)
    assert "b0c0" in plan.places
    assert any(step.output == "b0c0_q" and step.requant is None for step in plan.steps)


def test_operators_that_no_output_needs_are_left_out() -> None:
    parts = residual()
    parts.operators.append(ops.Reshape("unused", "sum2", (1, 160)))
    assert all(step.output != "unused" for step in _plan(parts).steps)


def test_padding_of_convolutions_becomes_a_halo() -> None:
    plan = _plan(residual())
    halo = plan.layouts["x"].halo
    assert halo is not None
    assert halo.pads == (1, 1)
    assert halo.value == 0


def test_unknown_instruction_set() -> None:
    with pytest.raises(TargetError, match="unknown instruction set 'avx1024'"):
        generate(residual().program(), {}, "avx1024")


def test_requantization_without_form_is_named() -> None:
    with pytest.raises(ProgramError, match="requantization to %b0c0_q has no proved form"):
        generate(residual().program(), {}, "avx512vnni")
