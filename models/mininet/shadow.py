"""Shadows on the ground: the way to the sun is tried against each thing, where its shadow can fall at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.mininet.scene import Kind, Scene

__all__ = ["sunlit"]

Floats = NDArray[np.float64]

_UNDER_CAR = 0.45  # of the light from everywhere that reaches the ground between the wheels


def sunlit(scene: Scene, points: Floats, time_s: float) -> tuple[Floats, Floats]:
    """How much light reaches points (N, 3) on the ground.

    Returns:
        (N,) 1 where the sun shines, 0 in shadow; (N,) share of the light from everywhere, less below cars.
    """
    sun, open_sky = np.ones(len(points)), np.ones(len(points))
    centres, halves = scene.centres_at(time_s), scene.halves
    # The top of a thing shades what lies this far from below it, against the sun.
    reach = (centres[:, 1] - halves[:, 1])[:, None] / scene.sun[1] * -scene.sun[[0, 2]]
    low = centres[:, [0, 2]] - halves[:, [0, 2]] + np.minimum(reach, 0)
    high = centres[:, [0, 2]] + halves[:, [0, 2]] + np.maximum(reach, 0)
    flat = points[:, [0, 2]]
    first, last = flat.min(0, initial=np.inf), flat.max(0, initial=-np.inf)
    for index in np.flatnonzero(((low < last) & (high > first)).all(1)):
        near = np.flatnonzero(((flat > low[index]) & (flat < high[index])).all(1))
        relative = centres[index] - points[near]
        hides = _hides_round if scene.kinds[index] == Kind.CROWN else _hides_box
        sun[near[hides(relative, halves[index], scene.sun)]] = 0
        if scene.kinds[index] == Kind.CAR:
            below = (np.abs(relative[:, [0, 2]]) < halves[index, [0, 2]]).all(1)
            open_sky[near[below]] = _UNDER_CAR
    return sun, open_sky


def _hides_box(centres: Floats, half: Floats, sun: Floats) -> NDArray[np.bool_]:
    """Does a box, its centre as seen from each of N points, stand before the sun? (Slab method, as for pictures.)"""
    with np.errstate(divide="ignore", invalid="ignore"):
        one, other = (centres - half) / sun, (centres + half) / sun
    enter, leave = np.minimum(one, other).max(1), np.maximum(one, other).min(1)
    return np.asarray((enter <= leave) & (leave > 0))


def _hides_round(centres: Floats, half: Floats, sun: Floats) -> NDArray[np.bool_]:
    d, c = sun / half, centres / half
    along = c @ d
    return np.asarray((along > 0) & (along * along >= (d @ d) * ((c * c).sum(1) - 1)))
