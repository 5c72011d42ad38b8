"""The depth family as a search sees it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgeconv.models.mininet.config import DepthTraining
from edgeconv.models.mininet.space import config_of, default_values, depth_space
from edgeconv.quantize.family import Estimator
from edgeconv.search.problem import Metric
from edgeconv.search.recipe import RecipeSearch

if TYPE_CHECKING:
    from edgeconv.models.mininet.family import DepthFamily

__all__ = ["searchable"]

_VALIDATION = 2_000_003
"""Synthetic drives that are neither trained on nor those that winners are judged on; of a folder of KITTI's both are
the test drives."""
_METRICS = {
    "abs_rel": Metric("abs_rel", "", "mean of |d - d*| / d*"),
    "delta1": Metric("delta1", "%", "share of pixels within a factor of 1.25", maximize=True),
}


def searchable(family: DepthFamily) -> RecipeSearch:
    """Networks trained one by one, judged on drives of their own."""
    return RecipeSearch(family, depth_space(), _METRICS, family.config, config_of, default_values, measure, held_out)


def measure(estimator: Estimator, config: DepthTraining) -> dict[str, float]:
    """Errors of depth, each picture scaled to the median of the truth."""
    return held_out(estimator, replace(config, data_seed=config.data_seed + _VALIDATION))


def held_out(estimator: Estimator, config: DepthTraining) -> dict[str, float]:
    """The same on the drives that winners are judged on."""
    from edgeconv.models.mininet.judge import depths_of, unseen
    from edgeconv.models.mininet.metrics import mean_score, score_depth

    data = unseen(config)
    depths = depths_of(estimator, data.pictures)
    score = mean_score(score_depth(one, true) for one, true in zip(depths, data.depth, strict=True))
    return {"abs_rel": score.abs_rel, "delta1": score.delta1}
