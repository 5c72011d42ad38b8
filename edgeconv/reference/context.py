"""What an operator's reference function sees: the program and the arrays so far."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeconv.ir import Program, TensorType

Array = NDArray[np.generic]
Integers = NDArray[np.int64]


@dataclass
class Context:
    """Arrays by tensor name, each with the sample axis in front; constants carry a sample axis of extent 1."""

    program: Program
    samples: int
    arrays: dict[str, Array] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Array:
        if name not in self.arrays:
            return self.program.constants[name].array[None]
        return self.arrays[name]

    def integers(self, name: str) -> Integers:
        """The tensor as int64."""
        return self[name].astype(np.int64)

    def type(self, name: str) -> TensorType:
        """The type of a tensor."""
        return self.program.types[name]

    def constant(self, name: str) -> Array:
        """A constant, without the sample axis."""
        return self.program.constants[name].array
