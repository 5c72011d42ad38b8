"""The pinhole camera: projecting inverts rays, resampling keeps what lies under each pixel."""

from __future__ import annotations

import numpy as np
import pytest

from edgeconv.errors import UsageError
from edgeconv.models.mininet.camera import Camera, pose_matrix


def test_projecting_points_on_rays_gives_their_pixels_back() -> None:
    camera = Camera.kitti_like(30, 10)
    depth = np.linspace(1, 60, 300).reshape(10, 30)
    pixels, found = camera.project((camera.rays() * depth[..., None]).reshape(-1, 3))
    column, row = np.meshgrid(np.arange(30), np.arange(10))
    assert np.abs(pixels - np.stack([column.ravel(), row.ravel()], 1)).max() < 1e-9
    assert np.array_equal(found, depth.ravel())


def test_resized_camera_sees_the_mean_of_two_pixels_between_them() -> None:
    camera = Camera.kitti_like(64, 20)
    half = camera.resized(32, 10)
    # The centre of a coarse pixel lies in the middle of the four fine ones that it covers.
    fine, coarse = camera.rays()[..., :2], half.rays()[..., :2]
    middle = fine.reshape(10, 2, 32, 2, 2).mean((1, 3))
    assert np.abs(coarse - middle).max() < 1e-12


def test_yaw_turns_the_view_to_the_right() -> None:
    forward = pose_matrix(0.1, 0, 0, (0, 0, 0))[:3, :3] @ [0, 0, 1]
    assert forward[0] > 0
    assert forward[1] == 0


def test_a_camera_without_size_is_refused() -> None:
    with pytest.raises(UsageError, match="positive size"):
        Camera(0, 10, 1, 1, 0, 0)
