"""Winners of a search: taken out, trained on as any quantized network, judged again, written as ONNX."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeconv.errors import UsageError
from edgeconv.quantize.family import Progress
from edgeconv.quantize.loop import fit
from edgeconv.quantize.stage import Stage
from edgeconv.search.session import SUPERNET, Session
from edgeconv.search.task import FamilyEvaluator, Searchable

__all__ = ["Winner", "export_winner", "fine_tune"]

_BATCH, _LEARNING_RATE = 256, 1e-3
_HUBER = 3.0
"""As in training: beyond so many units errors count linearly."""


@dataclass(frozen=True)
class Winner:
    """A network of a front, exported.

    Attributes:
        path: QONNX file.
        text: its genome.
        steps: of fine-tuning.
        inherited, metrics: of the family's measure, before and after that.
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
        steps: of fine-tuning; 0 exports what the search judged.

    Raises:
        UsageError: the front has no such point.
    """
    front = session.front
    if not 0 <= point < len(front):
        raise UsageError(f"point {point} of a front of {len(front)}", expected=f"0 to {len(front) - 1}")
    settings, wanted = session.settings, tuple(metric.name for metric in session.problem.metrics)
    evaluator = FamilyEvaluator(settings.family, session.folder / SUPERNET, settings.target, wanted)
    evaluator.prepare()
    task, network = evaluator.network(session.problem.space.values(front[point].genome))
    inherited = task.judge(network)
    metrics = inherited
    if steps:
        fine_tune(network, task, steps, settings.seed, progress)
        metrics = task.judge(network)
    task.export(network, path)
    return Winner(path, session.problem.space.text(front[point].genome), steps, inherited, metrics)


def fine_tune(network: nn.Module, task: Searchable, steps: int, seed: int, progress: Progress | None = None) -> None:
    """Train a network whose outputs have units on the family's batches, in place."""
    mean, spread = (torch.tensor(list(each)) for each in task.units)

    def loss(trained: nn.Module, step: int) -> Tensor:
        x, target, weight = task.batch(np.random.default_rng([seed, step]), _BATCH)
        error = ((trained(x) - mean) / spread - target) * weight
        return F.huber_loss(error, torch.zeros_like(error), delta=_HUBER)

    fit(network, Stage("fine-tuning", steps, _LEARNING_RATE), loss, seed=seed, progress=progress)
