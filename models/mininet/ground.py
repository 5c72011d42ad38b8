"""The street's surface as a camera sees it: asphalt with repairs, joints and manholes, paint, slabs of the pavement.

A road of one tone looks the same from one metre further, so what a real one carries decides how much a video tells of
it. All of it fades where a pixel covers more than its size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.mininet.scene import Scene
from edgeconv.models.mininet.texture import hashed, noise, strength, stripes

__all__ = ["ground_reflectance"]

Floats = NDArray[np.float64]

_SLAB = 1.2  # metres, square
_REPAIR = (2.3, 5.0)  # metres across and along
_MANHOLES = 11.0  # metres of road to each
_CROSSINGS = 70.0  # metres of road to each zebra crossing, 3.5 of them striped


def ground_reflectance(scene: Scene, points: Floats, across: Floats, along: Floats) -> Floats:
    """Reflectance (N, 3) of the ground at points (N, 3) on it.

    Args:
        across, along: size of a pixel on the ground across the direction of view and in it, in metres.
    """
    x, z = points[:, 0], points[:, 2]
    beyond = np.abs(x) - scene.road_half_width
    asphalt = scene.ground_colour * _asphalt(scene, x, z, along)[:, None]
    road = asphalt + (0.85 - asphalt) * _paint(scene, x, z, across, along)[:, None]
    return np.where((beyond > 0)[:, None], _pavement(scene, x, z, along)[:, None], road)


def _asphalt(scene: Scene, x: Floats, z: Floats, along: Floats) -> Floats:
    """Brightness beside the road's colour: grain, stains, repaired rectangles, tarred joints, manholes."""
    seeds = np.full(len(x), scene.seed)
    tone = 1 + 0.10 * noise(x, z, seeds + 1, along, wavelength=0.8) + 0.09 * noise(x, z, seeds + 2, along, wavelength=6)
    tone += 0.22 * noise(x, z, seeds + 6, along, wavelength=2.5, octaves=3)
    repair = _cells(x / _REPAIR[0], z / _REPAIR[1], scene.seed + 7)
    tone *= 1 + strength(_REPAIR[1], along) * (0.2 * (repair > 0.88) - 0.3 * (repair < 0.16))
    tone *= 1 - 0.5 * stripes(z + scene.seed % 5, 7.3, 0.02, along)
    # One to each stretch of road, somewhere on it.
    stretch = np.floor(z / _MANHOLES)
    from_z = z - (stretch + 0.1 + 0.8 * _cells(stretch, 0 * z, scene.seed + 8)) * _MANHOLES
    from_x = x - (2 * _cells(stretch, 0 * z, scene.seed + 9) - 1) * (scene.road_half_width - 1.5)
    lid = np.clip((0.35 - np.hypot(from_x, from_z)) / np.maximum(along, 0.02) + 0.5, 0, 1) * strength(0.7, along)
    return np.asarray(tone * (1 - 0.5 * lid))


def _paint(scene: Scene, x: Floats, z: Floats, across: Floats, along: Floats) -> Floats:
    """Coverage with white: the dashed middle line, lines at the edges, zebra crossings."""
    middle = (np.abs(x) < 0.08) * stripes(z + 0.1 * scene.seed % 7, 9.0, 0.4, along)
    edges = np.abs(np.abs(x) - scene.road_half_width + 0.35) < 0.07
    zebra = stripes(z + scene.seed % _CROSSINGS, _CROSSINGS, 3.5 / _CROSSINGS, along) * stripes(x, 1.0, 0.5, across)
    return np.asarray(np.maximum(np.maximum(middle, edges), zebra))


def _pavement(scene: Scene, x: Floats, z: Floats, along: Floats) -> Floats:
    seeds = np.full(len(x), scene.seed)
    tone = 0.55 + 0.12 * noise(x, z, seeds + 3, along, wavelength=1.5)
    tone += 0.1 * noise(x, z, seeds + 10, along, wavelength=4)
    slab = _cells(x / _SLAB, z / _SLAB, scene.seed + 11)
    tone *= 1 + 0.3 * (slab - 0.5) * strength(_SLAB, along)
    return np.asarray(tone * (1 - 0.3 * stripes(z, _SLAB, 0.06, along)))


def _cells(u: Floats, v: Floats, seed: int) -> Floats:
    """A number in [0, 1) for each unit square."""
    return hashed(np.floor(u).astype(np.int64), np.floor(v).astype(np.int64), np.full(len(u), seed))
