"""The goals of the family, held by a whole training: `make accept-mininet`. It goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("brevitas")

from edgeconv.models.mininet.family import FAMILY
from edgeconv.models.mininet.judge import BEST_MAP, SHUFFLED, judge
from edgeconv.models.mininet.metrics import DepthScore
from scripts.results.training import trained

pytestmark = [pytest.mark.needs_torch, pytest.mark.accept, pytest.mark.timeout(4 * 3600)]

FOLDER = Path(__file__).parents[3] / "build/accept-mininet"


@pytest.fixture(scope="module")
def scores() -> dict[str, DepthScore]:
    """On drives through other streets than those of the training."""
    config = FAMILY.config
    twins = trained(FAMILY, config, FOLDER)
    found = judge({"float": twins.predict_float, "quantized": twins.predict_quantized}, config)
    for name, score in found.items():
        print(f"{name}: {score}")
    return found


def test_it_errs_at_least_30_percent_less_than_the_best_map(scores: dict[str, DepthScore]) -> None:
    assert scores["quantized"].abs_rel < 0.7 * scores[BEST_MAP].abs_rel


def test_with_shuffled_pictures_the_gain_is_gone(scores: dict[str, DepthScore]) -> None:
    """What it knows, it has from the picture."""
    assert scores[f"float, {SHUFFLED}"].abs_rel > scores[BEST_MAP].abs_rel


def test_int8_stays_within_3_percent_of_float(scores: dict[str, DepthScore]) -> None:
    assert scores["quantized"].abs_rel < 1.03 * scores["float"].abs_rel
