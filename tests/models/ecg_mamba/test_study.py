"""Several seeds on the same patients: what is done is kept, and comparisons resample all seeds together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("brevitas")

from edgeconv.models.ecg_mamba import auprc, macro
from edgeconv.models.ecg_mamba.config import NetworkConfig
from edgeconv.models.ecg_mamba.study import SeedStudy
from tests.models.ecg_mamba.small import SMALL

pytestmark = pytest.mark.needs_torch
TINY = replace(SMALL, network=NetworkConfig(width=4, stem=(4,), blocks=0, convolutions=1))


def test_what_has_been_done_is_not_done_again(tmp_path: Path) -> None:
    recipes = {"narrow": TINY, "wide": replace(TINY, network=replace(TINY.network, width=6))}
    steps: list[int] = []
    study = SeedStudy.run(recipes, (0, 3), tmp_path, progress=lambda at: steps.append(at.step))
    assert steps
    assert set(study.logits) == {(name, form) for name in recipes for form in ("float", "quantized")}
    assert [len(scores) for scores in study.logits.values()] == [2] * 4
    assert len(study.patients) == len(study.labels) == 40
    first, second = study.logits["narrow", "float"]
    assert not np.array_equal(first, second)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["narrow-0", "narrow-3", "wide-0", "wide-3"]
    steps.clear()
    again = SeedStudy.run(recipes, (0, 3), tmp_path, progress=lambda at: steps.append(at.step))
    assert steps == []
    for key, scores in study.logits.items():
        assert np.array_equal(scores, again.logits[key]), key
    assert [len(row) for row in study.table().rows] == [3] * 4


def test_a_comparison_is_of_the_means_of_all_seeds() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random((300, 4)) < 0.3
    noisy = tuple(labels + rng.normal(size=labels.shape) for _ in range(3))
    better = tuple(labels + 0.5 * rng.normal(size=labels.shape) for _ in range(3))
    patients = tuple(f"p{number // 2}" for number in range(300))
    study = SeedStudy(labels, patients, {("a", "float"): better, ("b", "float"): noisy})
    found = study.compare("a", "b", "float", resamplings=100)
    assert found.first == pytest.approx(np.mean([macro(auprc(labels, one)) for one in better]))
    assert found.second == pytest.approx(study.macro("b", "float")[:, 1].mean())
    assert 0 < found.low < found.difference < found.high
    assert study.auprc("a", "float").shape == (4,)
