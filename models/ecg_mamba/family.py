"""The ECG family as the entry point group `edgeconv.models` offers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgeconv.models.ecg_mamba.config import TrainConfig
from edgeconv.models.ecg_mamba.configurations import CONFIGURATIONS
from edgeconv.quantize.family import Comparison, Estimator, ModelCard, ModelFamily, Progress, TrainedModel

if TYPE_CHECKING:
    from edgeconv.quantize.checkpoint import Checkpoints
    from edgeconv.search.recipe import RecipeSearch

__all__ = ["FAMILY", "EcgFamily"]

_CARD = ModelCard(
    data="generated 12-lead records",
    size="33.9k weights",
    metric="AUROC, AUPRC and F1 over the diagnoses",
    training="minutes at demo size",
)


@dataclass(frozen=True)
class EcgFamily:
    """Diagnoses from 12-lead records; implements `ModelFamily`."""

    name: str = "ecg_mamba"
    summary: str = "26 diagnoses from 12-lead ECG, a 1-D CNN and bidirectional Mamba blocks on 2560 samples"
    card: ModelCard = _CARD
    config: TrainConfig = field(default_factory=TrainConfig)

    @property
    def configurations(self) -> Mapping[str, TrainConfig]:
        """Recipes by name: at demo size, of a full training, and of one without scans."""
        return CONFIGURATIONS

    def train(
        self,
        config: TrainConfig | None = None,
        *,
        progress: Progress | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> TrainedModel:
        """Train on generated records."""
        from edgeconv.models.ecg_mamba.recipe import train

        return train(config or self.config, progress=progress, checkpoints=checkpoints)

    def searchable(self) -> RecipeSearch:
        """What `edgeconv search` needs."""
        from edgeconv.models.ecg_mamba.searching import searchable

        return searchable(self)

    def judge(self, estimators: Mapping[str, Estimator], config: TrainConfig | None = None) -> Comparison:
        """Macro measures over the diagnoses that occur among generated records of other patients."""
        from edgeconv.models.ecg_mamba.judge import judge

        config = config or self.config
        rows = [
            (name, f"{scores.macro_auroc:.4f}", f"{scores.macro_auprc:.4f}", f"{scores.macro_f1:.4f}")
            for name, scores in judge(estimators, config).items()
        ]
        remark = f"means over the diagnoses among {config.judged} generated records of other patients"
        return Comparison(("estimator", "AUROC", "AUPRC", "F1"), tuple(rows), (remark,))

    def draw(self, estimators: Mapping[str, Estimator], folder: Path, config: TrainConfig | None = None) -> list[Path]:
        """The area under the precision-recall curve of every diagnosis, as a PNG file."""
        from edgeconv.models.ecg_mamba.judge import class_set, judge
        from edgeconv.models.ecg_mamba.plots import plot_scores

        config = config or self.config
        scores = {name: each.auprc for name, each in judge(estimators, config).items()}
        folder.mkdir(parents=True, exist_ok=True)
        return [plot_scores(scores, folder / "auprc.png", class_set(config))]


FAMILY: ModelFamily = EcgFamily()
