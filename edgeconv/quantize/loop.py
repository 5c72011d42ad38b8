"""The training loop that every family shares: batches made on the fly, a warmed-up cosine schedule, progress."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from edgeconv.errors import EdgeconvError, UsageError
from edgeconv.quantize.family import Progress, TrainingProgress
from edgeconv.quantize.optimizer import SOAP

__all__ = ["Stage", "fit"]

_REPORT_EVERY = 50


@dataclass(frozen=True)
class Stage:
    """One stretch of training.

    Attributes:
        name: shown in progress reports.
        steps: optimizer steps, each with a fresh batch.
        learning_rate: the highest one, reached after `warmup` of the steps; a half cosine to zero follows.
    """

    name: str
    steps: int
    learning_rate: float
    warmup: float = 0.05

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.learning_rate > 0 or not 0 <= self.warmup < 1:
            raise UsageError(f"stage {self}", expected="steps >= 1, learning_rate > 0, 0 <= warmup < 1")

    def rate_at(self, step: int) -> float:
        """Learning rate of a step counted from 0."""
        warm = max(1, round(self.warmup * self.steps))
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm)))


def fit(
    network: nn.Module,
    stage: Stage,
    loss: Callable[[nn.Module], Tensor],
    *,
    progress: Progress | None = None,
    done: int = 0,
    total: int | None = None,
) -> None:
    """Train a network in place.

    Args:
        network: left in evaluation mode.
        loss: makes a batch, applies the network to it and returns the scalar to minimize; called once a step.
        progress: told about the training every 50 steps and at the end.
        done, total: steps before this stage, and of all stages, for the progress reports.

    Raises:
        EdgeconvError: the loss is not finite.
    """
    network.train()
    optimizer = SOAP(network.parameters(), stage.learning_rate)
    recent: list[float] = []
    for step in range(stage.steps):
        for group in optimizer.param_groups:
            group["lr"] = stage.rate_at(step)
        value = loss(network)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        recent.append(value.item())
        if not math.isfinite(recent[-1]):
            raise EdgeconvError(
                f"training stage '{stage.name}' diverged at step {step + 1}",
                expected="a finite loss",
                advice="lower the learning rate of the stage",
            )
        if progress and ((step + 1) % _REPORT_EVERY == 0 or step + 1 == stage.steps):
            mean = sum(recent) / len(recent)
            progress(TrainingProgress(stage.name, done + step + 1, total or stage.steps, mean))
            recent.clear()
    network.eval()
