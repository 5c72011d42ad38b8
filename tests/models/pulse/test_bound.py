"""The Cramér–Rao bound is what efficient estimators reach, and moves as physics says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgeconv.models.pulse import Biexponential, ConstantFraction, OptimalFilter, PulseConfig, simulate
from edgeconv.models.pulse.bound import cramer_rao, efficient_estimate, noise_covariance

CHANNELS = {
    "white": PulseConfig(),
    "scintillation": PulseConfig(shape=Biexponential()),
    "correlated": PulseConfig(correlated=0.5),
    "unknown baseline": PulseConfig(baseline_spread=0.02),
    "8-bit": PulseConfig(adc_bits=8),
}
ONE = np.array([96.3]), np.array([0.5])


def test_white_noise_has_the_textbook_bound() -> None:
    config = PulseConfig(adc_bits=14)
    t = np.arange(128) * config.period_ns - 96.3
    full = config.full_scale_counts
    by_time, by_energy = -full * 0.5 * config.shape.slope(t), full * config.shape.value(t)
    fisher = np.array([[by_time @ by_time, by_time @ by_energy], [by_time @ by_energy, by_energy @ by_energy]])
    expected = np.sqrt(np.diag(np.linalg.inv(fisher / (config.noise_counts**2 + 1 / 12))))
    found = cramer_rao(config, *ONE)
    np.testing.assert_allclose([found.time_ns[0], found.energy[0]], expected, rtol=1e-12)


def test_correlated_noise_is_weighted_by_its_inverse_covariance() -> None:
    config = CHANNELS["correlated"]
    t = np.arange(128) * config.period_ns - 96.3
    full = config.full_scale_counts
    jacobian = np.stack([-full * 0.5 * config.shape.slope(t), full * config.shape.value(t)])
    fisher = jacobian @ np.linalg.inv(noise_covariance(config)) @ jacobian.T
    found = cramer_rao(config, *ONE)
    expected = np.sqrt(np.diag(np.linalg.inv(fisher)))
    np.testing.assert_allclose([found.time_ns[0], found.energy[0]], expected, rtol=1e-9)


@pytest.mark.parametrize("name", CHANNELS)
def test_the_efficient_estimate_meets_the_bound(name: str) -> None:
    pulses = simulate(CHANNELS[name], 8000, 11)
    time, energy, bound = efficient_estimate(pulses)
    # 8000 pulses know a standard deviation to 0.8 %.
    assert np.std((time - pulses.time_ns) / bound.time_ns) == pytest.approx(1, abs=0.035)
    assert np.std((energy - pulses.energy) / bound.energy) == pytest.approx(1, abs=0.035)


@pytest.mark.parametrize("name", CHANNELS)
def test_the_optimal_filter_comes_within_five_percent_of_the_bound(name: str) -> None:
    pulses = simulate(CHANNELS[name], 6000, 12)
    time, energy = OptimalFilter(pulses.config).estimate(pulses.samples)
    bound = cramer_rao(pulses.config, pulses.time_ns, pulses.energy)
    for error, limit in ((time - pulses.time_ns, bound.time_ns), (energy - pulses.energy, bound.energy)):
        assert 0.96 < np.sqrt(np.mean(error**2) / np.mean(limit**2)) < 1.05


def test_the_bound_grows_with_noise_rounding_and_an_unknown_baseline() -> None:
    config = PulseConfig()
    best = cramer_rao(config, *ONE)
    for worse in (
        config.at_snr(41.38),
        replace(config, adc_bits=8),
        replace(config, baseline_spread=0.02),
    ):
        found = cramer_rao(worse, *ONE)
        assert found.time_ns[0] > best.time_ns[0]
        assert found.energy[0] > best.energy[0]
    # 20·log10(2) dB more noise doubles it, but for the rounding of the ADC.
    assert cramer_rao(config.at_snr(47.4 - 6.0206), *ONE).time_ns[0] == pytest.approx(2 * best.time_ns[0], rel=1e-3)


def test_piled_up_pulses_are_taught_their_truth() -> None:
    pulses = simulate(PulseConfig(pile_up=0.5), 100, 13)
    time, energy, _ = efficient_estimate(pulses)
    assert (time[pulses.piled_up] == pulses.time_ns[pulses.piled_up]).all()
    assert (energy[pulses.piled_up] == pulses.energy[pulses.piled_up]).all()
    assert (time[~pulses.piled_up] != pulses.time_ns[~pulses.piled_up]).all()


def test_constant_fraction_timing_is_tuned_calibrated_and_worse_than_the_filter() -> None:
    discriminator = ConstantFraction.tune(simulate(PulseConfig(), 3000, 14))
    pulses = simulate(PulseConfig(), 6000, 15)
    time, energy = discriminator.estimate(pulses.samples)
    late = time - pulses.time_ns
    bound = cramer_rao(pulses.config, pulses.time_ns, pulses.energy)
    assert abs(late.mean()) < 4 * late.std() / np.sqrt(3000)
    assert 1.15 < np.sqrt(np.mean(late**2) / np.mean(bound.time_ns**2)) < 2
    assert np.corrcoef(energy, pulses.energy)[0, 1] > 0.999
