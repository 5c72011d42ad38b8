"""What a family of models under `models/` offers, whoever wrote it, and how families are found.

A family is an object found through the entry point group `edgeconv.models`; nothing in edgeconv imports it by name. It
simulates or reads its own data, trains its own network and judges predictions in the units of its users, so that the
command line and the demonstration need to know nothing about detectors, hearts or roads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UsageError

if TYPE_CHECKING:
    from edgeconv.quantize.checkpoint import Checkpoints

__all__ = [
    "Comparison",
    "Configurable",
    "Demonstrable",
    "Estimator",
    "HeldOut",
    "ModelCard",
    "ModelFamily",
    "Progress",
    "TrainedModel",
    "TrainingProgress",
    "find_configuration",
    "find_family",
    "list_families",
]

GROUP = "edgeconv.models"
"""The entry point group in which families, also those of users, are registered."""

Estimator = Callable[[NDArray[Any]], NDArray[Any]]
"""From the arrays of a graph's input to those of its output: a torch network, a session, or an artifact's runner."""


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


@dataclass(frozen=True)
class ModelCard:
    """A family in a few words.

    Attributes:
        data: what it is trained on.
        size: weights and multiply-accumulates of its default network.
        metric: how it is judged.
        training: how long its default training takes, and on what.
    """

    data: str
    size: str
    metric: str
    training: str


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

    @property
    def card(self) -> ModelCard:
        """What a list of models says."""
        ...

    @property
    def config(self) -> Any:
        """The recipe: a dataclass that needs no torch, with fields `policy` (a QuantPolicy), `seed` and what else
        decides what comes out."""
        ...

    def train(
        self, config: Any = None, *, progress: Progress | None = None, checkpoints: Checkpoints | None = None
    ) -> TrainedModel:
        """Train a network and its quantized twin.

        Args:
            config: like `config`, which it is when None.
            checkpoints: where the training is kept, so that it can be killed and resumed.
        """
        ...

    def judge(self, estimators: Mapping[str, Estimator], config: Any = None) -> Comparison:
        """The quality of estimators on data that no training of that configuration has seen."""
        ...

    def draw(self, estimators: Mapping[str, Estimator], folder: Path, config: Any = None) -> list[Path]:
        """Write plots (PNG) that compare the estimators; returns their paths."""
        ...


@runtime_checkable
class Demonstrable(Protocol):
    """A family that `edgeconv demo` can show, sample by sample beside what its users know."""

    def heldout(self, n: int, seed: int) -> HeldOut:
        """n samples for judging, from another random stream than any training."""
        ...

    def compare(self, answers: Mapping[str, NDArray[np.float32]], heldout: HeldOut) -> Comparison:
        """The quality of several answers to the same held-out data, beside bounds and classic methods."""
        ...


@runtime_checkable
class Configurable(Protocol):
    """A family with several recipes, each under a name: sizes of its network, or other tasks on the same data."""

    @property
    def configurations(self) -> Mapping[str, Any]:
        """Recipes by name, each as `ModelFamily.config` is one."""
        ...


def find_configuration(family: ModelFamily, name: str) -> Any:
    """The recipe of that name.

    Raises:
        UsageError: the family has none of that name.
    """
    known = family.configurations if isinstance(family, Configurable) else {}
    if name not in known:
        raise UsageError(
            f"'{family.name}' has no configuration '{name}'",
            expected=", ".join(known) or "no name: this family has one configuration only",
            advice=f"`edgeconv models {family.name}` lists them; a file with settings must exist",
        )
    return known[name]


def list_families() -> tuple[ModelFamily, ...]:
    """All families that are registered, by name.

    Raises:
        UsageError: what is registered is no family.
    """
    return tuple(find_family(name) for name in sorted({point.name for point in entry_points(group=GROUP)}))


def find_family(name: str) -> ModelFamily:
    """The family of that name.

    Raises:
        UsageError: there is none, or what is registered is no family.
    """
    found = {point.name: point for point in entry_points(group=GROUP)}
    if name not in found:
        raise UsageError(
            f"no family of models named {name!r}",
            expected=", ".join(sorted(found)) or "an installed one",
            advice="`edgeconv models` lists them; your own registers in the entry point group 'edgeconv.models'",
        )
    family = found[name].load()
    if not isinstance(family, ModelFamily):
        raise UsageError(f"entry point '{name}' ({found[name].value}) is no family", expected="a ModelFamily")
    return family
