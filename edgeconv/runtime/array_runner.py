"""What all ways to the accelerator have in common: integers in and out of the array, float ends on the host."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv import reference
from edgeconv.artifact import Artifact
from edgeconv.artifact.array_target.write import ISA
from edgeconv.errors import UsageError
from edgeconv.hw.ends import split_ends
from edgeconv.runtime.runner import Runner, never

__all__ = ["ArrayRunner"]


class ArrayRunner(Runner, ABC):
    """A network on an accelerator; used like any `Runner`.

    Attributes:
        cycles: of each sample of the last call, from the accelerator's own counter.
    """

    def __init__(self, artifact: Artifact, isa: str | None = None, threads: int = 1) -> None:
        if isa not in (None, ISA):
            raise UsageError(f"{artifact.path} does not carry the instruction set '{isa}'", expected=ISA)
        if threads != 1:
            raise UsageError(f"{threads} threads for an accelerator", expected="1")
        self.artifact = artifact
        self.inputs, self.outputs = artifact.manifest.inputs, artifact.manifest.outputs
        self.isa, self.threads = ISA, 1
        self._fast, self._alive = never, None
        self._ends = split_ends(artifact.program())
        self.cycles: NDArray[np.uint32] = np.zeros(0, np.uint32)

    @abstractmethod
    def _execute(self, arrays: Mapping[str, NDArray[Any]]) -> tuple[Mapping[str, NDArray[Any]], NDArray[np.uint32]]:
        """Run the array on integers (n, *shape) by name: outputs by name, cycles of each sample."""

    def _run(self, arrays: list[NDArray[np.generic]], results: list[NDArray[np.generic]], samples: int) -> None:
        if samples == 0:
            return
        self._refuse_outside(arrays)
        given = {
            tensor.name: array.reshape(samples, *tensor.shape)
            for tensor, array in zip(self.inputs, arrays, strict=True)
        }
        found = self._ends.apply(given, reference.run, self._core)
        for tensor, result in zip(self.outputs, results, strict=True):
            result[...] = found[tensor.name].reshape(result.shape)

    def _core(self, arrays: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        outputs, self.cycles = self._execute(arrays)
        return outputs
