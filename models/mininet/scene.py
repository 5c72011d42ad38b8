"""A street to drive along: ground, buildings, parked cars, poles, trees, moving traffic, and the light on them.

World axes are those of the camera at the start: x to the right, y down, z along the street; the ground is y = 0.
Everything that stands on it is a box with faces along the axes, or an ellipsoid (the crown of a tree).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Kind", "Scene", "random_scene"]

Floats = NDArray[np.float64]


class Kind(IntEnum):
    """What a thing is, which decides its texture."""

    GROUND = 0
    BUILDING = 1
    CAR = 2
    POLE = 3
    CROWN = 4


@dataclass(frozen=True)
class Scene:
    """Things with their places at time 0.

    Attributes:
        kinds: (N,) of `Kind`, things only, the ground apart.
        centres: (N, 3) in metres.
        halves: (N, 3) half extents in metres.
        colours: (N, 3) mean reflectance in [0, 1].
        speeds: (N,) along z in m/s; 0 for what stands.
        seeds: (N,) of their textures.
        road_half_width: where the kerb is, in metres.
        sun: (3,) unit vector towards the light.
        ambient: share of the light that comes from everywhere.
        exposure: factor from radiance to the image.
        ground_colour, sky_colour: (3,).
        seed: of ground and sky.
    """

    kinds: NDArray[np.int64]
    centres: Floats
    halves: Floats
    colours: Floats
    speeds: Floats
    seeds: NDArray[np.int64]
    road_half_width: float
    sun: Floats
    ambient: float
    exposure: float
    ground_colour: Floats
    sky_colour: Floats
    seed: int

    def centres_at(self, time_s: float) -> Floats:
        """(N, 3) places at a time in seconds."""
        moved = self.centres.copy()
        moved[:, 2] += self.speeds * time_s
        return moved


def random_scene(rng: np.random.Generator, length_m: float, *, moving_cars: int = 0) -> Scene:
    """A street of the given length (it goes on 150 m beyond), with its light.

    Args:
        moving_cars: how many cars drive on it, in either direction, in their own lane.
    """
    road = rng.uniform(4.0, 7.0)
    end = length_m + 150.0
    things = _Things(rng)
    for side in (-1, 1):
        kerb = road + rng.uniform(1.5, 4.0)
        _place_buildings(things, rng, side, kerb, end)
        _place_cars(things, rng, side, road, end)
        _place_poles_and_trees(things, rng, side, road, kerb, end)
    for _ in range(moving_cars):
        direction = 1 if rng.random() < 0.5 else -1
        speed = direction * rng.uniform(5, 12)
        # Ahead of the camera where it drives the same way, so that nothing drives through it.
        start = rng.uniform(15, 60) if direction > 0 else rng.uniform(40, end)
        things.add_car(
            direction * 0.45 * road + (3.0 if direction > 0 else 0.0),
            start,
            max(speed, 9.0) if direction > 0 else speed,
        )
    sun = np.array([rng.uniform(-1, 1), -rng.uniform(0.4, 1.2), rng.uniform(-1, 1)])
    return Scene(
        **things.arrays(),
        road_half_width=road,
        sun=sun / np.linalg.norm(sun),
        ambient=rng.uniform(0.35, 0.7),
        exposure=rng.uniform(0.8, 1.25),
        ground_colour=np.full(3, rng.uniform(0.25, 0.4)) + rng.normal(0, 0.01, 3),
        sky_colour=np.array([0.65, 0.78, 0.95]) * rng.uniform(0.8, 1.05),
        seed=int(rng.integers(1 << 30)),
    )


class _Things:
    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._rows: list[tuple[Kind, tuple[float, float, float], tuple[float, float, float], Floats, float]] = []

    def add(
        self,
        kind: Kind,
        centre: tuple[float, float, float],
        half: tuple[float, float, float],
        colour: Floats,
        speed: float = 0.0,
    ) -> None:
        self._rows.append((kind, centre, half, colour, speed))

    def add_car(self, x: float, z: float, speed: float = 0.0) -> None:
        """A body and a cabin on it."""
        rng = self._rng
        colour = np.clip(rng.uniform(0.08, 0.85) + rng.normal(0, 0.12, 3), 0.03, 0.95)
        width, height, length = rng.uniform(0.8, 0.95), rng.uniform(0.32, 0.42), rng.uniform(1.8, 2.4)
        self.add(Kind.CAR, (x, -0.25 - height, z), (width, height, length), colour, speed)
        cabin = (0.88 * width, 0.3, 0.5 * length)
        self.add(Kind.CAR, (x, -0.25 - 2 * height - 0.3, z - 0.1 * length), cabin, 0.35 * colour, speed)

    def arrays(self) -> dict[str, Any]:
        kinds, centres, halves, colours, speeds = zip(*self._rows, strict=True)
        return {
            "kinds": np.array(kinds, np.int64),
            "centres": np.array(centres),
            "halves": np.array(halves),
            "colours": np.array(colours),
            "speeds": np.array(speeds),
            "seeds": self._rng.integers(1 << 30, size=len(kinds)),
        }


def _place_buildings(things: _Things, rng: np.random.Generator, side: int, kerb: float, end: float) -> None:
    z = rng.uniform(-25, -5)
    while z < end:
        length, depth, height = rng.uniform(8, 28), rng.uniform(8, 16), rng.uniform(4, 16)
        gap = rng.uniform(4, 22) if rng.random() < 0.35 else 0.0
        setback = kerb + rng.uniform(0, 7)
        colour = np.clip(rng.uniform(0.25, 0.75) + rng.normal(0, 0.08, 3), 0.1, 0.95)
        centre = (side * (setback + depth / 2), -height / 2, z + length / 2)
        things.add(Kind.BUILDING, centre, (depth / 2, height / 2, length / 2), colour)
        z += length + gap


def _place_cars(things: _Things, rng: np.random.Generator, side: int, road: float, end: float) -> None:
    z = rng.uniform(0, 15)
    while z < end:
        things.add_car(side * (road + rng.uniform(-0.2, 0.6)), z)
        z += 5.5 + rng.exponential(rng.choice([2.0, 25.0]))


def _place_poles_and_trees(
    things: _Things, rng: np.random.Generator, side: int, road: float, kerb: float, end: float
) -> None:
    z = rng.uniform(0, 20)
    while z < end:
        x = side * rng.uniform(road + 1.0, max(road + 1.2, kerb - 0.2))
        if rng.random() < 0.5:
            height, half = rng.uniform(3, 8), rng.uniform(0.07, 0.16)
            things.add(Kind.POLE, (x, -height / 2, z), (half, height / 2, half), np.full(3, rng.uniform(0.2, 0.6)))
        else:
            trunk, radius = rng.uniform(1.8, 3.0), rng.uniform(1.0, 2.4)
            brown = np.array([0.3, 0.22, 0.15]) * rng.uniform(0.7, 1.3)
            green = np.array([0.2, 0.38, 0.12]) * rng.uniform(0.6, 1.4)
            things.add(Kind.POLE, (x, -trunk / 2, z), (0.18, trunk / 2, 0.18), brown)
            crown = (x, -trunk - 0.8 * radius, z)
            things.add(Kind.CROWN, crown, (radius, radius * rng.uniform(0.8, 1.3), radius), green)
        z += rng.exponential(rng.uniform(8, 18)) + 2.5
