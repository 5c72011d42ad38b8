"""The heart as one moving dipole: waves of a vectorcardiogram, and what they are in the twelve leads.

McSharry, Clifford, Tarassenko and Smith (IEEE Trans. Biomed. Eng. 50:289, 2003; ECGSYN) move a point around a limit
cycle, and each passage of an event draws a Gaussian: dz/dt = -Σ a·Δθ·exp(-Δθ²/2b²). Its closed form is a sum of
Gaussians, and Sameni, Clifford, Jutten and Shamsollahi (EURASIP J. Adv. Signal Process. 2007:43407) take it for each of
the three components of the dipole. Here time replaces the angle, since intervals (PR, QRS, QT) are what diagnoses are
made of, and a Gaussian may rise and fall at different rates, as T waves do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.ecg_mamba.leads import LIMB_FROM_I_II

__all__ = ["LEAD_VECTORS", "Waves", "join", "render"]

Floats = NDArray[np.float64]

# Dower, Machado and Osborne (Clin. Cardiol. 3:87, 1980): I, II, V1 … V6 from Frank's X (to the left), Y (to the feet),
# Z (to the back).
_DOWER = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)
# Twelve leads in the order of LEADS; limb leads keep Einthoven's and Goldberger's identities exactly.
LEAD_VECTORS = np.concatenate([LIMB_FROM_I_II @ _DOWER[:2], _DOWER[2:]])

# A Gaussian is drawn to four standard deviations, where it has fallen to 0.03 %.
_REACH = 4.0


@dataclass(frozen=True, eq=False)
class Waves:
    """Gaussians of the dipole.

    Attributes:
        center: time of the peak, s, (waves,).
        left, right: standard deviations before and after the peak, s, (waves,).
        vector: dipole at the peak, mV, (waves, 3).
    """

    center: Floats
    left: Floats
    right: Floats
    vector: Floats

    @classmethod
    def of(cls, rows: Sequence[tuple[float, float, float, Floats]]) -> Waves:
        """From (center, left, right, vector) of each wave."""
        center, left, right, vector = zip(*rows, strict=True)
        return cls(np.array(center), np.array(left), np.array(right), np.array(vector))

    def at(self, times: Floats, scale: Floats | None = None) -> Waves:
        """These waves after each of some times, scaled there."""
        scale = np.ones(len(times)) if scale is None else scale
        return Waves(
            (times[:, None] + self.center).reshape(-1),
            np.tile(self.left, len(times)),
            np.tile(self.right, len(times)),
            (scale[:, None, None] * self.vector).reshape(-1, 3),
        )

    def scaled(self, factor: float) -> Waves:
        """The same waves, larger or smaller."""
        return Waves(self.center, self.left, self.right, factor * self.vector)


def join(parts: Sequence[Waves]) -> Waves:
    """All waves of several sets."""
    return Waves(
        np.concatenate([part.center for part in parts]),
        np.concatenate([part.left for part in parts]),
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.vector for part in parts]),
    )


def render(waves: Waves, samples: int, rate_hz: float) -> Floats:
    """The vectorcardiogram from time 0 on, (3, samples): the sum of all waves."""
    first = np.maximum(np.ceil((waves.center - _REACH * waves.left) * rate_hz), 0).astype(np.int64)
    last = np.minimum(np.floor((waves.center + _REACH * waves.right) * rate_hz), samples - 1).astype(np.int64)
    count = np.maximum(last - first + 1, 0)
    # One flat list of (wave, sample) pairs, so that one exp and three bincounts draw everything.
    wave = np.repeat(np.arange(len(count)), count)
    at = np.arange(len(wave)) + (first - np.cumsum(count) + count)[wave]
    distance = at / rate_hz - waves.center[wave]
    width = np.where(distance < 0, waves.left[wave], waves.right[wave])
    height = np.exp(-0.5 * (distance / width) ** 2)
    return np.stack([np.bincount(at, height * waves.vector[wave, axis], samples) for axis in range(3)])
