"""What a family of models offers to a search, and the evaluator made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from edgeconv.errors import UsageError
from edgeconv.search.costs import COSTS, costs_of_export, needs_powers_of_two
from edgeconv.search.elastic import ElasticConvNet
from edgeconv.search.problem import Metric
from edgeconv.search.recipe import RecipeSearch
from edgeconv.search.space import Space, Values

if TYPE_CHECKING:
    from torch import nn

    from edgeconv.quantize.export import IntegerInput
    from edgeconv.quantize.policy import QuantPolicy
    from edgeconv.search.board import Board
    from edgeconv.search.supernet_training import Batch

__all__ = [
    "FamilyEvaluator",
    "Searchable",
    "calibration_batches",
    "find_elastic",
    "find_family",
    "metrics_of",
    "policy_for",
]

_CALIBRATION_STREAM = 15_485_863
_CALIBRATION = (4, 256)
"""Batches and samples that statistics and ranges of each network are taken from: always the same."""


@runtime_checkable
class Searchable(Protocol):
    """A family of models whose networks are elastic; it is what `family.searchable()` returns."""

    @property
    def space(self) -> Space:
        """What is searched."""
        ...

    @property
    def elastic(self) -> ElasticConvNet:
        """Shapes of the networks."""
        ...

    def own_values(self) -> Values:
        """Of the space, for the network that the family trains without a search, with 8 bits everywhere."""
        ...

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The figures of `judge`."""
        ...

    @property
    def integers(self) -> IntegerInput:
        """What the integers of the input mean."""
        ...

    @property
    def units(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and spread of each output, by which `batch` normalizes its targets."""
        ...

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        """Real inputs, normalized targets and weights of errors for training."""
        ...

    def judge(self, network: nn.Module) -> dict[str, float]:
        """Quality of a network whose outputs have units, on validation data that is always the same."""
        ...

    def export(self, network: nn.Module, path: Path) -> Path:
        """Write the network as QONNX."""
        ...


def find_family(name: str, configuration: str = "") -> Searchable | RecipeSearch:
    """What the family of that name offers to a search.

    Args:
        configuration: which of its recipes networks are trained by; its first when empty.

    Raises:
        UsageError: no family of that name, or one that cannot be searched, or has no such recipe.
    """
    found = entry_points(group="edgeconv.models")
    if name not in found.names:
        raise UsageError(f"no family of models '{name}'", expected=", ".join(sorted(found.names)))
    family = found[name].load()
    if not hasattr(family, "searchable"):
        raise UsageError(f"family '{name}' has no search space", advice="see docs/search.md for what it has to offer")
    task: Searchable | RecipeSearch = family.searchable()
    if not configuration:
        return task
    if not isinstance(task, RecipeSearch):
        raise UsageError(f"configuration '{configuration}' of '{name}'", expected="none: its networks share a supernet")
    return task.by(configuration)


def find_elastic(name: str) -> Searchable:
    """The family of that name, whose networks are parts of a supernet.

    Raises:
        UsageError: as `find_family`; the networks of that family are trained one by one.
    """
    task = find_family(name)
    if isinstance(task, RecipeSearch):
        raise UsageError(f"family '{name}' has no supernet: its networks are trained one by one")
    return task


def policy_for(task: Searchable | RecipeSearch, values: Values) -> QuantPolicy:
    """The bits of a network, under the names of its modules."""
    if isinstance(task, RecipeSearch):
        policy: QuantPolicy = task.configure(values).policy
        return policy
    from edgeconv.search.network import policy_of

    return policy_of(task.elastic, values)


def metrics_of(task: Searchable | RecipeSearch) -> dict[str, Metric]:
    """All metrics by name: those of the family, then costs."""
    return {**task.metrics, **COSTS}


@dataclass
class FamilyEvaluator:
    """Takes a network out of the supernet, judges it, and asks for its costs; an `Evaluator`.

    Attributes:
        family: name of the entry point.
        supernet: file of its weights; every worker must be able to read it.
        target: for costs.
        wanted: names of metrics.
        cache: folder for costs.
        board: where latencies are measured; this machine when None.
    """

    family: str
    supernet: Path
    target: str
    wanted: tuple[str, ...]
    cache: Path | None = None
    board: Board | None = None
    _loaded: Any = field(default=None, repr=False)

    def prepare(self) -> None:
        """As `Evaluator.prepare`."""
        import torch

        from edgeconv.search.supernet_training import load_supernet

        torch.set_num_threads(1)
        task = find_elastic(self.family)
        self._loaded = task, load_supernet(task.elastic, self.supernet), calibration_batches(task)

    def network(self, values: Values) -> tuple[Searchable, nn.Module]:
        """The family and the quantized network of these values, its outputs in units."""
        from edgeconv.search.extract import extract

        task, supernet, calibration = self._loaded
        scales = "power-of-two" if needs_powers_of_two(self.wanted) else "float"
        return task, extract(supernet, values, task.integers, calibration, task.units, scales)

    def __call__(self, values: Values, seed: int) -> Mapping[str, float]:
        """As `Evaluator.__call__`; the supernet, its data and so the result do not depend on the seed."""
        task, network = self.network(values)
        found: dict[str, float] = task.judge(network) if set(self.wanted) & set(task.metrics) else {}
        found |= costs_of_export(partial(task.export, network), self.target, self.wanted, self.cache, self.board)
        return {name: found[name] for name in self.wanted}


def calibration_batches(task: Searchable) -> list[Batch]:
    """What statistics, ranges and last layers are taken from."""
    batches, size = _CALIBRATION
    return [task.batch(np.random.default_rng([_CALIBRATION_STREAM, n]), size) for n in range(batches)]
