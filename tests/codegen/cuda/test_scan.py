"""The selective scan by warps: states that fill a warp's lanes and states that do not, channels that are left over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeconv.codegen.cuda import generate_cuda, generate_loops
from edgeconv.codegen.cuda.shape import Shape
from edgeconv.ir import Grid, Program, TensorType, dtype
from edgeconv.ir import operators as ops
from edgeconv.reference import run
from tests.codegen.native import Native
from tests.codegen.programs import Draft
from tests.cuda_machine.direct import run_directly

pytestmark = pytest.mark.needs_gcc
_SHAPES = {
    "16 samples": Shape(whole=True, threads=64, samples=16),
    "1 sample": Shape(whole=True, threads=128),
    "grid": Shape(whole=False, threads=64),
}
# channels, states, length, bits of exp and state, whether each channel has its shifts
_SCANS = ((5, 16, 9, 15, 16, True), (7, 3, 6, 12, 14, False), (33, 2, 4, 15, 12, True), (3, 32, 5, 14, 16, False))


def _scans() -> Draft:
    parts = Draft(np.random.default_rng(12))
    for number, (channels, states, length, exp_bits, state_bits, own) in enumerate(_SCANS):
        sizes = {"x": ("i8", channels), "delta": ("u16", channels), "b": ("i8", states), "c": ("i8", states)}
        for name, (element, extent) in sizes.items():
            parts.inputs[f"{name}{number}"] = TensorType((1, extent, length), dtype(element))
        parts.constant(f"a{number}", "u8", channels, states)
        parts.constant(f"skip{number}", "i16", channels)
        names = [f"{name}{number}" for name in ("x", "delta", "a", "b", "c", "skip")]
        count = channels if own else 1
        shifts = [tuple(map(int, parts.rng.integers(low, low + 6, count))) for low in (3, 28 - state_bits)]
        parts.operators.append(ops.SelectiveScan(f"s{number}", *names, *shifts, exp_bits, state_bits))
        if number % 2:
            parts.outputs.append(f"s{number}")
        else:
            grid = Grid.full(dtype("i8"), 3)
            parts.outputs.append(
                parts.requant(f"y{number}", f"s{number}", channels, 1 << 27, grid, ("fma_f64",), axis=1)
            )
    return parts


def _assert_equal(found: dict[str, np.ndarray], program: Program, inputs: dict[str, np.ndarray]) -> None:
    expected = run(program, inputs)
    wrong = {name: int((found[name] != expected[name]).sum()) for name in program.outputs}
    assert not any(wrong.values()), wrong
    assert all(len(np.unique(array)) > 8 for array in expected.values())


@pytest.mark.parametrize("samples", [1, 19])
@pytest.mark.parametrize("shape", _SHAPES)
def test_scans_by_warps_equal_the_reference(shape: str, samples: int, tmp_path: Path) -> None:
    parts = _scans()
    program, inputs = parts.program(), parts.arrays(samples)
    code = generate_loops(program, parts.forms, shape=_SHAPES[shape], backwards=samples == 1)
    _assert_equal(Native(code, program, tmp_path)(inputs), program, inputs)
    used = [entry.detail for entry in code.report if entry.kernel == "scan.warp"]
    assert used == [f"{n} channels of {states} states a warp" for n, states in ((2, 16), (8, 3), (16, 2), (1, 32))]


@pytest.mark.parametrize("shape", ["16 samples", "grid"])
def test_the_printed_scans_equal_the_reference(shape: str, tmp_path: Path) -> None:
    parts = _scans()
    program, inputs = parts.program(), parts.arrays(3)
    code = generate_cuda(program, parts.forms, shape=_SHAPES[shape])
    assert "edge_sum" in code.source
    _assert_equal(run_directly(code, program, inputs, tmp_path), program, inputs)
