"""Matrix products: generated code equals the reference, also where a reshape moves nothing before them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edgeconv.codegen import generate
from edgeconv.codegen.isa.table import ISAS
from edgeconv.codegen.kernels import load_all
from edgeconv.codegen.plan import make_plan
from edgeconv.ir import Constant, Grid, Linear, Program, TensorType, dtype
from edgeconv.ir import operators as ops
from edgeconv.ir.forms import FmaF32, MulShift, ProvedForms
from edgeconv.reference import run

from .native import Native
from .programs import Draft

# x type, shape of x, columns, x zero point, w zero point
CASES = (
    ("u8", (1, 512), 64, 3, 0),
    ("u8", (1, 64), 2, 0, 0),
    ("i8", (1, 70), 33, -4, 2),
    ("u8", (7, 21), 19, 128, 0),
    ("i16", (1, 40), 16, 100, 0),
    ("u12", (5, 9), 130, 0, -1),
    ("u8", (2, 3, 17), 48, 9, 0),
    ("i8", (1, 1), 20, 5, 0),
)


def _draft(isa: str) -> Draft:
    parts = Draft(np.random.default_rng(4))
    kinds = ("mul_shift", "steps", "ratio") if isa == "generic" else ("fma_f32", "mul_shift", "fma_f64", "steps")
    for number, (x, shape, columns, x_zero, w_zero) in enumerate(CASES):
        parts.inputs[f"x{number}"] = TensorType(shape, dtype(x))
        parts.constant(f"w{number}", "i8", shape[-1], columns)
        parts.constant(f"b{number}", "i16", columns)
        names = (f"a{number}", f"x{number}", f"w{number}", f"b{number}")
        parts.operators.append(ops.MatMul(*names, dtype("i32"), x_zero, w_zero))
        reach = 1 << 23
        grid = Grid.full(dtype("u8"), 20)
        last = len(shape) - 1
        parts.outputs.append(parts.requant(f"y{number}", f"a{number}", columns, reach, grid, kinds, axis=last))
    return parts


@pytest.mark.needs_gcc
def test_equals_reference(isa: str, tmp_path: Path) -> None:
    parts = _draft(isa)
    program = parts.program()
    inputs = parts.arrays(3)
    found = Native(generate(program, parts.forms, isa), program, tmp_path)(inputs)
    expected = run(program, inputs)
    wrong = {name: int((found[name] != expected[name]).sum()) for name in program.outputs}
    assert not any(wrong.values()), wrong


def _flattened(extents: tuple[int, ...], pads_after: bool) -> Draft:
    """conv -> flatten -> matmul; `pads_after` lets a padded convolution read the same tensor, so that it has a halo."""
    parts = Draft(np.random.default_rng(5))
    rank = len(extents)
    parts.inputs["x"] = TensorType((1, 3, *extents), dtype("i8"))
    parts.constant("w", "i8", 9, 3, *(3,) * rank)
    pads = (1,) * (2 * rank)
    parts.operators.append(ops.Conv("a", "x", "w", None, dtype("i32"), (1,) * rank, (1,) * rank, pads, 1, -2))
    linear = Linear(((Fraction(1, 512),),))
    parts.operators.append(ops.Requant("q", "a", linear, Grid.full(dtype("i8"), 5)))
    parts.forms["q"] = ProvedForms("q", (MulShift(1, 0, 9),), (((-(1 << 22), 1 << 22),),))
    size = 9 * int(np.prod(extents))
    parts.operators.append(ops.Reshape("flat", "q", (1, size)))
    parts.constant("m", "i8", size, 4)
    parts.operators.append(ops.MatMul("y", "flat", "m", None, dtype("i32"), 5))
    parts.outputs.append("y")
    if pads_after:
        parts.constant("v", "i8", 2, 9, *(3,) * rank)
        parts.operators.append(ops.Conv("z", "q", "v", None, dtype("i32"), (1,) * rank, (1,) * rank, pads, 1, 5))
        parts.outputs.append("z")
    return parts


@pytest.mark.needs_gcc
@pytest.mark.parametrize("pads_after", [False, True])
@pytest.mark.parametrize("extents", [(10,), (4, 5)])
def test_flattening_moves_nothing(isa: str, extents: tuple[int, ...], pads_after: bool, tmp_path: Path) -> None:
    parts = _flattened(extents, pads_after)
    program = parts.program()
    load_all()
    plan = make_plan(program, parts.forms, ISAS[isa], fuse=True)
    assert not any(isinstance(step.operator, ops.Reshape) for step in plan.steps)
    inputs = parts.arrays(2)
    found = Native(generate(program, parts.forms, isa), program, tmp_path)(inputs)
    expected = run(program, inputs)
    for name in program.outputs:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@pytest.mark.needs_gcc
def test_corrections_change_the_accumulators_they_name(isa: str, tmp_path: Path) -> None:
    """A fix at one accumulator shows in the result exactly there: acc + delta is requantized instead."""
    program = Program(
        {"x": TensorType((1, 4), dtype("i8"))},
        ("y",),
        (
            ops.MatMul("a", "x", "w", None, dtype("i32")),
            ops.Requant("y", "a", Linear(((Fraction(1, 2),),), axis=1), Grid.full(dtype("i8"))),
        ),
        {"w": Constant(dtype("i8"), np.eye(4, dtype=np.int8))},
    )
    forms = {"y": ProvedForms("y", (FmaF32(0.5, ((3, 1), (-7, -1))),), (((-128, 127),),))}
    x = np.arange(-128, 128, dtype=np.int8).reshape(-1, 1, 4)
    found = Native(generate(program, forms, isa), program, tmp_path)({"x": x})["y"]
    moved = x.astype(np.int64) + (x == 3) - (x == -7)
    np.testing.assert_array_equal(found, np.rint(moved / 2).astype(np.int8))
