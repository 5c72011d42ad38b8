"""The street's surface: something to see on it from near, nothing that flickers from far, shadows where they fall."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgeconv.models.mininet.ground import ground_reflectance
from edgeconv.models.mininet.scene import Kind, random_scene
from edgeconv.models.mininet.shadow import sunlit

STREET = replace(random_scene(np.random.default_rng(0), 100), road_half_width=5.0)


def _seen(pixel: float) -> np.ndarray:
    """Brightness (along, across) of the road between its lines, 40 m of it."""
    z, x = np.meshgrid(np.linspace(0, 40, 400), np.linspace(-4, -1, 30), indexing="ij")
    points = np.column_stack([x.ravel(), 0 * x.ravel(), z.ravel()])
    size = np.full(len(points), pixel)
    return ground_reflectance(STREET, points, size, size).mean(1).reshape(z.shape)


def _change(road: np.ndarray) -> float:
    """Mean change of brightness from one metre to the next."""
    return float(np.abs(road[10:] - road[:-10]).mean() / road.mean())


def _scene(kind: Kind, centre: tuple[float, float, float], half: tuple[float, float, float], speed: float = 0.0):  # type: ignore[no-untyped-def]
    """One thing, and a sun 45° high over the right."""
    return replace(
        STREET,
        kinds=np.array([kind]),
        centres=np.array([centre], float),
        halves=np.array([half], float),
        colours=np.ones((1, 3)),
        speeds=np.array([speed]),
        seeds=np.zeros(1, np.int64),
        sun=np.array([1.0, -1.0, 0.0]) / np.sqrt(2),
    )


def test_a_road_differs_from_metre_to_metre_along_the_way() -> None:
    """Else no video tells how fast it comes nearer."""
    assert _change(_seen(0.1)) > 0.1


def test_a_road_is_plain_where_a_pixel_covers_much_of_it() -> None:
    assert _change(_seen(30.0)) < 0.01


def test_a_box_throws_a_shadow_as_long_as_it_is_high_when_the_sun_stands_at_45_degrees() -> None:
    scene = _scene(Kind.BUILDING, (0, -2, 20), (1, 2, 3))
    x = np.array([-5.1, -4.9, -3, -1.1, 0, 1.1])
    points = np.column_stack([x, 0 * x, np.full(6, 20.0)])
    assert sunlit(scene, points, 0.0)[0].tolist() == [1, 0, 0, 0, 0, 1]
    points[:, 2] = 23.1
    assert sunlit(scene, points, 0.0)[0].all()


def test_a_crown_throws_a_round_shadow() -> None:
    scene = _scene(Kind.CROWN, (0, -5, 20), (1, 1, 1))
    # Seen from the sun it is a disc of radius 1; on the ground that is 1 along z and √2 along x, about x = -5.
    x, z = np.array([-5, -5 - 1.38, -5 - 1.45, -5, -5]), np.array([20, 20, 20, 20.97, 21.03])
    assert sunlit(scene, np.column_stack([x, 0 * x, z]), 0.0)[0].tolist() == [0, 0, 1, 0, 1]


def test_shadows_drive_along_and_it_is_darkest_below_a_car() -> None:
    scene = _scene(Kind.CAR, (0, -0.65, 20), (0.9, 0.4, 2), speed=5)
    below = np.array([[0.0, 0, 20], [0.0, 0, 27.5]])
    first, later = sunlit(scene, below, 0.0), sunlit(scene, below, 1.5)
    assert first[0].tolist() == [0, 1]
    assert later[0].tolist() == [1, 0]
    assert first[1][0] == later[1][1] < 0.5
    assert first[1][1] == later[1][0] == 1
