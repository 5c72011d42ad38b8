"""Convolutions: generated code equals the reference bit for bit, and stays inside the user's arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgeconv.codegen import generate
from edgeconv.codegen.isa.table import ISAS
from edgeconv.codegen.kernels import load_all
from edgeconv.codegen.kernels.registry import select
from edgeconv.codegen.plan import make_plan
from edgeconv.ir import Grid, TensorType, dtype
from edgeconv.ir import operators as ops
from edgeconv.reference import run

from .native import Native
from .programs import BITS, MOST_BITS, Draft

FLOAT_KINDS = (
    "fma_bits_f32",
    "bits_fixed",
    "fma_f32",
    "fixed",
    "fma_offset_f32",
    "fma_f64",
    "fma_f64_offset",
    "mul_shift",
    "wide_mul_shift",
    "steps",
)
INTEGER_KINDS = ("mul_shift", "wide_mul_shift", "steps", "ratio")


@dataclass(frozen=True)
class Case:
    """A convolution: input channels and extents, output channels, kernel, and what else is not ordinary."""

    name: str
    channels: int
    extents: tuple[int, ...]
    outputs: int
    kernel: tuple[int, ...]
    strides: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()
    pads: tuple[int, ...] = ()
    groups: int = 1
    x: str = "u8"
    w: str = "i8"
    y: str = "u8"
    zero_point: int = 7

    @property
    def rank(self) -> int:
        return len(self.extents)


CASES = (
    Case("first_layer_of_one_channel", 1, (32,), 16, (5,), (2,), (), (2, 2)),
    Case("samples_of_an_adc", 1, (40,), 16, (5,), (2,), (), (2, 2), x="u12"),
    Case("full_16_bit_samples", 3, (19,), 20, (4,), (1,), (), (1, 2), x="u16", zero_point=32768),
    Case("signed_16_bit_to_16_bit", 6, (17,), 33, (3,), (1,), (), (1, 1), x="i16", y="i16", zero_point=-5),
    Case("two_panels", 32, (16,), 64, (5,), (2,), (), (2, 2)),
    Case("signed_activations", 12, (21,), 48, (7,), (1,), (), (3, 3), x="i8", y="i8", zero_point=-3),
    Case("odd_channels", 13, (11,), 37, (3,), (2,), (), (0, 1), y="u5", zero_point=0),
    Case("dilated", 5, (23,), 17, (3,), (2,), (3,), (3, 3)),
    Case("grouped", 12, (9,), 24, (3,), (1,), (), (1, 1), groups=3),
    Case("depthwise", 7, (13,), 7, (3,), (1,), (), (1, 1), groups=7),
    Case("image", 3, (9, 11), 24, (3, 3), (2, 2), (), (1, 1, 1, 1)),
    Case("image_with_unequal_pads", 8, (6, 7), 70, (2, 3), (1, 2), (2, 1), (0, 1, 2, 1)),
    Case("pointwise", 20, (5, 6), 32, (1, 1)),
    Case("one_way", 16, (6, 8), 16, (5, 1), (), (), (2, 0, 2, 0), w="i4", y="u2"),
    Case("wide_weights", 4, (12,), 16, (3,), (1,), (), (1, 1), w="i10"),
    Case("one_position", 4, (3,), 5, (3,)),
    Case("half_vectors_for_two_positions", 24, (5, 9), 24, (5, 1), (), (), (2, 0, 2, 0)),
    Case("half_vectors_at_an_odd_end", 8, (27,), 40, (3,), (1,), (), (1, 1), x="i8", y="i8"),
    Case("few_channels_for_two_positions", 24, (4, 7), 1, (1, 1), y="i16", zero_point=0),
    Case("half_vectors_of_words", 5, (2, 6), 6, (1, 3), (), (), (0, 1, 0, 1), x="i16", zero_point=-9),
    Case("rows_of_less_than_full_vectors", 8, (3, 21), 28, (1, 1), x="i8", y="i7", zero_point=-4),
    Case("quarters_of_vectors", 12, (37,), 20, (3,), (1,), (), (1, 1)),
    Case("rows_of_words_without_gaps", 16, (4, 10), 24, (1, 1), y="i16"),
    Case("large_window", 2, (12, 12), 18, (9, 2), (3, 1), (1, 3), (4, 0, 4, 3)),
)


def draft(kinds: tuple[str, ...], seed: int, cases: tuple[Case, ...] = CASES) -> Draft:
    """All cases as one program with an input and an output each, so that one compilation serves them all."""
    parts = Draft(np.random.default_rng(seed))
    for number, case in enumerate(cases):
        x, w = dtype(case.x), dtype(case.w)
        name = case.name
        parts.inputs[f"{name}_x"] = TensorType((1, case.channels, *case.extents), x)
        parts.constant(f"{name}_w", case.w, case.outputs, case.channels // case.groups, *case.kernel)
        parts.constant(f"{name}_b", "i12", case.outputs)
        ones = (1,) * case.rank
        conv = ops.Conv(
            f"{name}_acc",
            f"{name}_x",
            f"{name}_w",
            f"{name}_b",
            dtype("i32"),
            case.strides or ones,
            case.dilations or ones,
            case.pads or (0,) * (2 * case.rank),
            case.groups,
            case.zero_point,
        )
        parts.operators.append(conv)
        taps = case.channels // case.groups * int(np.prod(case.kernel))
        reach = taps * (x.hi - x.lo) * -w.lo + 2048
        y = dtype(case.y)
        grid = Grid(y, y.lo, y.hi - (number % 2), zero_point=(y.lo + y.hi) // 3)
        shifted = kinds[number % len(kinds) :] + kinds[: number % len(kinds)]
        if reach > MOST_BITS:
            shifted = tuple("fma_offset_f32" if kind in BITS else kind for kind in shifted)
        if reach >= 1 << 24:  # float32(acc) would round: these forms are not exact by construction
            shifted = tuple("mul_shift" if kind in ("fma_f32", "fixed", "fma_offset_f32") else kind for kind in shifted)
        if y.bits > 8:
            shifted = tuple("mul_shift" if kind == "steps" else kind for kind in shifted)
        parts.outputs.append(parts.requant(f"{name}_y", f"{name}_acc", case.outputs, reach, grid, shifted))
    return parts


@pytest.mark.needs_gcc
@pytest.mark.parametrize("fuse", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_equals_reference(isa: str, fuse: bool, tmp_path: Path) -> None:
    kinds = INTEGER_KINDS if isa == "generic" else FLOAT_KINDS
    parts = draft(kinds, seed=1)
    program = parts.program()
    inputs = parts.arrays(3)
    native = Native(generate(program, parts.forms, isa, fuse=fuse), program, tmp_path)
    expected = run(program, inputs)
    for before in (False, True):
        found = native(inputs, before=before)
        wrong = {name: int((found[name] != expected[name]).sum()) for name in program.outputs}
        assert not any(wrong.values()), wrong


@pytest.mark.needs_gcc
def test_floating_point_forms_without_floating_point(tmp_path: Path) -> None:
    """The integer instruction set computes the float forms with integers, to the same bits."""
    cases = tuple(case for case in CASES if case.y == "u8")[:6]
    parts = draft(("fma_f32", *BITS, "fixed", "fma_offset_f32", "fma_f64", "fma_f64_offset"), seed=2, cases=cases)
    program = parts.program()
    inputs = parts.arrays(2)
    found = Native(generate(program, parts.forms, "generic"), program, tmp_path)(inputs)
    expected = run(program, inputs)
    for name in program.outputs:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@pytest.mark.parametrize("name", ["avx2", "avxvnni", "avx512vnni"])
def test_ordinary_convolutions_take_the_fast_kernel(name: str) -> None:
    parts = draft(FLOAT_KINDS, seed=3)
    load_all()
    plan = make_plan(parts.program(), parts.forms, ISAS[name], fuse=True)
    chosen = {step.output: select(ISAS[name], step).name for step in plan.steps if step.requant}
    assert {output for output, kernel in chosen.items() if kernel == "conv.scalar"} == set()
