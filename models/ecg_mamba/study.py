"""Recipes trained with several seeds and judged on the same unseen patients: are scans worth more than convolutions?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.ecg_mamba.config import TrainConfig
from edgeconv.models.ecg_mamba.dataset import EcgDataset
from edgeconv.models.ecg_mamba.family import FAMILY
from edgeconv.models.ecg_mamba.judge import unseen
from edgeconv.models.ecg_mamba.metrics import Difference, auprc, auroc, macro, paired_bootstrap
from edgeconv.quantize.family import Comparison, Progress, TrainedModel
from edgeconv.quantize.run import kept_training

__all__ = ["FORMS", "SeedStudy"]

FORMS = ("float", "quantized")


@dataclass(frozen=True)
class SeedStudy:
    """Answers of trainings with several seeds to the same records.

    Attributes:
        labels: bool (records, classes).
        patients: of each record; none of them was met in any training.
        logits: by recipe and form ("float" or "quantized"), for each seed: (records, classes).
    """

    labels: NDArray[np.bool_]
    patients: tuple[str, ...]
    logits: Mapping[tuple[str, str], tuple[NDArray[np.floating], ...]]

    @classmethod
    def run(
        cls, recipes: Mapping[str, TrainConfig], seeds: Sequence[int], folder: Path, *, progress: Progress | None = None
    ) -> SeedStudy:
        """Train every recipe with every seed in a folder of its own, RECIPE-SEED, and let all answer.

        Records are those that the first recipe with the first seed is judged on. What has been done is not done again.

        Raises:
            UsageError: a folder holds a training of other settings.
        """
        data = unseen(replace(next(iter(recipes.values())), seed=seeds[0]))
        logits: dict[tuple[str, str], list[NDArray[np.floating]]] = {}
        for name, config in recipes.items():
            for seed in seeds:
                place = folder / f"{name}-{seed}"
                twins = kept_training(FAMILY, replace(config, seed=seed), place, progress=progress)
                for form, answers in zip(FORMS, _answers(twins, data, place), strict=True):
                    logits.setdefault((name, form), []).append(data.by_record(answers))
        return cls(data.labels, data.patients, {key: tuple(values) for key, values in logits.items()})

    def macro(self, name: str, form: str) -> NDArray[np.float64]:
        """Macro AUROC and macro AUPRC of each seed, (seeds, 2)."""
        scores = self.logits[name, form]
        return np.array([(macro(auroc(self.labels, one)), macro(auprc(self.labels, one))) for one in scores])

    def auprc(self, name: str, form: str) -> NDArray[np.float64]:
        """AUPRC of each class, the mean of all seeds; NaN for a class that is not among the records."""
        return np.mean([auprc(self.labels, one) for one in self.logits[name, form]], axis=0)

    def compare(self, first: str, second: str, form: str, *, resamplings: int = 1000) -> Difference:
        """Macro AUPRC of two recipes, the mean of all seeds, on the same resampled patients."""
        scores = [np.hstack(self.logits[name, form]) for name in (first, second)]
        labels = np.tile(self.labels, (1, len(self.logits[first, form])))
        return paired_bootstrap(_macro_auprc, labels, *scores, patients=self.patients, resamplings=resamplings)

    def table(self) -> Comparison:
        """Macro AUROC and AUPRC of every recipe, form and seed."""
        rows = [
            (f"{name}, {form}", *(f"{roc:.4f}, {precision:.4f}" for roc, precision in self.macro(name, form)))
            for name, form in self.logits
        ]
        seeds = len(next(iter(self.logits.values())))
        return Comparison(("AUROC, AUPRC", *(f"seed {number}" for number in range(seeds))), tuple(rows))


def _macro_auprc(labels: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    return macro(auprc(labels, scores))


def _answers(twins: TrainedModel, data: EcgDataset, folder: Path) -> list[NDArray[np.floating]]:
    """Logits of all windows, float and quantized, kept beside the training."""
    found = []
    for form, predict in zip(FORMS, (twins.predict_float, twins.predict_quantized), strict=True):
        path = folder / f"{form}.npy"
        if not path.exists():
            np.save(path, np.reshape(predict(data.inputs), (len(data), -1)))
        found.append(np.load(path))
    return found
