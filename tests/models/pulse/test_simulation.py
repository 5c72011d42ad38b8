"""Simulated pulses have the shape, noise, range and truth that their configuration says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgeconv.errors import UsageError
from edgeconv.models.pulse import Biexponential, CrRc, PulseConfig, simulate
from edgeconv.models.pulse.bound import noise_covariance
from edgeconv.models.pulse.simulation import PulseShape

SHAPES = [CrRc(), CrRc(order=1, tau_ns=9.0), CrRc(order=4, tau_ns=5.0), Biexponential(), Biexponential(2.0, 90.0)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_shape_peaks_at_one_and_has_the_slope_it_says(shape: PulseShape) -> None:
    t = np.linspace(-20, 400, 42_001)
    value = shape.value(t)
    assert (value[t <= 0] == 0).all()
    assert value.max() == pytest.approx(1, abs=1e-5)
    numeric = np.gradient(value, t)
    away = np.abs(t) > 0.05  # a kink at the event has no derivative
    np.testing.assert_allclose(shape.slope(t)[away], numeric[away], atol=2e-4)


def test_one_seed_gives_one_set_of_pulses() -> None:
    config = PulseConfig(pile_up=0.3, correlated=0.4, baseline_spread=0.01)
    first, second, other = (simulate(config, 50, seed) for seed in (3, 3, 4))
    assert (first.samples == second.samples).all()
    assert (first.time_ns == second.time_ns).all()
    assert (first.samples != other.samples).any()


@pytest.mark.parametrize("bits", [4, 8, 10, 12, 14, 16])
def test_samples_are_codes_of_the_adc(bits: int) -> None:
    config = PulseConfig(adc_bits=bits)
    pulses = simulate(config, 200, 1)
    assert pulses.samples.shape == (200, 1, 128)
    assert pulses.samples.dtype == (np.uint8 if bits <= 8 else np.uint16)
    assert pulses.samples.max() < 2**bits
    # The highest sample of a full-scale pulse leaves the headroom free.
    assert pulses.samples.max() > 0.8 * 2**bits


def test_truth_lies_where_the_configuration_puts_it() -> None:
    config = PulseConfig(spectrum="exponential", min_energy=0.3)
    pulses = simulate(config, 4000, 2)
    assert abs(pulses.time_ns - config.arrival_ns).max() <= config.jitter_ns / 2
    assert pulses.energy.min() >= 0.3
    assert pulses.energy.max() <= 1
    assert pulses.energy.mean() < 0.6  # uniform would give 0.65


@pytest.mark.parametrize("correlated", [0.0, 0.6])
def test_noise_has_the_covariance_that_the_bound_assumes(correlated: float) -> None:
    config = PulseConfig(correlated=correlated, snr_db=40, arrival_ns=10_000)  # no pulse inside the window
    noise = simulate(config, 20_000, 5).samples[:, 0].astype(np.float64) - config.baseline_counts
    found, expected = np.cov(noise.T), noise_covariance(config)
    np.testing.assert_allclose(found, expected, atol=0.05 * expected[0, 0])
    assert np.sqrt(np.diag(found).mean()) == pytest.approx(config.full_scale_counts / 100, rel=0.01)


def test_pile_up_adds_a_second_pulse_to_the_marked_waveforms_only() -> None:
    quiet = replace(PulseConfig(), snr_db=120)
    config = replace(quiet, pile_up=0.5)
    pulses = simulate(config, 400, 7)
    assert 100 < pulses.piled_up.sum() < 300
    t = np.arange(128) * config.period_ns - pulses.time_ns[:, None]
    single = config.baseline_counts + config.full_scale_counts * pulses.energy[:, None] * config.shape.value(t)
    extra = np.abs(pulses.samples[:, 0] - single).max(1)
    assert extra[~pulses.piled_up].max() < 1
    assert np.median(extra[pulses.piled_up]) > 100


def test_an_impossible_channel_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"PulseConfig\.adc_bits = 17\n  expected: 4 to 16"):
        PulseConfig(adc_bits=17)
    with pytest.raises(UsageError, match=r"PulseConfig\.spectrum = flat\n  expected: uniform or exponential"):
        PulseConfig(spectrum="flat")
    with pytest.raises(UsageError, match="0 pulses"):
        simulate(PulseConfig(), 0, 1)
