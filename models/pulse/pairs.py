"""Two pulses in one window: their simulation, and the bound of all four parameters together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.pulse.bound import whiten
from edgeconv.models.pulse.simulation import Floats, PulseConfig, digitize

__all__ = ["PairConfig", "Pairs", "pair_estimate", "simulate_pairs"]


@dataclass(frozen=True)
class Pairs:
    """Simulated waveforms of two pulses each.

    Attributes:
        config, pairs: what they were simulated from.
        samples: ADC codes, (N, 1, samples).
        truth: time in ns and energy of the first pulse, then of the second: float64 (N, 4).
    """

    config: PulseConfig
    pairs: PairConfig
    samples: NDArray[np.integer]
    truth: Floats

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def separation_ns(self) -> Floats:
        """From the first arrival to the second."""
        return np.asarray(self.truth[:, 2] - self.truth[:, 0])


@dataclass(frozen=True)
class PairConfig:
    """What two pulses fall on a channel together.

    Attributes:
        least_ns, most_ns: the second arrives this long after the first, uniformly.
        min_energy, max_energy: of each, uniformly, as fractions of full scale; two of the largest still fit the ADC.
    """

    least_ns: float = 0.0
    most_ns: float = 160.0
    min_energy: float = 0.1
    max_energy: float = 0.5

    def prior(self, config: PulseConfig) -> tuple[Floats, Floats]:
        """Means and standard deviations of the four parameters, (4,) each."""
        apart, energy = (self.least_ns + self.most_ns) / 2, (self.min_energy + self.max_energy) / 2
        spread, width = (self.most_ns - self.least_ns) / 12**0.5, (self.max_energy - self.min_energy) / 12**0.5
        jitter = config.jitter_ns / 12**0.5
        return (
            np.array([config.arrival_ns, energy, config.arrival_ns + apart, energy]),
            np.array([jitter, width, np.hypot(spread, jitter), width]),
        )


def simulate_pairs(config: PulseConfig, pairs: PairConfig, n: int, rng: np.random.Generator) -> Pairs:
    """Simulate n waveforms, each with two pulses, the first where single ones arrive."""
    first = config.arrival_ns + config.jitter_ns * rng.uniform(-0.5, 0.5, n)
    second = first + rng.uniform(pairs.least_ns, pairs.most_ns, n)
    energies = rng.uniform(pairs.min_energy, pairs.max_energy, (n, 2))
    at = np.arange(config.samples) * config.period_ns
    height = np.zeros((n, config.samples))
    for i, time in enumerate((first, second)):
        height += energies[:, i, None] * config.shape.value(at - time[:, None])
    samples = digitize(config, config.baseline_counts + config.full_scale_counts * height, rng)
    return Pairs(config, pairs, samples, np.stack([first, energies[:, 0], second, energies[:, 1]], 1))


def pair_estimate(data: Pairs) -> tuple[Floats, Floats]:
    """What an estimator would answer that knows the noise and how pulses are distributed, and its standard deviations.

    One scoring step from the truth under a normal prior of the same mean and variance (the Bayesian bound of Van Trees,
    Detection, Estimation, and Modulation Theory I, 2.4): where two pulses lie so close that the waveform does not tell
    them apart, the prior says what is left to say.

    Returns:
        float64 (N, 4) each, in the order of `Pairs.truth`.
    """
    config = data.config
    full, at = config.full_scale_counts, np.arange(config.samples) * config.period_ns
    columns, expected = [], np.full((len(data), config.samples), float(config.baseline_counts))
    for i in (0, 2):
        t, energy = at - data.truth[:, i, None], data.truth[:, i + 1, None]
        value = full * config.shape.value(t)
        columns += [-full * energy * config.shape.slope(t), value]
        expected += energy * value
    jacobian = whiten(config, np.stack(columns, axis=1))
    residual = whiten(config, data.samples[:, 0].astype(np.float64) - expected)
    mean, spread = data.pairs.prior(config)
    information = np.einsum("nps,nqs->npq", jacobian, jacobian, optimize=True) + np.diag(spread**-2.0)
    inverse = np.linalg.inv(information)
    score = np.einsum("nqs,ns->nq", jacobian, residual, optimize=True) - (data.truth - mean) / spread**2
    step = np.einsum("npq,nq->np", inverse, score, optimize=True)
    return data.truth + step, np.sqrt(np.diagonal(inverse, axis1=1, axis2=2))
