"""What a family of models under `models/` offers, whoever wrote it.

A family is an object found through the entry point group `edgeconv.models`; nothing in edgeconv imports it by name. It
simulates or reads its own data, trains its own network and judges predictions in the units of its users, so that the
command line and the demonstration need to know nothing about detectors, hearts or roads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Comparison", "Demonstrable", "HeldOut", "ModelFamily", "Progress", "TrainedModel", "TrainingProgress"]


@dataclass(frozen=True)
class TrainingProgress:
    """One report of a running training.

    Attributes:
        stage: what is being trained, such as "float" or "quantization-aware".
        step, steps: position within the whole training, all stages together.
        loss: mean loss since the last report.
    """

    stage: str
    step: int
    steps: int
    loss: float


Progress = Callable[[TrainingProgress], None]


@dataclass(frozen=True)
class HeldOut:
    """Data that no training step has seen.

    Attributes:
        inputs: arrays by graph input name, the leading axis counting samples, in the type the graph takes.
        truth: whatever the family's `evaluate` needs beside predictions.
    """

    inputs: dict[str, NDArray[Any]]
    truth: Any


@dataclass(frozen=True)
class Comparison:
    """Several estimators judged on the same held-out data, as a table for people.

    Attributes:
        header: names of the columns, the first one for the estimators.
        rows: one per estimator, as text with units.
        remarks: conclusions in one line each.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remarks: tuple[str, ...] = ()


@runtime_checkable
class TrainedModel(Protocol):
    """A float network and its quantized twin after training."""

    def export_qcdq(self, path: str | Path) -> Path:
        """Write the quantized network as QuantizeLinear / DequantizeLinear ONNX that onnxruntime runs."""
        ...

    def export_qonnx(self, path: str | Path) -> Path:
        """Write the quantized network as QONNX (`Quant` operators)."""
        ...

    def export_float(self, path: str | Path) -> Path:
        """Write the float network as plain ONNX with the same input and output."""
        ...

    def predict_float(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Outputs of the float network."""
        ...

    def predict_quantized(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Outputs of the quantized network as torch computes them."""
        ...


@runtime_checkable
class ModelFamily(Protocol):
    """A family of models: its data, its network, its recipe and its measure of quality."""

    @property
    def name(self) -> str:
        """The name of the entry point."""
        ...

    @property
    def summary(self) -> str:
        """One line for lists of models."""
        ...

    def train(self, *, seed: int = 0, progress: Progress | None = None) -> TrainedModel:
        """Train the default network of the family."""
        ...

    def heldout(self, n: int, seed: int) -> HeldOut:
        """n samples for judging, from another random stream than any training."""
        ...

    def evaluate(self, predictions: NDArray[np.float32], heldout: HeldOut) -> Any:
        """Quality of predictions in the family's own units, as a dataclass."""
        ...


@runtime_checkable
class Demonstrable(Protocol):
    """A family that `edgeconv demo` can show: it compares estimators in the terms of its users and draws them."""

    def compare(self, answers: Mapping[str, NDArray[np.float32]], heldout: HeldOut) -> Comparison:
        """The quality of several answers to the same held-out data, beside bounds and classic methods."""
        ...

    def draw(self, estimators: Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]], folder: Path) -> list[Path]:
        """Write plots (PNG) that compare the estimators; returns their paths."""
        ...
