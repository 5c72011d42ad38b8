"""The pulse family as the entry point group `edgeconv.models` offers it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.pulse.evaluation import Resolution, evaluate, heldout
from edgeconv.models.pulse.simulation import PulseConfig
from edgeconv.quantize.family import HeldOut, ModelFamily, Progress, TrainedModel

__all__ = ["FAMILY", "PulseFamily"]


@dataclass(frozen=True)
class PulseFamily:
    """Time and energy from digitized detector pulses; implements `ModelFamily`."""

    name: str = "pulse"
    summary: str = "time and energy of digitized detector pulses, a 1-D CNN on 128 samples"
    config: PulseConfig = field(default_factory=PulseConfig)

    def train(self, *, seed: int = 0, progress: Progress | None = None) -> TrainedModel:
        """Train for the family's detector channel; about two minutes on two cores."""
        from edgeconv.models.pulse.recipe import TrainConfig, train

        return train(replace(TrainConfig(), pulses=self.config, seed=seed), progress=progress)

    def heldout(self, n: int, seed: int) -> HeldOut:
        """n pulses apart from every training; the input is "samples"."""
        return heldout(n, seed, self.config)

    def evaluate(self, predictions: NDArray[np.float32], heldout: HeldOut) -> Resolution:
        """Time and energy resolution beside the Cramér–Rao bound."""
        return evaluate(predictions, heldout)


FAMILY: ModelFamily = PulseFamily()
