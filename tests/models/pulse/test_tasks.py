"""Uncertainties, pile-up and denoising: truths, bounds, and networks that compile to what the reference says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("brevitas")

from edgeconv.errors import InputError, UsageError
from edgeconv.models import pulse
from edgeconv.models.pulse import denoising, pile_up
from edgeconv.models.pulse.bound import cramer_rao
from edgeconv.models.pulse.calibration import calibration
from edgeconv.models.pulse.config import DenoiseConfig, PileUpConfig
from edgeconv.models.pulse.pairs import PairConfig, pair_estimate, simulate_pairs
from edgeconv.quantize import QuantPolicy, Stage
from tests.models.compiling import differences

pytestmark = pytest.mark.needs_torch

SHORT = {"batch": 16, "float_stage": Stage("float", 4, 1e-3), "twin_stage": Stage("twin", 3, 1e-3)}


def test_normal_errors_of_the_predicted_size_are_calibrated() -> None:
    rng = np.random.default_rng(0)
    sigma = np.exp(rng.uniform(-6, 0, (40_000, 2)))
    truth = rng.uniform(0, 1, sigma.shape)
    answers = np.concatenate([truth + sigma * rng.standard_normal(sigma.shape), np.log(sigma)], 1)
    for one in calibration(answers, truth).values():
        assert one.pull == pytest.approx(1, abs=0.02)
        assert one.one_sigma == pytest.approx(0.683, abs=0.01)
        assert one.two_sigma == pytest.approx(0.954, abs=0.01)
        np.testing.assert_allclose(one.found, one.predicted, rtol=0.06)
    answers[:, 2:] -= np.log(2)  # twice as sure as it may be
    assert calibration(answers, truth)["time"].pull == pytest.approx(2, abs=0.05)
    with pytest.raises(InputError, match=r"expected: \(40000, 4\)"):
        calibration(truth, truth)


def test_far_pairs_have_the_bound_of_single_pulses_and_near_ones_a_worse_one() -> None:
    config = pulse.PulseConfig()
    far = simulate_pairs(config, PairConfig(150, 160), 200, np.random.default_rng(1))
    limit = pair_estimate(far)[1]
    for i in (0, 2):
        single = cramer_rao(config, far.truth[:, i], far.truth[:, i + 1])
        np.testing.assert_allclose(limit[:, i], single.time_ns, rtol=0.02)
        np.testing.assert_allclose(limit[:, i + 1], single.energy, rtol=0.02)
    near = pair_estimate(simulate_pairs(config, PairConfig(0, 8), 200, np.random.default_rng(1)))[1]
    assert np.median(near[:, 1]) > 3 * np.median(limit[:, 1])
    assert (near <= PairConfig(0, 8).prior(config)[1] * 1.0001).all()  # what is known beforehand stays known


def test_efficient_estimates_of_pairs_err_as_their_bound_says() -> None:
    data = simulate_pairs(pulse.PulseConfig(), PairConfig(20, 160), 4000, np.random.default_rng(2))
    estimate, limit = pair_estimate(data)
    pull = (estimate - data.truth) / limit
    np.testing.assert_allclose(np.sqrt((pull**2).mean(0)), 1, atol=0.06)


def test_resolutions_of_pairs_follow_their_separation() -> None:
    config = PileUpConfig()
    data = pile_up.heldout_pairs(config, 4000, 1)
    rows = pile_up.resolve_pairs(data.truth + np.array([0.5, 0.01, 0.5, 0.01]), data)
    assert [(row.least_ns, row.most_ns) for row in rows][:2] == [(0, 8), (8, 16)]
    assert all(row.time_ns == pytest.approx(0.5) and row.energy_percent == pytest.approx(1) for row in rows)
    assert rows[0].energy_bound_percent > 3 * rows[-1].energy_bound_percent


@pytest.mark.needs_gcc
def test_pile_up_compiles_to_what_the_reference_says(tmp_path: Path) -> None:
    config = replace(PileUpConfig(), channels=(4, 8), hidden=16, **SHORT)
    trained = pile_up.train(config)
    samples = pile_up.heldout_pairs(config, 100, 1).samples
    wrong, expected = differences(trained.export_qcdq(tmp_path / "p.onnx"), samples, tmp_path / "p.edge")
    assert wrong == 0
    assert np.isclose(expected, trained.predict_quantized(samples), rtol=1e-3, atol=1e-3).all(1).mean() > 0.9
    # Folded units: an untrained network answers near the middle of what it may answer.
    assert abs(expected.mean(0) - config.pairs.prior(config.pulses)[0])[[0, 2]].max() < 60
    table = pile_up.judge({"quantized": trained.predict_quantized}, config, n=200)
    assert len(table.rows) == len(pile_up.EDGES_NS) - 1


@pytest.mark.needs_gcc
def test_denoising_compiles_to_what_the_reference_says(tmp_path: Path) -> None:
    config = replace(DenoiseConfig(), channels=(4, 8), **SHORT)
    trained = denoising.train(config)
    pulses = pulse.simulate(config.pulses, 60, 1)
    wrong, expected = differences(trained.export_qcdq(tmp_path / "d.onnx"), pulses.samples, tmp_path / "d.edge")
    assert wrong == 0
    assert expected.shape == (60, 1, 128)
    assert np.isclose(expected, trained.predict_quantized(pulses.samples), rtol=1e-3, atol=1e-3).mean() > 0.9


def test_noise_left_is_that_of_the_samples_and_nothing_of_the_truth() -> None:
    pulses = pulse.simulate(pulse.PulseConfig(snr_db=40), 500, 3)
    clean = denoising.clean_waveforms(pulses)
    assert denoising.noise_left(clean, pulses) == 0
    above = (pulses.samples - float(pulses.config.baseline_counts)) / pulses.config.full_scale_counts
    assert denoising.noise_left(above, pulses) == pytest.approx(1, rel=0.02)  # 40 dB below full scale


def test_scales_that_units_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="scales = power-of-two"):
        PileUpConfig(policy=QuantPolicy(scales="power-of-two"))
