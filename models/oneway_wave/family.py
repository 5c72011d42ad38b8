"""The wave family as the entry point group `edgeconv.models` offers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgeconv.models.oneway_wave.config import WaveTraining
from edgeconv.quantize.family import Comparison, Estimator, ModelCard, ModelFamily, Progress, TrainedModel

if TYPE_CHECKING:
    from edgeconv.quantize.checkpoint import Checkpoints
    from edgeconv.search.recipe import RecipeSearch

__all__ = ["FAMILY", "WaveFamily"]

_CARD = ModelCard(
    data="finite-element waves in random scenes",
    size="2.2k weights, 5.1M MACs",
    metric="error of a roll-out, and of a zone border's history",
    training="ten minutes",
)


@dataclass(frozen=True)
class WaveFamily:
    """Surrogates of the 2-D wave equation made of one-way filters; implements `ModelFamily`."""

    name: str = "oneway_wave"
    summary: str = "the next field of a 2-D wave from its last ones, by convolutions of one-way filters"
    card: ModelCard = _CARD
    config: WaveTraining = field(default_factory=WaveTraining)

    def train(
        self,
        config: WaveTraining | None = None,
        *,
        progress: Progress | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> TrainedModel:
        """Train on simulated waves, which are kept in a cache; the first time needs scikit-fem."""
        from edgeconv.models.oneway_wave.judge import STEPS, unseen_data
        from edgeconv.models.oneway_wave.recipe import train

        config = config or self.config
        # Before hours of training rather than after: can it be judged?
        unseen_data(config).starts(config.network.frames + STEPS)
        return train(config, progress=progress, checkpoints=checkpoints)

    def searchable(self) -> RecipeSearch:
        """What `edgeconv search` needs."""
        from edgeconv.models.oneway_wave.searching import searchable

        return searchable(self)

    def judge(self, estimators: Mapping[str, Estimator], config: WaveTraining | None = None) -> Comparison:
        """Errors of roll-outs from stretches of unseen records, beside those of going on as before."""
        from edgeconv.models.oneway_wave.judge import STEPS, judge_all

        rows = []
        for name, score in judge_all(estimators, config or self.config).items():
            values = (score.first, score.by_step[STEPS // 2 - 1], score.by_step[-1], score.whole)
            rows.append((name, *(f"{100 * value:.2f} %" for value in (*values, score.zone, score.zone_normal))))
        header = (
            "estimator",
            "step 1",
            f"step {STEPS // 2}",
            f"step {STEPS}",
            "all steps",
            "zone's border",
            "its normal",
        )
        remark = (
            "errors relative to the solver's fields; the border's history over all steps, field and normal derivative"
        )
        return Comparison(header, tuple(rows), (remark,))

    def draw(self, estimators: Mapping[str, Estimator], folder: Path, config: WaveTraining | None = None) -> list[Path]:
        """Error against time, as a PNG file."""
        from edgeconv.models.oneway_wave.judge import judge_all
        from edgeconv.models.oneway_wave.plots import plot_errors

        scores = judge_all(estimators, config or self.config)
        folder.mkdir(parents=True, exist_ok=True)
        return [plot_errors({name: score.by_step for name, score in scores.items()}, folder / "errors.png")]


FAMILY: ModelFamily = WaveFamily()
