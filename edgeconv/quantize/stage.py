"""One stretch of a training: its length and its learning rate. Needs no torch, so that recipes can be listed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgeconv.errors import UsageError

__all__ = ["Stage"]


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
