"""The pulse family as the entry point group `edgeconv.models` offers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.pulse.config import TrainConfig
from edgeconv.models.pulse.evaluation import Resolution, classic, evaluate, heldout
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

_JUDGED, _HELDOUT_SEED = 10_000, 1
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

    def train(
        self,
        config: TrainConfig | None = None,
        *,
        progress: Progress | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> TrainedModel:
        """Train for the configured detector channel."""
        from edgeconv.models.pulse.recipe import train

        return train(config or self.config, progress=progress, checkpoints=checkpoints)

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
        scores = {name: evaluate(answer, heldout) for name, answer in answers.items()}
        rows = [_row(name, score) for name, score in (scores | classic(heldout)).items()]
        bound = next(iter(scores.values()))
        rows.append(
            ("Cramér–Rao bound", f"{bound.time_bound_ps:.1f} ps", "1.00", f"{bound.energy_bound_percent:.3f} %", "1.00")
        )
        snr = heldout.truth.config.snr_db
        remark = f"root mean square errors over {len(heldout.truth)} held-out pulses at {snr:g} dB"
        return Comparison(("estimator", "time", "× bound", "energy", "× bound"), tuple(rows), (remark,))

    def judge(self, estimators: Mapping[str, Estimator], config: TrainConfig | None = None) -> Comparison:
        """Resolutions on held-out pulses of the configured channel."""
        data = heldout(_JUDGED, _HELDOUT_SEED, (config or self.config).pulses)
        answers = {name: np.asarray(estimate(data.inputs["samples"])) for name, estimate in estimators.items()}
        return self.compare(answers, data)

    def draw(self, estimators: Mapping[str, Estimator], folder: Path, config: TrainConfig | None = None) -> list[Path]:
        """Resolution against noise, errors, and example pulses, as PNG files."""
        from edgeconv.models.pulse.plots import report

        return report(estimators, folder, config=(config or self.config).pulses)[1]


def _row(name: str, score: Resolution) -> tuple[str, ...]:
    time, energy = f"{score.time_ps:.1f} ps", f"{score.energy_percent:.3f} %"
    return name, time, f"{score.time_over_bound:.2f}", energy, f"{score.energy_over_bound:.2f}"


FAMILY: ModelFamily = PulseFamily()
