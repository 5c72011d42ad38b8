"""The ECG family as a search sees it, with a recipe of seconds."""

from __future__ import annotations

from dataclasses import replace

from edgeconv.models.ecg_mamba.config import NetworkConfig
from edgeconv.models.ecg_mamba.family import EcgFamily
from edgeconv.quantize import Stage
from edgeconv.search.recipe import RecipeSearch
from edgeconv.search.task import find_family
from tests.models.ecg_mamba import small

__all__ = ["SMALL", "small_ecg"]

SMALL = replace(
    small.SMALL,
    network=NetworkConfig(),
    float_stage=Stage("float", 20, 1e-3),
    twin_stage=Stage("quantization-aware", 30, 1e-4),
)


def small_ecg() -> RecipeSearch:
    task = find_family("ecg_mamba")
    assert isinstance(task, RecipeSearch)
    return replace(task, family=EcgFamily(config=SMALL), config=SMALL)
