"""Families without a supernet: every network of the space is trained by itself, by its family's recipe made shorter.

What a training of a few per cent of the recipe's steps says of a network is less than what a whole one says; it ranks
networks, and those that are chosen get the whole recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from edgeconv.quantize.family import Estimator, ModelFamily, Progress, TrainedModel, find_configuration
from edgeconv.quantize.stage import Stage
from edgeconv.search.board import Board
from edgeconv.search.costs import COSTS, COUNTED, costs_of_export, needs_powers_of_two
from edgeconv.search.problem import Constraint, Metric
from edgeconv.search.space import Space, Values

__all__ = ["RecipeEvaluator", "RecipeSearch", "shortened", "steps_of"]


@dataclass(frozen=True)
class RecipeSearch:
    """What a family offers whose networks are trained one by one; it can be pickled.

    Attributes:
        family: trains and exports.
        space: what is searched.
        metrics: the figures of `measure`.
        config: the recipe that networks are trained by.
        apply: that recipe for values of the space: the network's shape and the bits of its layers.
        values: of the space, for the network of a recipe with 8 bits everywhere.
        measure: quality of an estimator, by a configuration, on data that neither training nor test has seen.
        held_out: the same on the data that `family.judge` takes, which no search may look at.
    """

    family: ModelFamily
    space: Space
    metrics: Mapping[str, Metric]
    config: Any
    apply: Callable[[Values, Any], Any]
    values: Callable[[Any], Values]
    measure: Callable[[Estimator, Any], dict[str, float]]
    held_out: Callable[[Estimator, Any], dict[str, float]]

    def own_values(self) -> Values:
        """Of the space, for the recipe's own network with 8 bits everywhere."""
        return self.values(self.config.network)

    def configure(self, values: Values) -> Any:
        """The recipe of the network of these values."""
        return self.apply(values, self.config)

    def by(self, configuration: str) -> RecipeSearch:
        """The same, by another recipe of the family.

        Raises:
            UsageError: the family has none of that name.
        """
        return replace(self, config=find_configuration(self.family, configuration))

    def train(
        self, values: Values, seed: int, share: float, wanted: Collection[str], progress: Progress | None = None
    ) -> tuple[TrainedModel, Any]:
        """The trained network of these values and its configuration.

        Args:
            share: of the recipe's steps.
            wanted: names of metrics; scales are the recipe's where none of them needs powers of two.
        """
        config = replace(shortened(self.configure(values), share), seed=seed)
        if needs_powers_of_two(wanted):
            config = replace(config, policy=replace(config.policy, scales="power-of-two"))
        return self.family.train(config, progress=progress), config


def shortened(config: Any, share: float) -> Any:
    """A configuration whose stages have this share of their steps, one at least."""
    return replace(
        config,
        **{name: replace(stage, steps=max(1, round(share * stage.steps))) for name, stage in _stages(config).items()},
    )


def steps_of(config: Any) -> int:
    """Steps of all stages of a configuration."""
    return sum(stage.steps for stage in _stages(config).values())


def _stages(config: Any) -> dict[str, Stage]:
    found = {field.name: getattr(config, field.name) for field in fields(config)}
    return {name: stage for name, stage in found.items() if isinstance(stage, Stage)}


@dataclass
class RecipeEvaluator:
    """Trains a network, judges it, and asks for its costs; an `Evaluator`.

    Attributes:
        task: the family.
        target: for costs.
        wanted: names of metrics.
        share: of the recipe's steps.
        constraints: a network that breaks one by what it costs is not trained, and only its costs are reported.
        cache: folder for costs.
        board: where latencies are measured; this machine when None.
    """

    task: RecipeSearch
    target: str
    wanted: tuple[str, ...]
    share: float
    constraints: tuple[Constraint, ...] = ()
    cache: Path | None = None
    board: Board | None = None

    def prepare(self) -> None:
        """As `Evaluator.prepare`."""
        import torch

        torch.set_num_threads(1)

    def __call__(self, values: Values, seed: int) -> Mapping[str, float]:
        """As `Evaluator.__call__`, but for metrics that are left out where constraints are broken."""
        too_much = self._too_much(values, seed)
        if too_much:
            return too_much
        trained, config = self.task.train(values, seed, self.share, self.wanted)
        found: dict[str, float] = {}
        if set(self.wanted) & set(self.task.metrics):
            found |= self.task.measure(trained.predict_quantized, config)
        found |= costs_of_export(trained.export_qonnx, self.target, self.wanted, self.cache, self.board)
        return {name: found[name] for name in self.wanted}

    def _too_much(self, values: Values, seed: int) -> dict[str, float]:
        """Costs of the untrained network up to those that break a constraint; nothing where all hold."""
        constrained = {c.metric.name for c in self.constraints if c.metric.name in COSTS}
        if not constrained:
            return {}
        untrained, _ = self.task.train(values, seed, 0.0, self.wanted)
        found: dict[str, float] = {}
        # What is counted needs no compiler.
        for names in (constrained & COUNTED, constrained - COUNTED):
            found |= costs_of_export(untrained.export_qonnx, self.target, sorted(names), self.cache, self.board)
            if any(c.violation(found[c.metric.name]) for c in self.constraints if c.metric.name in names):
                return found
        return {}
