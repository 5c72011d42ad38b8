"""The trained network that comes with the family: it compiles to what the reference says, and reads pulses well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeconv.api import load
from edgeconv.models import pulse
from tests.models.compiling import differences

pytestmark = pytest.mark.needs_gcc


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The artifact, and in how many values it differs from the reference on 200 pulses of all noise."""
    edge = tmp_path_factory.mktemp("trained") / "pulse.edge"
    config = pulse.PulseConfig()
    samples = np.concatenate(
        [pulse.heldout(50, 3, config.at_snr(ratio)).inputs["samples"] for ratio in (20, 40, 47, 60)]
    )
    return edge, differences(pulse.trained_model(), samples, edge)[0]


def test_it_is_small_and_compiles_to_what_the_reference_says(edge: tuple[Path, int]) -> None:
    assert pulse.trained_model().stat().st_size < 1_000_000
    assert edge[1] == 0


@pytest.mark.parametrize(("snr_db", "most"), [(30, 1.1), (47.4, 1.2), (55, 1.25)])
def test_its_errors_are_near_the_bound(edge: tuple[Path, int], snr_db: float, most: float) -> None:
    data = pulse.heldout(5000, 7, pulse.PulseConfig(snr_db=snr_db))
    score = pulse.evaluate(load(edge[0])(data.inputs["samples"]), data)
    assert score.time_over_bound < most
    assert score.energy_over_bound < most
