"""Pulses from another simulation than the family's own: the package scintiPulses, from fluorescence to the ADC.

scintiPulses (R. Coulon, https://pypi.org/project/scintiPulses) draws the photons of a scintillator one by one, and
passes their charges through photomultiplier, noise, preamplifier, shaper, anti-aliasing filter and digitizer. Its pulse
shapes fluctuate with the photons, and are not those of `simulation`: they test networks on what these were not trained
for. Needs the extra `scintillation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeconv.errors import ToolError, UsageError
from edgeconv.models.pulse.simulation import Floats, PulseConfig, Pulses

__all__ = ["Scintillator", "scintillate"]

# Of the anti-aliasing filter, as a fraction of the sampling rate, as scintiPulses recommends.
_CUTOFF = 0.4
_KEV = 1000.0
# Its filters start from the first noise value as it is: windows begin when they have forgotten that.
_LEAD_NS = 64.0
# Events without noise whose mean height is full scale, and steps of noise whose size is measured behind the filters.
_HEIGHTS, _NOISE_STEPS = 16, 1 << 15


@dataclass(frozen=True)
class Scintillator:
    """The detector in front of the ADC.

    Attributes:
        decay_ns, delayed_ns, delayed_fraction: of the fluorescence, prompt and delayed.
        photoelectrons: mean number of a full-scale event.
        spread_ns: width (σ) of the answer to a single photoelectron.
        integration_ns, differentiation_ns: time constants of preamplifier (RC) and shaper (CR).
        step_ns: of the simulated time; arrivals lie on its grid. It must divide the sampling period.
    """

    decay_ns: float = 4.6
    delayed_ns: float = 120.0
    delayed_fraction: float = 0.02
    photoelectrons: float = 20_000.0
    spread_ns: float = 2.23
    integration_ns: float = 6.0
    differentiation_ns: float = 1000.0
    step_ns: float = 0.5

    def __post_init__(self) -> None:
        positive = (self.decay_ns, self.delayed_ns, self.photoelectrons, self.spread_ns, self.integration_ns,
                    self.differentiation_ns, self.step_ns)  # fmt: skip
        if min(positive) <= 0 or not 0 <= self.delayed_fraction < 1:
            raise UsageError(f"{self}", expected="positive numbers, and a delayed fraction in [0, 1)")


def scintillate(config: PulseConfig, n: int, seed: int, scintillator: Scintillator | None = None) -> Pulses:
    """Simulate n pulses by scintiPulses: on the channel's ADC, with its noise, arriving when its pulses arrive.

    Times are those of events in the scintillator, on the grid of simulated time: what networks of another pulse shape
    answer differs from them by a constant. Energies are deposited ones, without the statistics of photons. Some 25 ms a
    pulse.

    Args:
        config: channel; its shape, correlated noise, spectrum and pile-up are not used.
        seed: of numpy's global generator too, from which the package draws; its state is put back.

    Raises:
        ToolError: scintiPulses is not installed.
        UsageError: the simulated step does not divide the sampling period.
    """
    scintillator = scintillator or Scintillator()
    every = round(config.period_ns / scintillator.step_ns)
    if not np.isclose(every * scintillator.step_ns, config.period_ns):
        raise UsageError(
            f"Scintillator.step_ns = {scintillator.step_ns}", expected=f"a divisor of {config.period_ns} ns"
        )
    rng = np.random.default_rng(seed)
    steps = rng.integers(0, round(config.jitter_ns / scintillator.step_ns), n)
    arrival = round((config.arrival_ns - config.jitter_ns / 2) / scintillator.step_ns) + steps
    energy = rng.uniform(config.min_energy, 1, n)
    state = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(rng.integers(2**32))  # noqa: NPY002
        chain = _Chain(config, scintillator)
        volts = np.stack([chain.event(at, e) for at, e in zip(arrival, energy, strict=True)])
    finally:
        np.random.set_state(state)  # noqa: NPY002
    counts = np.rint(volts[:, ::every] / chain.step_volts).astype(np.int64) + config.baseline_counts
    samples = np.clip(counts, 0, config.levels - 1).astype(config.dtype)
    baseline = np.full(n, float(config.baseline_counts))
    time = np.asarray(arrival * scintillator.step_ns, np.float64)
    return Pulses(config, samples[:, None, :], time, energy, baseline, np.zeros(n, bool))


class _Chain:
    """scintiPulses with the settings of one channel, its gain and noise measured."""

    def __init__(self, config: PulseConfig, scintillator: Scintillator) -> None:
        self._package = _require_package()
        self._config, self._scintillator = config, scintillator
        middle = round(config.arrival_ns / scintillator.step_ns)
        heights = [self._run(middle, 1.0)[8].max() for _ in range(_HEIGHTS)]
        self.step_volts = float(np.mean(heights)) / config.full_scale_counts
        self._noise_volts = config.noise_counts * self.step_volts / self._noise_gain()

    def event(self, arrival: int, energy: float) -> Floats:
        """The digitized signal in volts at every simulated step, of one event in that step."""
        step = self.step_volts
        # Its range is symmetric about 0 and has one bit more: this ADC has nearly all its codes above the baseline.
        digitizer = {"digitization": True, "R": self._config.adc_bits + 1, "Vs": step * self._config.levels}
        volts = self._run(arrival, energy, electronicNoise=True, sigmaRMS=self._noise_volts, **digitizer)[9]
        return volts[-round(self._config.samples * self._config.period_ns / self._scintillator.step_ns) :]

    def _run(self, arrival: int, energy: float, **changes: Any) -> tuple[Floats, ...]:
        one, config = self._scintillator, self._config
        step = one.step_ns * 1e-9
        light = one.photoelectrons / _KEV / (1 + one.delayed_fraction)
        answer: tuple[Floats, ...] = self._package.scintiPulses(
            [energy * _KEV],
            arrival_times=[(arrival + 0.25) * step + _LEAD_NS * 1e-9],  # it rounds down to a step
            tN=(_LEAD_NS + config.samples * config.period_ns - 0.5 * one.step_ns) * 1e-9, fS=1 / step, L=light,
            tau1=one.decay_ns * 1e-9, tau2=one.delayed_ns * 1e-9, p2=one.delayed_fraction, TTA_yield=False,
            TTA_kinetics=False, tauS=one.spread_ns * 1e-9, pream=True, tauRC=one.integration_ns * 1e-9, ampli=True,
            tauCR=one.differentiation_ns * 1e-9, fc=self._cutoff_hz, **changes,
        )  # fmt: skip
        return answer

    @property
    def _cutoff_hz(self) -> float:
        return _CUTOFF / (self._config.period_ns * 1e-9)

    def _noise_gain(self) -> float:
        """Standard deviation of white noise behind all filters, of one unit before them."""
        one, package = self._scintillator, self._package
        step = one.step_ns * 1e-9
        noise = np.random.normal(0, 1, _NOISE_STEPS)  # noqa: NPY002
        shaped = package.cr_filter(
            package.rc_filter(noise, one.integration_ns * 1e-9, step), one.differentiation_ns * 1e-9, step
        )
        return float(np.std(package.low_pass_filter(shaped, step, self._cutoff_hz)[_NOISE_STEPS // 2 :]))


def _require_package() -> Any:
    try:
        from scintipulses import scintiPulses
    except ImportError:
        raise ToolError(
            "the Python package 'scintiPulses' is not installed", advice="pip install 'edgeconv[scintillation]'"
        ) from None
    return scintiPulses
