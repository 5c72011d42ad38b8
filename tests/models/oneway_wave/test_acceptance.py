"""The goals of the family, held by whole trainings: `make accept-wave`. It goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("brevitas")
pytest.importorskip("skfem")

from edgeconv.models.oneway_wave.config import StepConfig, WaveTraining
from edgeconv.models.oneway_wave.family import FAMILY
from edgeconv.models.oneway_wave.judge import STEPS, RollOut, going_on, judge, unseen_data
from scripts.results.oneway_wave import DENSE
from scripts.results.training import trained

pytestmark = [pytest.mark.needs_torch, pytest.mark.accept, pytest.mark.timeout(4 * 3600)]

FOLDER = Path(__file__).parents[3] / "build/accept-wave"
NETWORKS = {"one-way": StepConfig(), "dense": DENSE}


@pytest.fixture(scope="module")
def found() -> dict[str, RollOut]:
    """Roll-outs over records that no training has seen, of each network in float and in integers."""
    scores, parameters = {"going on": judge(going_on, WaveTraining())}, {}
    for name, network in NETWORKS.items():
        config = WaveTraining(network=network)
        twins = trained(FAMILY, config, FOLDER / name)
        data = unseen_data(config)
        scores[f"{name}, float"] = judge(twins.predict_float, config, data)
        scores[f"{name}, int8"] = judge(twins.predict_quantized, config, data)
        parameters[name] = twins.parameters
    assert parameters["one-way"] <= parameters["dense"] < 1.25 * parameters["one-way"]
    for name, score in scores.items():
        errors = (score.first, score.by_step[STEPS - 1], score.whole, score.zone, score.zone_normal)
        print(f"{name:16s} " + "  ".join(f"{100 * error:7.2f} %" for error in errors))
    return scores


def test_int8_stays_within_5_percent_of_float(found: dict[str, RollOut]) -> None:
    assert found["one-way, int8"].whole < 1.05 * found["one-way, float"].whole


@pytest.mark.parametrize("kind", ["float", "int8"])
def test_one_way_filters_beat_a_dense_twin_of_as_many_parameters(found: dict[str, RollOut], kind: str) -> None:
    assert found[f"one-way, {kind}"].whole < found[f"dense, {kind}"].whole


def test_every_network_is_worth_the_name(found: dict[str, RollOut]) -> None:
    """A poor float network would be easy to keep up with, and a poor twin easy to beat."""
    for name, score in found.items():
        assert name == "going on" or score.whole < 0.2 * found["going on"].whole
