"""Procedural textures: value noise with octaves that fade where a pixel covers more than their wavelength.

Nothing is stored, so a drive may be endless; without the fading, far surfaces would flicker from frame to frame, which
no camera does and which would teach a network that compares frames nonsense.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["hashed", "noise", "strength", "stripes"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def hashed(x: Ints, y: Ints, seed: Ints) -> Floats:
    """A number in [0, 1) for each triple of integers, the same for ever (multiply and xor-shift, after MurmurHash3)."""
    # Modulo 2³²: what overflows is what mixes.
    h = x.astype(np.uint32) * np.uint32(0x9E3779B1) ^ y.astype(np.uint32) * np.uint32(0x85EBCA77)
    h ^= seed.astype(np.uint32) * np.uint32(0xC2B2AE3D)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h ^= h >> np.uint32(shift)
        h *= np.uint32(factor)
    h ^= h >> np.uint32(16)
    return h.astype(np.float64) * 2.0**-32


def strength(size: float, footprint: Floats) -> Floats:
    """How much is left of a pattern of this size: all above four pixels to it, nothing below two, where it aliases."""
    return np.clip(size / np.maximum(footprint, 1e-9) / 2 - 1, 0, 1)


def noise(u: Floats, v: Floats, seed: Ints, footprint: Floats, *, wavelength: float, octaves: int = 4) -> Floats:
    """Noise in about [-1, 1] at surface coordinates u, v in metres.

    Args:
        seed: one integer a point; points of one surface share it.
        footprint: size of a pixel on the surface, in metres.
        wavelength: of the coarsest octave, in metres; each further octave halves it and has 0.7 times the amplitude.
    """
    total = np.zeros_like(u)
    for octave in range(octaves):
        size = wavelength / 2**octave
        amplitude = strength(size, footprint) * 0.7**octave
        seen = amplitude > 0
        if seen.any():
            total[seen] += amplitude[seen] * _one_octave(u[seen] / size, v[seen] / size, seed[seen] + octave * 7919)
    return total


def _one_octave(u: Floats, v: Floats, seed: Ints) -> Floats:
    column, row = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    a, b = _smooth(u - column), _smooth(v - row)
    top = hashed(column, row, seed) * (1 - a) + hashed(column + 1, row, seed) * a
    bottom = hashed(column, row + 1, seed) * (1 - a) + hashed(column + 1, row + 1, seed) * a
    return 2 * (top * (1 - b) + bottom * b) - 1


def _smooth(t: Floats) -> Floats:
    return t * t * (3 - 2 * t)


def stripes(t: Floats, period: float, duty: float, footprint: Floats) -> Floats:
    """1 within the first `duty` of each period, 0 elsewhere, averaged over the footprint of a pixel."""
    half = np.maximum(footprint, 1e-9) / 2
    return (_covered(t + half, period, duty) - _covered(t - half, period, duty)) / (2 * half)


def _covered(t: Floats, period: float, duty: float) -> Floats:
    """Integral of the stripes from 0 to t."""
    whole = np.floor(t / period)
    return whole * period * duty + np.minimum(t - whole * period, period * duty)
