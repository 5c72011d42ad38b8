"""Models of target `c` on the simulated system's processor: the selective scan, which the array lacks."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edgeconv import reference
from edgeconv.api import compile_program
from edgeconv.artifact import read
from edgeconv.artifact.c_target.soft_core import run_on_core
from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.compiler.operators import SCAN_UPDATE_CYCLES
from edgeconv.ir import Constant, Grid, Linear, Program, TensorType, dtype
from edgeconv.ir import operators as ops

pytestmark = [pytest.mark.needs_verilator, pytest.mark.needs_riscv, pytest.mark.needs_gcc]


def scan_program(channels: int, states: int, length: int) -> Program:
    """A scan with step sizes of 16 bits, its sums rounded to 8 bits."""
    rng = np.random.default_rng(channels)
    shapes = {"x": ("i8", channels), "delta": ("u16", channels), "b": ("i8", states), "c": ("i8", states)}
    inputs = {name: TensorType((1, rows, length), dtype(kind)) for name, (kind, rows) in shapes.items()}
    constants = {
        "a": Constant(dtype("u8"), rng.integers(0, 256, (channels, states))),
        "skip": Constant(dtype("i16"), rng.integers(-(1 << 15), 1 << 15, channels)),
    }
    decays = tuple(int(shift) for shift in rng.integers(4, 12, channels))
    scan = ops.SelectiveScan("s", "x", "delta", "a", "b", "c", "skip", decays, (14,))
    rounded = ops.Requant("y", "s", Linear(((Fraction(3, 1 << 17),),)), Grid(dtype("i8"), -128, 127, 3))
    return Program(inputs, ("y",), (scan, rounded), constants)


def inputs_of(program: Program, samples: int) -> dict[str, np.ndarray]:
    """Random integers over the whole range of each input."""
    rng = np.random.default_rng(7)
    return {
        name: rng.integers(t.dtype.lo, t.dtype.hi, (samples, *t.shape), endpoint=True).astype(t.dtype.container)
        for name, t in program.inputs.items()
    }


def test_a_small_scan_runs_on_the_processor_with_every_bit_of_the_reference(tmp_path: Path) -> None:
    channels, states, length = 8, 4, 16
    program = scan_program(channels, states, length)
    artifact = read(compile_program(program, tmp_path / "scan.edge", "c").path)
    inputs = inputs_of(program, 3)
    run = run_on_core(artifact, inputs)
    expected = reference.run(program, inputs)["y"]
    np.testing.assert_array_equal(run.outputs["y"], expected)
    assert len(np.unique(expected)) > 50, "few values saturate"
    per_update = run.cycles / (channels * states * length)
    print(f"{run.cycles.tolist()} cycles, {per_update.mean():.0f} for each state that is updated")
    assert abs(per_update.mean() / SCAN_UPDATE_CYCLES - 1) < 0.1, "what refusals estimate the cost of a scan by"


def test_a_model_that_the_processor_has_no_room_for_is_refused(tmp_path: Path) -> None:
    program = scan_program(64, 8, 32)
    artifact = read(compile_program(program, tmp_path / "scan.edge", "c").path)
    with pytest.raises(UnsupportedModelError, match=r"needs \d+ bytes of the processor's memory.*\n.*at most 16384"):
        run_on_core(artifact, inputs_of(program, 1))
