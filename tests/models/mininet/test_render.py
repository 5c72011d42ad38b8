"""Ray casting against scenes whose depth is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from edgeconv.models.mininet.camera import Camera, pose_matrix
from edgeconv.models.mininet.render import depth_map, picture
from edgeconv.models.mininet.scene import Kind, Scene, random_scene
from edgeconv.models.mininet.texture import noise, stripes

CAMERA = Camera(80, 40, 60, 60, 39.5, 19.5)


def _scene(*things: tuple[Kind, tuple[float, float, float], tuple[float, float, float], float]) -> Scene:
    count = len(things)
    return Scene(
        kinds=np.array([t[0] for t in things], np.int64),
        centres=np.array([t[1] for t in things]).reshape(count, 3),
        halves=np.array([t[2] for t in things]).reshape(count, 3),
        colours=np.full((count, 3), 0.5),
        speeds=np.array([t[3] for t in things], np.float64),
        seeds=np.arange(count),
        road_half_width=5.0,
        sun=np.array([0.0, -1, 0]),
        ambient=0.5,
        exposure=1.0,
        ground_colour=np.full(3, 0.3),
        sky_colour=np.full(3, 0.8),
        seed=1,
    )


def test_ground_is_where_the_plane_is() -> None:
    depth = depth_map(_scene(), CAMERA, pose_matrix(0, 0, 0, (0, -1.65, 0)))
    rows = np.arange(40) - 19.5
    expected = np.where(rows > 0, 1.65 * 60 / np.where(rows > 0, rows, 1), np.inf).astype(np.float32)
    assert np.array_equal(np.isinf(depth), np.repeat(np.isinf(expected)[:, None], 80, 1))
    assert np.abs(depth[20:] / expected[20:, None] - 1).max() < 1e-6


def test_the_nearer_of_two_boxes_hides_the_other() -> None:
    near = (Kind.CAR, (0.0, -1.65, 10.0), (1.0, 0.5, 1.0), 0.0)
    far = (Kind.BUILDING, (0.0, -1.65, 30.0), (25.0, 9.0, 1.0), 0.0)
    for things in ((near, far), (far, near)):
        depth = depth_map(_scene(*things), CAMERA, pose_matrix(0, 0, 0, (0, -1.65, 0)))
        assert depth[19, 39] == 9.0
        assert depth[19, 0] == 29.0


def test_a_crown_is_an_ellipsoid() -> None:
    depth = depth_map(
        _scene((Kind.CROWN, (0.0, -1.65, 20.0), (2.0, 3.0, 4.0), 0.0)), CAMERA, pose_matrix(0, 0, 0, (0, -1.65, 0))
    )
    # The rays nearest the axis are half a pixel off it on both sides.
    ray = np.array([0.5 / 60, 0.5 / 60, 1.0])
    half, centre = np.array([2.0, 3, 4]), np.array([0.0, 0, 20])
    point = depth[20, 40] * ray
    assert abs((((point - centre) / half) ** 2).sum() - 1) < 1e-5
    assert depth[20, 40] < 20


def test_moving_things_move_and_the_rest_stays() -> None:
    scene = _scene(
        (Kind.CAR, (0.0, -1.65, 20.0), (1.0, 0.5, 1.0), 5.0), (Kind.POLE, (2.0, -1.65, 20.0), (0.5, 2, 0.5), 0.0)
    )
    pose = pose_matrix(0, 0, 0, (0, -1.65, 0))
    first, later = depth_map(scene, CAMERA, pose, 0.0), depth_map(scene, CAMERA, pose, 1.0)
    assert (first[19, 39], later[19, 39]) == (19.0, 24.0)
    assert first[19, 45] == later[19, 45] == 19.5


def test_rectangles_of_things_lose_no_pixel() -> None:
    from edgeconv.models.mininet.render import cast

    scene = random_scene(np.random.default_rng(5), 50)
    pose = pose_matrix(0.05, 0.01, 0.0, (1.0, -1.65, 12.0))
    whole = cast(scene, pose[:3, 3], CAMERA.rays() @ pose[:3, :3].T, 0.0).depth.astype(np.float32)
    assert np.array_equal(depth_map(scene, CAMERA, pose).ravel(), whole)


def test_pictures_are_finite_and_not_flat() -> None:
    image = picture(random_scene(np.random.default_rng(1), 50), CAMERA, pose_matrix(0, 0, 0, (0, -1.65, 3)))
    assert np.isfinite(image).all()
    assert image.min() >= 0
    assert image.std() > 0.05


@pytest.mark.parametrize("footprint", [0.01, 3.0])
def test_textures_fade_where_pixels_are_larger_than_their_grain(footprint: float) -> None:
    u = np.linspace(0, 50, 5000)
    texture = noise(u, u * 0.3, np.zeros(5000, np.int64), np.full(5000, footprint), wavelength=1.0)
    assert (texture.std() > 0.1) == (footprint < 1)


def test_stripes_average_to_their_duty_under_large_pixels() -> None:
    fine = stripes(np.array([0.1, 0.7, 0.8, 2.9, 3.1, 3.8]), 3.0, 0.25, np.full(6, 1e-6))
    assert np.round(fine, 3).tolist() == [1, 1, 0, 0, 1, 0]
    wide = stripes(np.linspace(0, 9, 11), 3.0, 0.25, np.full(11, 300.0))
    assert np.abs(wide - 0.25).max() < 0.01
