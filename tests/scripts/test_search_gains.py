"""The comparison of searched networks with uniform ones: trained once, verified, and told plainly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgeconv.models.ecg_mamba.config import NetworkConfig
from edgeconv.models.ecg_mamba.space import ecg_space
from scripts.search_gains import OWN, Row, gains, measured, scaled
from tests.search.small_ecg import SMALL, small_ecg


def test_widths_are_scaled_to_the_nearest_of_the_space() -> None:
    values = {"width": 32, "stem1.width": 16, "stem2.width": 24, "blocks": 1, "head.weights": 8}
    half = scaled(ecg_space().choices, values, 0.5)
    assert half == values | {"width": 16, "stem1.width": 8, "stem2.width": 8}  # 12 lies between 8 and 16
    assert scaled(ecg_space().choices, values, 1.5) == values | {"width": 48, "stem1.width": 24, "stem2.width": 32}


def test_a_point_is_set_beside_the_recipes_own_and_the_best_of_8_bits() -> None:
    rows = (
        Row(OWN, True, 0.90, 1000, {"cpu": 1e-3}, 300.0),
        Row("width × 2", True, 0.95, 3000, {"cpu": 2e-3}, 500.0),
        Row("point 3", False, 0.92, 250, {"cpu": 2e-4}, 160.0),
    )
    text = gains(rows, "auprc", True, ("cpu",))
    assert "point 3 beside the recipe's own: at least as good, 4.00× smaller, 5.00× faster on cpu" in text
    assert "point 3 beside the best of 8 bits, width × 2: NOT as good, 12.00× smaller, 10.00× faster on cpu" in text
    assert "160 s" in text
    assert "the best of 8 bits, the recipe's own: NOT as good, 4.00×" in gains(rows, "error", False, ("cpu",))


@pytest.mark.needs_torch
@pytest.mark.slow
def test_a_network_is_trained_verified_and_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, config = small_ecg(), replace(SMALL, network=NetworkConfig(width=8, stem=(4, 8), convolutions=1, blocks=0))
    first = measured(task, "point 1", config, "auroc", ("cpu",), (0, 1), tmp_path)
    assert 0 < first.metric < 1
    assert 1e-7 < first.speed["cpu"] < 1e-2
    assert first.model_bytes > 500
    assert 0 < first.training < 60
    monkeypatch.setattr("scripts.search_gains.kept_training", None)
    assert measured(task, "point 1", config, "auroc", ("cpu",), (0, 1), tmp_path) == first
