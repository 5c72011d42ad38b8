"""Matrix products: generated code equals the reference, also where a reshape moves nothing before them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edgeconv.codegen import generate
from edgeconv.codegen.choices import Blocking, Choices
from edgeconv.codegen.isa.table import ISAS
from edgeconv.codegen.kernels import load_all
from edgeconv.codegen.plan import make_plan
from edgeconv.ir import Constant, Grid, Linear, Program, TensorType, dtype
from edgeconv.ir import operators as ops
from edgeconv.ir.forms import MAGIC_F32, WINDOW, WINDOW_BITS, FmaBitsF32, FmaF32, MulShift, ProvedForms
from edgeconv.reference import run
from edgeconv.runtime.cpu_features import supported_isas
from tests.mutation.mutate import mutated

from .agreement import Parts, assert_agrees
from .native import Native
from .programs import MOST_BITS, Draft

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


FLOAT_KINDS = ("fma_bits_f32", "bits_fixed", "fma_f32", "mul_shift", "fma_f64", "steps")


def _draft(isa: str) -> Draft:
    parts = Draft(np.random.default_rng(4))
    kinds = ("mul_shift", "steps", "ratio") if isa == "generic" else FLOAT_KINDS
    for number, (x, shape, columns, x_zero, w_zero) in enumerate(CASES):
        parts.inputs[f"x{number}"] = TensorType(shape, dtype(x))
        parts.constant(f"w{number}", "i8", shape[-1], columns)
        parts.constant(f"b{number}", "i16", columns)
        names = (f"a{number}", f"x{number}", f"w{number}", f"b{number}")
        parts.operators.append(ops.MatMul(*names, dtype("i32"), x_zero, w_zero))
        reach = MOST_BITS if kinds == FLOAT_KINDS else 1 << 23
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
    fixes = ((3, 1), (-7, -1))
    x = np.arange(-128, 128, dtype=np.int8).reshape(-1, 1, 4)
    moved = x.astype(np.int64) + (x == 3) - (x == -7)
    for form in (FmaF32(0.5, fixes), bits_form(0.5, fixes)):
        forms = {"y": ProvedForms("y", (form,), (((-128, 127),),))}
        folder = tmp_path / form.kind
        folder.mkdir()
        found = Native(generate(program, forms, isa), program, folder)({"x": x})["y"]
        np.testing.assert_array_equal(found, np.rint(moved / 2).astype(np.int8))


def bits_form(factor: float, fixes: tuple[tuple[int, int], ...] = ()) -> FmaBitsF32:
    """round(acc·factor) for a dyadic factor and accumulators of 16 bits."""
    first = WINDOW + (1 << 17)
    return FmaBitsF32(factor, MAGIC_F32 - first * factor, first - WINDOW + WINDOW_BITS, fixes)


@pytest.mark.needs_gcc
@pytest.mark.parametrize(("y", "zero_point"), [("u8", 20), ("u8", 21), ("i8", -3), ("u6", 5), ("i16", 1)])
@pytest.mark.parametrize("factor", [0.5, 1.25])
def test_sums_that_leave_16_bits_saturate(isa: str, y: str, zero_point: int, factor: float, tmp_path: Path) -> None:
    """Bytes are made of the low 16 bits of a sum only where no sum needs more, and an odd zero point moves no tie."""
    assert rounded_by_bits(isa, Grid.full(dtype(y), zero_point), bits_form(factor), tmp_path)


def rounded_by_bits(isa: str, grid: Grid, form: FmaBitsF32, folder: Path) -> bool:
    """Whether all accumulators of 16 bits are rounded as the reference does."""
    program = Program(
        {"x": TensorType((1, 16), dtype("i16"))},
        ("y",),
        (
            ops.MatMul("a", "x", "w", None, dtype("i32")),
            ops.Requant("y", "a", Linear(((Fraction(form.factor),),), axis=1), grid),
        ),
        {"w": Constant(dtype("i8"), np.eye(16, dtype=np.int8))},
    )
    forms = {"y": ProvedForms("y", (form,), (((-(1 << 15), (1 << 15) - 1),),))}
    x = np.arange(-(1 << 15), 1 << 15, dtype=np.int16).reshape(-1, 1, 16)
    found = Native(generate(program, forms, isa), program, folder)({"x": x})["y"]
    return np.array_equal(found, run(program, {"x": x})["y"])


@pytest.mark.needs_gcc
@pytest.mark.parametrize(
    ("name", "old", "new", "factor", "zero_point"),
    [
        ("_takes_zero", "denominator <= 2 * WINDOW", "denominator <= 0", 0.5, 21),  # an odd zero point turns ties
        ("bits_sign", "not in _INT16", "is None", 1.25, 20),  # sums of more than 16 bits lose their upper half
        ("columns_fma_bits_f32", "at + starts if finish.started else at", "at", 0.5, 20),  # fixes are never met
    ],
)
def test_sums_narrowed_wrongly_would_be_seen(
    name: str, old: str, new: str, factor: float, zero_point: int, tmp_path: Path
) -> None:
    if "avx2" not in supported_isas():
        pytest.skip("this CPU does not run avx2")
    fixes = ((7, -1), (9, -1)) if name == "columns_fma_bits_f32" else ()
    form, grid = bits_form(factor, fixes), Grid.full(dtype("u8"), zero_point)
    before, after = tmp_path / "right", tmp_path / "wrong"
    before.mkdir()
    after.mkdir()
    right = rounded_by_bits("avx2", grid, form, before)
    with mutated("codegen.kernels.bit_forms", name, old, new):
        assert rounded_by_bits("avx2", grid, form, after) != right


@pytest.mark.needs_gcc
@pytest.mark.parametrize("tile", [None, (3, 2), (1, 2)], ids=str)
def test_sums_of_few_columns_dequantized(isa: str, tile: Blocking | None, tmp_path: Path) -> None:
    """Behind the tiles with two sums for AVX-512, LLVM's vectors of straight-line integers gave wrong floats."""
    parts = Parts(seed=12)
    x = parts.input("u8", 1, 37, 31)
    w = parts.constant("i5", parts.rng.integers(-16, 16, (31, 2)))
    sums = parts.add(ops.MatMul(parts.fresh, x, w, None, dtype("i32"), 103, 3))
    factors = tuple(Fraction(int(k), 1 << 16) for k in parts.rng.integers(1, 16, 37))
    offsets = tuple(Fraction(int(k), 2) for k in parts.rng.integers(-1, 4, 37))
    parts.add(ops.Dequantize(parts.fresh, (sums,), Linear((factors,), offsets, axis=1), hi=Fraction(3)))
    assert_agrees(parts, isa, tmp_path, Choices(lambda question: tile))
