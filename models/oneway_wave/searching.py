"""The wave family as a search sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeconv.models.oneway_wave.config import WaveTraining
from edgeconv.models.oneway_wave.space import config_of, default_values, wave_space
from edgeconv.quantize.family import Estimator
from edgeconv.search.problem import Metric
from edgeconv.search.recipe import RecipeSearch

if TYPE_CHECKING:
    from edgeconv.models.oneway_wave.family import WaveFamily
    from edgeconv.models.oneway_wave.windows import WaveData

__all__ = ["searchable"]

_VALIDATION = 2_000_003
"""Scenes that are neither trained on nor those that winners are judged on."""
_METRICS = {
    "roll_out_error": Metric("roll_out_error", "%", "error of the fields of a roll-out, relative to them"),
    "first_error": Metric("first_error", "%", "error of its first field"),
}


def searchable(family: WaveFamily) -> RecipeSearch:
    """Networks trained one by one, judged by roll-outs in scenes of their own."""
    return RecipeSearch(family, wave_space(), _METRICS, family.config, config_of, default_values, measure, held_out)


def measure(estimator: Estimator, config: WaveTraining) -> dict[str, float]:
    """Errors of roll-outs."""
    from edgeconv.models.oneway_wave.windows import load_data

    return _errors(estimator, config, load_data(config.waves, config.test_records, config.data_seed + _VALIDATION))


def held_out(estimator: Estimator, config: WaveTraining) -> dict[str, float]:
    """The same in the scenes that winners are judged on."""
    return _errors(estimator, config, None)


def _errors(estimator: Estimator, config: WaveTraining, data: WaveData | None) -> dict[str, float]:
    from edgeconv.models.oneway_wave.judge import judge

    score = judge(estimator, config, data)
    return {"roll_out_error": score.whole, "first_error": score.first}
