"""What networks are measured against: constant-fraction timing and the optimal filter."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.pulse.bound import noise_covariance
from edgeconv.models.pulse.simulation import PulseConfig, Pulses

__all__ = ["ConstantFraction", "OptimalFilter"]

Floats = NDArray[np.float64]
_FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
_SMOOTHINGS = (1, 2, 3, 4)
_CHUNK = 4096


def _above_baseline(config: PulseConfig, samples: NDArray[Any]) -> Floats:
    return samples.reshape(len(samples), -1).astype(np.float64) - config.baseline_counts


@dataclass(frozen=True)
class ConstantFraction:
    """Constant-fraction discrimination: when does the leading edge cross a fraction of the pulse's height?

    The height is that of a parabola through the three highest samples; the crossing is interpolated by a cubic through
    the four samples around it. `tune` chooses fraction and smoothing for the channel, as one does in a laboratory.

    Attributes:
        config: detector channel.
        fraction: of the pulse's height.
        smoothing: samples in the moving average before everything else; 1 for none.
        delay_ns: mean of crossing time - arrival time, to be taken off.
        gain: mean of fitted height / energy.
    """

    config: PulseConfig
    fraction: float
    smoothing: int
    delay_ns: float = 0.0
    gain: float = 1.0

    @classmethod
    def tune(cls, pulses: Pulses) -> ConstantFraction:
        """The fraction and smoothing with the best time resolution on known pulses, with delay and gain calibrated."""
        tried = []
        for fraction, smoothing in product(_FRACTIONS, _SMOOTHINGS):
            candidate = cls(pulses.config, fraction, smoothing)
            time, height = candidate.estimate(pulses.samples)
            late = time - pulses.time_ns
            gain = float((height @ pulses.energy) / (pulses.energy @ pulses.energy))
            tried.append((float(late.std()), cls(pulses.config, fraction, smoothing, float(late.mean()), gain)))
        return min(tried, key=lambda one: one[0])[1]

    def estimate(self, samples: NDArray[Any]) -> tuple[Floats, Floats]:
        """Time in ns and energy as a fraction of full scale, each (N,), from ADC codes (N, 1, samples)."""
        x = _above_baseline(self.config, samples)
        if self.smoothing > 1:
            sums = np.cumsum(np.pad(x, ((0, 0), (self.smoothing, 0))), axis=1)
            x = (sums[:, self.smoothing :] - sums[:, : -self.smoothing]) / self.smoothing
        rows, last = np.arange(len(x)), x.shape[1] - 1
        peak = np.clip(x.argmax(1), 1, last - 1)
        before, at, after = x[rows, peak - 1], x[rows, peak], x[rows, peak + 1]
        bend = np.minimum(before - 2 * at + after, -1e-9)
        height = at - (after - before) ** 2 / (8 * bend)
        threshold = self.fraction * height
        # The last sample below the threshold before the peak starts the crossing.
        is_below = (x < threshold[:, None]) & (np.arange(last + 1) < peak[:, None])
        start = np.clip(last - is_below[:, ::-1].argmax(1), 1, last - 2)
        crossing = start + _cubic_crossing(x[rows[:, None], start[:, None] + np.arange(-1, 3)], threshold)
        energy = height / (self.config.full_scale_counts * self.gain)
        return crossing * self.config.period_ns - self.delay_ns, energy


def _cubic_crossing(y: Floats, threshold: Floats) -> Floats:
    """Where in [0, 1] the cubic through (-1, 0, 1, 2) reaches the threshold, by bisection."""
    before, at, after, beyond = y.T
    c1 = -before / 3 - at / 2 + after - beyond / 6
    c2 = before / 2 - at + after / 2
    c3 = -before / 6 + at / 2 - after / 2 + beyond / 6
    low, high = np.zeros(len(y)), np.ones(len(y))
    for _ in range(30):
        middle = (low + high) / 2
        is_above = at + middle * (c1 + middle * (c2 + middle * c3)) > threshold
        low, high = np.where(is_above, low, middle), np.where(is_above, middle, high)
    return (low + high) / 2


class OptimalFilter:
    """Maximum likelihood for a known pulse shape and noise: a bank of linear filters on a fine grid of arrival times.

    At the grid time whose template fits best, the filters for height and height x delay give energy and the rest of
    the time (Cleland and Stern, NIM A 338:467, 1994). An unknown baseline is fitted with them.

    Args:
        config: detector channel, without pile-up.
        steps: grid points per sampling period.
    """

    def __init__(self, config: PulseConfig, steps: int = 16) -> None:
        self.config = config
        margin = 1.5 * config.period_ns  # noise may carry the estimate out of the window of true arrival times
        half = config.jitter_ns / 2 + margin
        count = round(2 * half / config.period_ns * steps) + 1
        self.grid_ns = config.arrival_ns + np.linspace(-half, half, count)
        t = np.arange(config.samples) * config.period_ns - self.grid_ns[:, None]
        full = config.full_scale_counts
        templates = [full * config.shape.value(t), -full * config.shape.slope(t)]
        if config.baseline_spread > 0:
            templates.append(np.ones_like(t))
        design = np.stack(templates, axis=1)
        weighted = design @ np.linalg.inv(noise_covariance(config))
        self._information = np.einsum("gps,gqs->gpq", weighted, design, optimize=True)
        self._filters = np.linalg.solve(self._information, weighted)

    def estimate(self, samples: NDArray[Any]) -> tuple[Floats, Floats]:
        """Time in ns and energy as a fraction of full scale, each (N,), from ADC codes (N, 1, samples)."""
        parts = [self._estimate(samples[start : start + _CHUNK]) for start in range(0, len(samples), _CHUNK)]
        return np.concatenate([time for time, _ in parts]), np.concatenate([energy for _, energy in parts])

    def _estimate(self, samples: NDArray[Any]) -> tuple[Floats, Floats]:
        x = _above_baseline(self.config, samples)
        grid, parameters, _ = self._filters.shape
        fits = (x @ self._filters.reshape(grid * parameters, -1).T).reshape(len(x), grid, parameters)
        # What each template explains of the waveform; the delay inside the grid cell is left to the linear term.
        explained = np.einsum("ngp,gpq,ngq->ng", fits, self._information, fits, optimize=True)
        rest = np.abs(fits[:, :, 1]) / np.maximum(np.abs(fits[:, :, 0]), 1e-12)
        far = rest > 2 * (self.grid_ns[1] - self.grid_ns[0])
        best = np.where(far, -np.inf, explained).argmax(1)
        # A waveform without a clear pulse has no grid time that its own fit confirms.
        best = np.where(far.all(1), explained.argmax(1), best)
        rows = np.arange(len(x))
        energy, product_with_delay = fits[rows, best, 0], fits[rows, best, 1]
        delay = product_with_delay / np.where(np.abs(energy) > 1e-3, energy, 1e-3)
        return self.grid_ns[best] + np.clip(delay, -self.config.period_ns, self.config.period_ns), energy
