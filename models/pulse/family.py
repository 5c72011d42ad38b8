"""The pulse family as the entry point group `edgeconv.models` offers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.pulse.config import DenoiseConfig, PileUpConfig, TrainConfig
from edgeconv.models.pulse.configurations import CONFIGURATIONS
from edgeconv.models.pulse.evaluation import Resolution, evaluate, heldout
from edgeconv.models.pulse.single import compare
from edgeconv.quantize.family import (
    Comparison,
    Estimator,
    HeldOut,
    ModelCard,
    ModelFamily,
    Progress,
    TrainedModel,
)

if TYPE_CHECKING:
    from edgeconv.models.pulse.searching import PulseSearch
    from edgeconv.quantize.checkpoint import Checkpoints

__all__ = ["FAMILY", "PulseFamily"]

Config = TrainConfig | PileUpConfig | DenoiseConfig
_CARD = ModelCard(
    data="simulated pulses of a digitizer",
    size="51.1k weights, 0.28M MACs",
    metric="time and energy resolution beside the Cramér–Rao bound",
    training="two minutes",
)


@dataclass(frozen=True)
class PulseFamily:
    """Time and energy from digitized detector pulses; implements `ModelFamily` and `Demonstrable`."""

    name: str = "pulse"
    summary: str = "time and energy of digitized detector pulses, a 1-D CNN on 128 samples"
    card: ModelCard = _CARD
    config: TrainConfig = field(default_factory=TrainConfig)

    @property
    def configurations(self) -> Mapping[str, Config]:
        """Recipes by name: sizes of the network, and other tasks on the same pulses."""
        return CONFIGURATIONS

    def train(
        self,
        config: Config | None = None,
        *,
        progress: Progress | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> TrainedModel:
        """Train for the configured task and detector channel."""
        config = config or self.config
        if isinstance(config, TrainConfig):
            from edgeconv.models.pulse.recipe import train

            return train(config, progress=progress, checkpoints=checkpoints)
        trained: TrainedModel = _task(config).train(config, progress=progress, checkpoints=checkpoints)
        return trained

    def searchable(self) -> PulseSearch:
        """What `edgeconv search` needs: an `edgeconv.search.task.Searchable`."""
        from edgeconv.models.pulse.searching import PulseSearch

        return PulseSearch(self.config.pulses)

    def heldout(self, n: int, seed: int) -> HeldOut:
        """n pulses apart from every training; the input is "samples"."""
        return heldout(n, seed, self.config.pulses)

    def evaluate(self, predictions: NDArray[np.float32], heldout: HeldOut) -> Resolution:
        """Time and energy resolution beside the Cramér–Rao bound."""
        return evaluate(predictions, heldout)

    def compare(self, answers: Mapping[str, NDArray[np.float32]], heldout: HeldOut) -> Comparison:
        """Resolutions of several estimators beside the classic methods and the Cramér–Rao bound."""
        return compare(answers, heldout)

    def judge(self, estimators: Mapping[str, Estimator], config: Config | None = None) -> Comparison:
        """What the estimators of a configuration's task are worth on held-out pulses of its channel."""
        config = config or self.config
        comparison: Comparison = _task(config).judge(estimators, config)
        return comparison

    def draw(self, estimators: Mapping[str, Estimator], folder: Path, config: Config | None = None) -> list[Path]:
        """The same as plots, PNG files."""
        config = config or self.config
        paths: list[Path] = _task(config).draw(estimators, folder, config)
        return paths


def _task(config: Config) -> Any:
    """The module with a configuration's task; those of other networks than the family's own need torch."""
    names = {PileUpConfig: "pile_up", DenoiseConfig: "denoising"}
    return import_module(f"edgeconv.models.pulse.{names.get(type(config), 'single')}")


FAMILY: ModelFamily = PulseFamily()
