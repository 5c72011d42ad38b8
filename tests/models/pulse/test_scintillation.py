"""Pulses of scintiPulses lie on the channel's ADC, where and as large as they are said to be."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from edgeconv.errors import ToolError, UsageError
from edgeconv.models.pulse.scintillation import Scintillator, scintillate
from edgeconv.models.pulse.simulation import PulseConfig, Pulses


@pytest.fixture(scope="module")
def pulses() -> Pulses:
    pytest.importorskip("scintipulses")
    return scintillate(PulseConfig(), 20, 1)


def test_pulses_have_the_noise_height_and_arrival_they_are_said_to_have(pulses: Pulses) -> None:
    config = pulses.config
    above = pulses.samples[:, 0].astype(float) - config.baseline_counts
    assert pulses.samples.dtype == np.uint16
    assert above[:, :20].std() == pytest.approx(config.noise_counts, rel=0.15)
    height = above.max(1) / config.full_scale_counts
    assert np.corrcoef(height, pulses.energy)[0, 1] > 0.99
    assert 0.85 < (height / pulses.energy).mean() < 1.05  # sampled beside the peak
    assert abs(pulses.time_ns - config.arrival_ns).max() <= config.jitter_ns / 2
    half = np.argmax(above > 0.5 * above.max(1, keepdims=True), axis=1) * config.period_ns
    late = half - pulses.time_ns
    assert 0 < late.min()
    assert late.max() - late.min() < 2 * config.period_ns


def test_a_seed_gives_the_same_pulses_and_leaves_the_global_generator_alone(pulses: Pulses) -> None:
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.uniform()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    first, second = (scintillate(PulseConfig(), 2, 3).samples for _ in range(2))
    assert (first == second).all()
    assert np.random.uniform() == expected  # noqa: NPY002


def test_a_step_that_does_not_divide_the_sampling_period_is_refused() -> None:
    with pytest.raises(UsageError, match=r"step_ns = 0.7\n  expected: a divisor of 4.0 ns"):
        scintillate(PulseConfig(), 1, 1, Scintillator(step_ns=0.7))


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scintipulses", None)
    with pytest.raises(ToolError, match=r"pip install 'edgeconv\[scintillation\]'"):
        scintillate(PulseConfig(), 1, 1)
