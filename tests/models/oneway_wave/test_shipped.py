"""The trained network that comes with the family: it compiles to what the reference says, and rolls waves out well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("skfem")

from edgeconv.api import load
from edgeconv.models.oneway_wave.config import WaveTraining
from edgeconv.models.oneway_wave.judge import going_on, judge
from edgeconv.models.oneway_wave.shipped import trained_model
from edgeconv.models.oneway_wave.windows import load_data
from tests.models.compiling import differences

pytestmark = [pytest.mark.needs_gcc, pytest.mark.needs_torch, pytest.mark.slow]


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The artifact, and in how many values it differs from the reference on 4 states."""
    edge = tmp_path_factory.mktemp("trained") / "wave.edge"
    states = np.random.default_rng(0).integers(-16384, 16384, (4, 5, 48, 48)).astype(np.int16)
    return edge, differences(trained_model(), states, edge)[0]


def test_it_is_small_and_every_instruction_set_is_equal_to_the_reference(edge: tuple[Path, int]) -> None:
    assert trained_model().stat().st_size < 1_000_000
    assert edge[1] == 0


def test_it_rolls_out_scenes_that_no_training_saw(edge: tuple[Path, int], tmp_path: Path) -> None:
    config = WaveTraining()
    data = load_data(config.waves, 6, 77, tmp_path)
    ours, simple = judge(load(edge[0]), config, data), judge(going_on, config, data)
    assert ours.first < 0.06
    assert ours.whole < 0.3
    assert ours.whole < 0.1 * simple.whole
