"""Programs on the simulated accelerator, compared with the reference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv import reference
from edgeconv.hw.compiler import CompiledNetwork, compile_network
from edgeconv.hw.sim.simulator import SimulatedArray
from edgeconv.hw.spec import ArrayConfig
from edgeconv.integer import ARRAY, prove
from edgeconv.ir import Program

Arrays = Mapping[str, NDArray[np.generic]]


def compile_for_array(program: Program, config: ArrayConfig | None = None) -> CompiledNetwork:
    """Prove and compile."""
    return compile_network(program, prove(program, ARRAY).forms, config)


def check(
    program: Program,
    inputs: Arrays,
    config: ArrayConfig | None = None,
    units: bool = False,
    library: Path | None = None,
) -> CompiledNetwork:
    """Every bit of every output equals the reference, and every sample takes the cycles that the model says."""
    compiled = compile_for_array(program, config)
    array, cycles = SimulatedArray(compiled.image, units, library), []

    def execute(integers: Arrays) -> Arrays:
        run = array.run(integers)
        cycles.extend(run.cycles.tolist())
        return run.outputs

    found = compiled.ends.apply(inputs, reference.run, execute)
    for name, expected in reference.run(program, inputs).items():
        np.testing.assert_array_equal(found[name], expected, err_msg=name)
        assert found[name].dtype == expected.dtype
    assert cycles == [compiled.image.cycles] * len(next(iter(inputs.values())))
    return compiled
