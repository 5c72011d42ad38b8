"""The Cramér–Rao bound of time and energy, computed numerically for the very pulse, noise and ADC that are simulated.

The waveform is energy·shape(t - time) + baseline plus Gaussian noise of known covariance, to whose diagonal the ADC's
rounding adds 1/12 count². The bound is the inverse of the full Fisher matrix, so the correlation of time, energy and,
where it is unknown, the baseline is in it (Kay, Fundamentals of Statistical Signal Processing I, ch. 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.pulse.simulation import PulseConfig, Pulses

__all__ = ["Bound", "cramer_rao", "efficient_estimate", "noise_covariance", "whiten"]

Floats = NDArray[np.float64]
_ROUNDING_VARIANCE = 1 / 12


@dataclass(frozen=True)
class Bound:
    """Smallest standard deviation of any unbiased estimator, pulse by pulse.

    Attributes:
        time_ns, energy: float64 (N,); energy as a fraction of full scale.
    """

    time_ns: Floats
    energy: Floats


def noise_covariance(config: PulseConfig) -> Floats:
    """Covariance of electronic noise and ADC rounding, counts², (samples, samples)."""
    apart = np.abs(np.subtract.outer(np.arange(config.samples), np.arange(config.samples))) * config.period_ns
    slow = config.correlated * np.exp(-apart / config.correlation_ns)
    white = (1 - config.correlated) * np.eye(config.samples)
    return config.noise_counts**2 * (slow + white) + _ROUNDING_VARIANCE * np.eye(config.samples)


def whiten(config: PulseConfig, rows: Floats) -> Floats:
    """Rows (..., samples) divided by the noise, so that their dot products are those of the inverse covariance."""
    if config.correlated == 0:
        return rows / np.sqrt(config.noise_counts**2 + _ROUNDING_VARIANCE)
    factor = np.linalg.cholesky(noise_covariance(config))
    return rows @ np.linalg.inv(factor).T


def _jacobian(config: PulseConfig, time_ns: Floats, energy: Floats) -> Floats:
    """Derivatives of the waveform with respect to time, energy and an unknown baseline: (N, 2 or 3, samples)."""
    t = np.arange(config.samples) * config.period_ns - np.asarray(time_ns)[:, None]
    full = config.full_scale_counts
    columns = [-full * np.asarray(energy)[:, None] * config.shape.slope(t), full * config.shape.value(t)]
    if config.baseline_spread > 0:
        columns.append(np.ones_like(t))
    return np.stack(columns, axis=1)


def _information(config: PulseConfig, whitened: Floats) -> Floats:
    """Fisher matrix per pulse; what is known beforehand of an unknown baseline counts as its uniform variance."""
    fisher = np.einsum("nps,nqs->npq", whitened, whitened, optimize=True)
    if config.baseline_spread > 0:
        fisher[:, 2, 2] += _baseline_precision(config)
    return fisher


def _baseline_precision(config: PulseConfig) -> float:
    """1 / variance of the uniform distribution of an unknown baseline, counts⁻²."""
    return 3 / (config.baseline_spread * config.levels) ** 2


def cramer_rao(config: PulseConfig, time_ns: Floats, energy: Floats) -> Bound:
    """Bound for pulses of these arrival times and energies, without pile-up.

    Args:
        time_ns, energy: (N,) arrays.
    """
    fisher = _information(config, whiten(config, _jacobian(config, time_ns, energy)))
    variance = np.diagonal(np.linalg.inv(fisher), axis1=1, axis2=2)
    return Bound(np.sqrt(variance[:, 0]), np.sqrt(variance[:, 1]))


def efficient_estimate(pulses: Pulses) -> tuple[Floats, Floats, Bound]:
    """What an estimator that meets the bound would answer for these noisy waveforms.

    One scoring step from the truth, θ + I⁻¹·Jᵀ·C⁻¹·(waveform - expected waveform), which the maximum-likelihood
    estimate approaches at high signal-to-noise ratio. As a training target it carries the noise that no estimator can
    remove, so what is left of the loss is the network's own error. Piled-up pulses keep their true values.

    Returns:
        time in ns, energy as a fraction of full scale, and the bound of each pulse.
    """
    config = pulses.config
    t = np.arange(config.samples) * config.period_ns - pulses.time_ns[:, None]
    expected = config.full_scale_counts * pulses.energy[:, None] * config.shape.value(t)
    if config.baseline_spread > 0:
        expected += pulses.baseline_counts[:, None]
    else:
        expected += config.baseline_counts
    residual = whiten(config, pulses.samples[:, 0].astype(np.float64) - expected)
    jacobian = whiten(config, _jacobian(config, pulses.time_ns, pulses.energy))
    inverse = np.linalg.inv(_information(config, jacobian))
    score = np.einsum("nqs,ns->nq", jacobian, residual, optimize=True)
    if config.baseline_spread > 0:
        score[:, 2] -= (pulses.baseline_counts - config.baseline_counts) * _baseline_precision(config)
    step = np.einsum("npq,nq->np", inverse, score, optimize=True)
    step[pulses.piled_up] = 0
    variance = np.diagonal(inverse, axis1=1, axis2=2)
    bound = Bound(np.sqrt(variance[:, 0]), np.sqrt(variance[:, 1]))
    return pulses.time_ns + step[:, 0], pulses.energy + step[:, 1], bound
