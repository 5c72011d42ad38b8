"""The depth family as the entry point group `edgeconv.models` offers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgeconv.models.mininet.config import DepthTraining
from edgeconv.quantize.family import Comparison, Estimator, ModelCard, ModelFamily, Progress, TrainedModel

if TYPE_CHECKING:
    from edgeconv.quantize.checkpoint import Checkpoints
    from edgeconv.search.recipe import RecipeSearch

__all__ = ["FAMILY", "DepthFamily"]

_CARD = ModelCard(
    data="rendered drives in KITTI's layout, pictures alone",
    size="47.3k weights",
    metric="AbsRel, RMSE and δ of depth beside the best map of the training set",
    training="minutes at demo size",
)
_HEADER = ("estimator", "AbsRel", "SqRel", "RMSE", "RMSElog", "δ<1.25", "δ<1.25²", "δ<1.25³")


@dataclass(frozen=True)
class DepthFamily:
    """Depth from single pictures, learned from video without any depth; implements `ModelFamily`."""

    name: str = "mininet"
    summary: str = "depth from one picture, learned from video alone: a recurrent, depthwise-separable CNN"
    card: ModelCard = _CARD
    config: DepthTraining = field(default_factory=DepthTraining)

    def train(
        self,
        config: DepthTraining | None = None,
        *,
        progress: Progress | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> TrainedModel:
        """Train on drives, which are rendered and kept in the cache the first time, or on a folder of KITTI's."""
        from edgeconv.models.mininet.recipe import train
        from edgeconv.models.mininet.triplets import unseen_drives

        config = config or self.config
        # Before the training rather than after: can it be judged?
        unseen_drives(config)
        return train(config, progress=progress, checkpoints=checkpoints)

    def searchable(self) -> RecipeSearch:
        """What `edgeconv search` needs."""
        from edgeconv.models.mininet.searching import searchable

        return searchable(self)

    def judge(self, estimators: Mapping[str, Estimator], config: DepthTraining | None = None) -> Comparison:
        """Measures of depth on other drives, beside the best map and shuffled pictures."""
        from edgeconv.models.mininet.judge import BEST_MAP, judge

        scores = judge(estimators, config or self.config)
        rows = []
        for name, score in scores.items():
            abs_rel, sq_rel, rmse, rmse_log, *shares = astuple(score)
            errors = (f"{abs_rel:.4f}", f"{sq_rel:.3f} m", f"{rmse:.2f} m", f"{rmse_log:.4f}")
            rows.append((name, *errors, *(f"{100 * share:.1f} %" for share in shares)))
        first = next(iter(scores))
        change = 100 * (scores[first].abs_rel / scores[BEST_MAP].abs_rel - 1)
        remarks = (
            "within Garg's crop, up to 80 m, every depth scaled to the median of the truth",
            f"AbsRel of {first}: {abs(change):.1f} % {'below' if change < 0 else 'above'} that of the {BEST_MAP}",
        )
        return Comparison(_HEADER, tuple(rows), remarks)

    def draw(
        self, estimators: Mapping[str, Estimator], folder: Path, config: DepthTraining | None = None
    ) -> list[Path]:
        """Pictures beside their depth, true and found, as a PNG file."""
        from edgeconv.models.mininet.judge import depths_of, unseen
        from edgeconv.models.mininet.plots import plot_depths

        data = unseen(config or self.config)
        depths = {name: depths_of(estimator, data.pictures) for name, estimator in estimators.items()}
        folder.mkdir(parents=True, exist_ok=True)
        return [plot_depths(data, depths, folder / "depth.png")]


FAMILY: ModelFamily = DepthFamily()
