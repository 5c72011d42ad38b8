"""The pulse family as the entry point group `edgeconv.models` offers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.pulse.evaluation import Resolution, classic, evaluate, heldout
from edgeconv.models.pulse.simulation import PulseConfig
from edgeconv.quantize.family import Comparison, HeldOut, ModelFamily, Progress, TrainedModel

__all__ = ["FAMILY", "PulseFamily"]


@dataclass(frozen=True)
class PulseFamily:
    """Time and energy from digitized detector pulses; implements `ModelFamily` and `Demonstrable`."""

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

    def draw(self, estimators: Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]], folder: Path) -> list[Path]:
        """Resolution against noise, errors, and example pulses, as PNG files."""
        from edgeconv.models.pulse.plots import report

        return report(estimators, folder, config=self.config)[1]


def _row(name: str, score: Resolution) -> tuple[str, ...]:
    time, energy = f"{score.time_ps:.1f} ps", f"{score.energy_percent:.3f} %"
    return name, time, f"{score.time_over_bound:.2f}", energy, f"{score.energy_over_bound:.2f}"


FAMILY: ModelFamily = PulseFamily()
