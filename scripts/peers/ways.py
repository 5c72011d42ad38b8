"""Ways to run a network, each with a turn to measure and an output to judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "NetworkFiles", "Unavailable", "Way"]

Array = NDArray[np.float32]


class Unavailable(Exception):
    """A peer cannot run a network, with the reason."""


@dataclass(frozen=True)
class NetworkFiles:
    """A network on disk: float and quantized ONNX by style, and a folder for what else is made of it."""

    name: str
    float_model: Path
    quantized: dict[str, Path]
    folder: Path


@dataclass(frozen=True)
class Way:
    """One way to run one network.

    Attributes:
        peer: the runtime.
        style: how it is quantized.
        how: "python" (numpy in, numpy out), "bound" (buffers bound beforehand) or "native".
        measure: one turn: seconds of calls, one after the other.
        output: float output for a float input, as a channels-first array.
    """

    peer: str
    style: str
    how: str
    measure: Callable[[], list[float]]
    output: Callable[[Array], Array]

    @property
    def label(self) -> str:
        """For tables."""
        return f"{self.peer}, {self.style}" if self.style else self.peer


def first_output(results: Any) -> Array:
    """The first of several outputs as a float32 array of its own."""
    return np.array(results, np.float32)
