"""What electrodes add to the heart: muscle noise, mains, wander of the baseline, electrode motion, offsets.

Noise arises at electrodes and enters a lead by its definition, so limb leads share it and keep Einthoven's law, and the
noise of the limb electrodes shows in chest leads through Wilson's terminal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.ecg_mamba.leads import LIMB_FROM_I_II

__all__ = ["LEADS_FROM_ELECTRODES", "electrode_noise"]

Rng = np.random.Generator

# Electrodes RA, LA, LL, V1 … V6. I = LA - RA, II = LL - RA; chest leads against the mean of the three.
_I_II = np.array([[-1, 1, 0], [-1, 0, 1]])
LEADS_FROM_ELECTRODES = np.zeros((12, 9), np.float32)
LEADS_FROM_ELECTRODES[:6, :3] = LIMB_FROM_I_II @ _I_II
LEADS_FROM_ELECTRODES[6:, :3] = -1 / 3
LEADS_FROM_ELECTRODES[6:, 3:] = np.eye(6)

_WANDER_WAVES = 4


def electrode_noise(rng: Rng, samples: int, rate_hz: float, level: float, breathing_hz: float) -> NDArray[np.float32]:
    """Noise in mV at the nine electrodes, float32 (9, samples).

    Args:
        level: 1 is an ordinary recording at rest; 0.3 is quiet, 3 is poor.
        breathing_hz: the rate of breathing, which moves the baseline.
    """
    time = np.arange(samples, dtype=np.float32) / np.float32(rate_hz)
    # Uniform numbers are ten times as fast as normal ones, and smoothing and the mixture of electrodes in every lead
    # bring their sums close to a normal distribution.
    muscle = rng.integers(-(2**15), 2**15, (9, samples + 2), np.int16).astype(np.float32)
    muscle *= (level * 0.011 * rng.lognormal(0, 0.35, (9, 1)) * np.sqrt(12) / 2**16).astype(np.float32)
    # Electrocardiographs pass 150 Hz, which smoothing over three samples (1/4, 1/2, 1/4) does well enough at 500 Hz.
    twice = muscle[:, :-1] + muscle[:, 1:]
    noise = twice[:, :-1]
    noise += twice[:, 1:].copy()
    noise *= np.float32(0.25)
    if rng.uniform() < 0.3:  # a muscle tenses for a while
        center, width = rng.uniform(0, samples / rate_hz), rng.uniform(0.3, 2.0)
        noise *= 1 + np.float32(rng.uniform(1, 4)) * np.exp(-0.5 * ((time - center) / width) ** 2, dtype=np.float32)
    mains_hz = 50.0 if rng.uniform() < 0.6 else 60.0
    frequency = np.concatenate([rng.uniform(0.05, 0.5, _WANDER_WAVES - 1), [breathing_hz, mains_hz, 3 * mains_hz]])
    size = np.concatenate([rng.exponential(0.022, _WANDER_WAVES - 1), [rng.exponential(0.025)], [0.003, 0.001]])
    size[_WANDER_WAVES:] *= rng.exponential(1.0) if rng.uniform() < 0.5 else 0.0
    size[frequency > 0.45 * rate_hz] = 0  # the recorder's filter
    used = size > 0
    turn, phase = (2 * np.pi * frequency)[used, None], rng.uniform(0, 2 * np.pi, (len(size), 1))[used]
    waves = np.sin(turn.astype(np.float32) * time + phase.astype(np.float32))
    noise += (level * size * rng.standard_normal((9, len(size))))[:, used].astype(np.float32) @ waves
    if rng.uniform() < min(0.15 * level, 0.6):
        noise[rng.integers(9)] += _motion(rng, time, level)
    noise += rng.normal(0, 0.05, (9, 1)).astype(np.float32)
    return noise


def _motion(rng: Rng, time: NDArray[np.float32], level: float) -> NDArray[np.float32]:
    """One electrode slips a few times: steps that decay within half a second or so."""
    out = np.zeros_like(time)
    for _ in range(int(rng.integers(1, 4))):
        start, decay = rng.uniform(0, time[-1]), rng.uniform(0.1, 0.6)
        since = np.maximum(time - np.float32(start), 0)
        height = level * rng.normal(0, 0.25)
        out += np.float32(height) * (since / np.float32(0.04)).clip(0, 1) * np.exp(-since / np.float32(decay))
    return out
