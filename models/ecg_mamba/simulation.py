"""One record from a heart, a rhythm and a recorder: the twelve leads in ADC units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.ecg_mamba.dipole import LEAD_VECTORS, Waves, join, render
from edgeconv.models.ecg_mamba.heart import Heart
from edgeconv.models.ecg_mamba.noise import LEADS_FROM_ELECTRODES, electrode_noise
from edgeconv.models.ecg_mamba.rhythm import Rhythm

__all__ = ["Device", "simulate"]

Floats = NDArray[np.float64]
Rng = np.random.Generator

# T falls faster than it rises; its end, by the tangent, lies two standard deviations after the peak.
_T_RIGHT, _T_LEFT, _T_END = 0.085, 1.5, 2.0
# Beyond the normal duration, a wide QRS lengthens QT by about its own excess.
_NORMAL_QRS_S = 0.09


@dataclass(frozen=True)
class Device:
    """A recorder.

    Attributes:
        rate_hz, gain, baseline: as the header gives them; ADC units per mV.
        seconds: shortest and longest record.
        share: how often it is used, relative to the others.
    """

    rate_hz: int
    gain: float
    baseline: int
    seconds: tuple[float, float]
    share: float = 1.0


def simulate(
    rng: Rng,
    heart: Heart,
    rhythm: Rhythm,
    device: Device,
    *,
    seconds: float,
    qtc_s: float,
    noise_level: float,
    breathing_hz: float,
    lead_vectors: Floats = LEAD_VECTORS,
) -> NDArray[np.int16]:
    """ADC units of the twelve leads, int16 (12, samples).

    Args:
        qtc_s: QT at 60 beats a minute (Fridericia: QT = QTc·∛RR).
        noise_level: see `electrode_noise`; 0 for none.
        lead_vectors: what each lead sees of the dipole, (12, 3).
    """
    samples = round(seconds * device.rate_hz)
    dipole = render(_all_waves(rng, heart, rhythm, qtc_s, breathing_hz), samples, device.rate_hz)
    if rhythm.fibrillation or rhythm.flutter_s is not None:
        dipole += _atrial_waves(rng, rhythm, samples, device.rate_hz)
    # Float32 resolves a thousandth of an ADC unit, and half of the time goes into memory traffic.
    signal = lead_vectors.astype(np.float32) @ dipole.astype(np.float32)
    if noise_level > 0:
        signal += LEADS_FROM_ELECTRODES @ electrode_noise(rng, samples, device.rate_hz, noise_level, breathing_hz)
    signal *= np.float32(device.gain)
    signal += np.float32(device.baseline)
    np.rint(signal, out=signal)
    # -32768 marks a missing sample.
    return np.clip(signal, -32767, 32767, out=signal).astype(np.int16)


def _all_waves(rng: Rng, heart: Heart, rhythm: Rhythm, qtc_s: float, breathing_hz: float) -> Waves:
    def scale(times: Floats, spread: float = 0.02) -> Floats:
        """Breathing turns and shifts the heart; beats differ a little, besides."""
        return 1 + 0.04 * np.sin(2 * np.pi * breathing_hz * times) + spread * rng.standard_normal(len(times))

    conducted, premature = np.sort(np.array(rhythm.qrs)), np.array(rhythm.ventricular)
    beats = np.sort(np.concatenate([conducted, premature]))
    mean = float(np.mean(np.diff(beats))) if len(beats) > 1 else 0.8
    before = np.diff(beats, prepend=beats[:1] - mean).clip(0.3, 2.0)
    # QT follows the rate with some delay: half this interval, half the mean.
    qt = (qtc_s + 0.8 * (heart.qrs_s - _NORMAL_QRS_S)) * np.cbrt(0.5 * before + 0.5 * mean)
    parts = [heart.qrs.at(conducted, scale(conducted)), heart.st.at(conducted, scale(conducted))]
    parts.append(
        _t_waves(conducted, qt[np.searchsorted(beats, conducted)], heart.t_vector, heart.qrs_s, scale(conducted))
    )
    for wave, times in ((heart.p, rhythm.p), (heart.ectopic_p, rhythm.ectopic_p)):
        at = np.array(times)
        parts.append(wave.at(at, scale(at, 0.05)))
    if len(premature):
        qt = qt[np.searchsorted(beats, premature)] + 0.05
        parts.append(heart.premature.at(premature, scale(premature, 0.03)))
        parts.append(_t_waves(premature, qt, heart.premature_t, heart.premature_s, scale(premature)))
    return join(parts)


def _t_waves(onset: Floats, qt: Floats, vector: Floats, qrs_s: float, scale: Floats) -> Waves:
    right = _T_RIGHT * qt
    center = np.maximum(onset + qt - _T_END * right, onset + qrs_s + 0.08)
    return Waves(center, _T_LEFT * right, right, scale[:, None] * vector)


def _atrial_waves(rng: Rng, rhythm: Rhythm, samples: int, rate_hz: int) -> Floats:
    """Fibrillatory and flutter waves, dipole (3, samples); the model of fibrillation is that of Stridh and Sörnmo.

    (IEEE Trans. Biomed. Eng. 48:105, 2001: a sawtooth of a few harmonics whose rate and size change slowly.)
    """
    time = np.arange(samples) / rate_hz
    out = np.zeros((3, samples))
    for begin, end in rhythm.fibrillation:
        inside = (1 + np.tanh((time - begin) / 0.1)) * (1 - np.tanh((time - end) / 0.1)) / 4
        for direction in ((0.2, 0.5, -0.8), (-0.5, 0.9, -0.2)):
            rate = rng.uniform(5.2, 9.0)
            slow = np.sin(2 * np.pi * (rng.uniform(0.1, 0.6) * time + rng.uniform()))
            other = np.sin(2 * np.pi * (rng.uniform(0.6, 1.5) * time + rng.uniform()))
            angle = 2 * np.pi * rate * time + 1.2 * slow + 0.8 * other
            size = rng.uniform(0.02, 0.065) * (1 + 0.35 * slow) * inside
            wave = np.sin(angle) + 0.4 * np.sin(2 * angle) + 0.15 * np.sin(3 * angle)
            out += np.array(direction)[:, None] * (size * wave)
    if rhythm.flutter_s is not None:
        angle = 2 * np.pi * (time - rhythm.flutter_start) / rhythm.flutter_s
        # Slowly down and quickly up in II, III and aVF; small upright waves in V1.
        saw = sum(np.sin(k * angle) / k * np.exp(-0.04 * k * k) for k in range(1, 6))
        bump = np.exp(3 * (np.cos(angle - 2.2) - 1)) - 0.24
        size = rng.uniform(0.1, 0.17)
        out += np.array([-0.1, 1.0, 0.0])[:, None] * (size * saw) + np.array([0, 0, -1.1])[:, None] * (size * bump)
    return out
