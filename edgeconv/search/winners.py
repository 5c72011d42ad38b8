"""Winners of a search: taken out, trained on as any quantized network, judged again, written as ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edgeconv.errors import DivergedError, UsageError
from edgeconv.quantize.convert import make_twin
from edgeconv.quantize.family import Progress
from edgeconv.quantize.layers import FloatLayers
from edgeconv.quantize.loop import fit
from edgeconv.quantize.stage import Stage
from edgeconv.search.loss import weighted_loss
from edgeconv.search.network import ElasticNetwork, policy_of
from edgeconv.search.recipe import RecipeSearch, steps_of
from edgeconv.search.session import SUPERNET, Session
from edgeconv.search.space import Values
from edgeconv.search.task import FamilyEvaluator, Searchable, calibration_batches

__all__ = ["Winner", "export_network", "export_winner", "fine_tune", "train_alone"]

_BATCH, _LEARNING_RATE, _FROM_NOTHING = 256, 4e-3, 5e-3


@dataclass(frozen=True)
class Winner:
    """A network of a study's space, exported.

    Attributes:
        path: QONNX file.
        text: its genome.
        steps: of its training after the search; 0, too, where fine-tuning made everything worse and was taken back.
        inherited, metrics: of the family's measure, in the search and after that.
    """

    path: Path
    text: str
    steps: int
    inherited: dict[str, float]
    metrics: dict[str, float]


def export_winner(
    session: Session, point: int, path: Path, *, steps: int = 0, progress: Progress | None = None
) -> Winner:
    """Export a point of the front.

    Args:
        point: as `search show` numbers them.
        steps: of fine-tuning; 0 exports what the search judged. Where there is no supernet the network is trained anew:
            for so many steps, or as long as in the search.

    Raises:
        UsageError: the front has no such point.
    """
    front = session.front
    if not 0 <= point < len(front):
        raise UsageError(f"point {point} of a front of {len(front)}", expected=f"0 to {len(front) - 1}")
    values = session.problem.space.values(front[point].genome)
    return export_network(session, values, path, steps=steps, judged=front[point].metrics or {}, progress=progress)


def export_network(
    session: Session,
    values: Values,
    path: Path,
    *,
    steps: int = 0,
    judged: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> Winner:
    """Export any network of a study's space.

    Args:
        steps: as of `export_winner`.
        judged: what the search found of it, if it has judged it; where there is a supernet it is judged again.
    """
    settings, wanted = session.settings, tuple(metric.name for metric in session.problem.metrics)
    text = session.problem.space.text(session.problem.space.genome(values))
    task = settings.task()
    if isinstance(task, RecipeSearch):
        inherited = {name: value for name, value in (judged or {}).items() if name in task.metrics}
        share = steps / steps_of(task.configure(values)) if steps else settings.recipe_share
        trained, config = task.train(values, settings.seed, share, wanted, progress)
        trained.export_qonnx(path)
        return Winner(path, text, steps_of(config), inherited, task.measure(trained.predict_quantized, config))
    evaluator = FamilyEvaluator(settings.family, session.folder / SUPERNET, settings.target, wanted)
    evaluator.prepare()
    task, network = evaluator.network(values)
    inherited = task.judge(network)
    metrics = inherited
    if steps:
        network = _fine_tuned(evaluator, values, steps, settings.seed, progress)
        metrics = task.judge(network)
    if steps and _all_worse(task, metrics, inherited):
        # Seen with weights of two bits in few channels: what rounds so coarsely leaps from step to step.
        steps, metrics = 0, inherited
        task, network = evaluator.network(values)
    task.export(network, path)
    return Winner(path, text, steps, inherited, metrics)


def _fine_tuned(
    evaluator: FamilyEvaluator, values: Values, steps: int, seed: int, progress: Progress | None
) -> nn.Module:
    """The network after so many steps: from the start again at a fourth of the learning rate where it diverges."""
    for rate in (_LEARNING_RATE, _LEARNING_RATE / 4, _LEARNING_RATE / 16):
        task, network = evaluator.network(values)
        try:
            fine_tune(network, task, steps, seed, progress, rate)
        except DivergedError as error:
            diverged = error
        else:
            return network
    raise diverged


def _all_worse(task: Searchable, metrics: Mapping[str, float], before: Mapping[str, float]) -> bool:
    signs = {name: -1 if metric.maximize else 1 for name, metric in task.metrics.items()}
    return all(sign * metrics[name] > sign * before[name] for name, sign in signs.items())


def train_alone(task: Searchable, values: Values, steps: tuple[int, int], seed: int) -> nn.Module:
    """The quantized network of these values without any supernet, its outputs in units, in evaluation mode.

    Args:
        steps: with real numbers, and then with rounded ones.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ElasticNetwork(FloatLayers(), task.elastic, values, task.integers)
    network.give_units(task.units)
    _fit(network, task, Stage("float", steps[0], _FROM_NOTHING), seed)
    twin = make_twin(
        lambda layers: ElasticNetwork(layers, task.elastic, values, task.integers),
        network,
        policy_of(task.elastic, values),
        [inputs for inputs, _, _ in calibration_batches(task)],
    )
    fine_tune(twin, task, steps[1], seed)
    return twin


def fine_tune(
    network: nn.Module,
    task: Searchable,
    steps: int,
    seed: int,
    progress: Progress | None = None,
    learning_rate: float = _LEARNING_RATE,
) -> None:
    """Train a network whose outputs have units on the family's batches, in place.

    Raises:
        DivergedError: the loss is not finite; the network is spoiled.
    """
    _fit(network, task, Stage("fine-tuning", steps, learning_rate), seed, progress)


def _fit(network: nn.Module, task: Searchable, stage: Stage, seed: int, progress: Progress | None = None) -> None:
    mean, spread = (torch.tensor(list(each)) for each in task.units)

    def loss(trained: nn.Module, step: int) -> Tensor:
        x, target, weight = task.batch(np.random.default_rng([seed, step]), _BATCH)
        return weighted_loss((trained(x) - mean) / spread - target, weight)

    fit(network, stage, loss, seed=seed, progress=progress)
