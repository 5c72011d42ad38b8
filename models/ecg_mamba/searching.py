"""The ECG family as a search sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeconv.models.ecg_mamba.config import TrainConfig
from edgeconv.models.ecg_mamba.space import config_of, default_values, ecg_space
from edgeconv.quantize.family import Estimator
from edgeconv.search.problem import Metric
from edgeconv.search.recipe import RecipeSearch

if TYPE_CHECKING:
    from edgeconv.models.ecg_mamba.dataset import EcgDataset
    from edgeconv.models.ecg_mamba.family import EcgFamily

__all__ = ["searchable"]

_VALIDATION = (1 << 32) - 1
"""Seed of patients of no training, and of none that winners are judged on but those of the seed 2³¹ - 1."""
_METRICS = {
    "auprc": Metric("auprc", "", "area under the precision-recall curve, mean over diagnoses", maximize=True),
    "auroc": Metric("auroc", "", "area under the ROC curve, mean over diagnoses", maximize=True),
}


def searchable(family: EcgFamily) -> RecipeSearch:
    """Networks trained one by one, judged on patients of their own."""
    return RecipeSearch(family, ecg_space(), _METRICS, family.config, config_of, default_values, measure, held_out)


def measure(estimator: Estimator, config: TrainConfig) -> dict[str, float]:
    """Areas under the curves; a diagnosis that no patient has counts in neither."""
    from edgeconv.models.ecg_mamba.judge import generated

    return _areas(estimator, generated(config, config.judged, _VALIDATION))


def held_out(estimator: Estimator, config: TrainConfig) -> dict[str, float]:
    """The same of the patients that winners are judged on."""
    from edgeconv.models.ecg_mamba.judge import unseen

    return _areas(estimator, unseen(config))


def _areas(estimator: Estimator, data: EcgDataset) -> dict[str, float]:
    from edgeconv.models.ecg_mamba.metrics import evaluate

    logits = np.reshape(estimator(data.inputs), (len(data), -1))
    scores = evaluate(data.labels, data.by_record(logits), 0.0)
    return {"auprc": scores.macro_auprc, "auroc": scores.macro_auroc}
