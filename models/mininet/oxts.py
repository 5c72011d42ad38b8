"""KITTI's position files: thirty numbers a frame, of which position and attitude give the pose.

Latitude and longitude become metres by the Mercator projection about the first frame, as in KITTI's development kit.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import InputError
from edgeconv.models.mininet.calibration import CAMERA_FROM_IMU

__all__ = ["read_poses", "write_oxts"]

Floats = NDArray[np.float64]

_EARTH = 6378137.0  # metres, WGS84
_FIELDS = 30
_LATITUDE, _LONGITUDE = 49.0, 8.4  # where synthetic drives begin: Karlsruhe
# A map has x east, y north, z up; the street, which is the world's z axis, leads east.
_MAP_FROM_WORLD: Floats = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


def write_oxts(path: Path, poses: Sequence[Floats], index: int, rate_hz: float) -> None:
    """Write frame `index` of a drive.

    Args:
        poses: camera to world of every frame.
    """
    body = _body_in_map(poses[index])
    after = _body_in_map(poses[min(index + 1, len(poses) - 1)])
    before = _body_in_map(poses[max(index - 1, 0)])
    steps = min(index + 1, len(poses) - 1) - max(index - 1, 0)
    velocity = (after[:3, 3] - before[:3, 3]) * rate_hz / steps
    scale = np.cos(np.deg2rad(_LATITUDE))
    x0, y0 = _mercator(_LATITUDE, _LONGITUDE, scale)
    latitude, longitude = _from_mercator(x0 + body[0, 3], y0 + body[1, 3], scale)
    forward, leftward, upward = body[:3, :3].T @ velocity
    values = np.zeros(_FIELDS)
    values[:6] = latitude, longitude, body[2, 3], *_angles(body[:3, :3])
    values[6:11] = velocity[1], velocity[0], forward, leftward, upward
    # Position and velocity accuracy, satellites and modes as a good receiver states them.
    values[23:30] = 0.05, 0.02, 4, 9, 6, 6, 6
    path.write_text(" ".join(f"{value:.13g}" for value in values) + "\n", encoding="ascii")


def _body_in_map(pose: Floats) -> Floats:
    """Pose of the inertial unit (x forward, y left, z up) in the map."""
    return _MAP_FROM_WORLD @ pose @ CAMERA_FROM_IMU


def _angles(rotation: Floats) -> tuple[float, float, float]:
    """Roll, pitch, yaw with rotation = Rz(yaw) Ry(pitch) Rx(roll)."""
    return (
        float(np.arctan2(rotation[2, 1], rotation[2, 2])),
        float(-np.arcsin(np.clip(rotation[2, 0], -1, 1))),
        float(np.arctan2(rotation[1, 0], rotation[0, 0])),
    )


def _mercator(latitude: float, longitude: float, scale: float) -> tuple[float, float]:
    x = scale * np.deg2rad(longitude) * _EARTH
    y = scale * _EARTH * np.log(np.tan(np.pi / 4 + np.deg2rad(latitude) / 2))
    return float(x), float(y)


def _from_mercator(x: float, y: float, scale: float) -> tuple[float, float]:
    longitude = np.rad2deg(x / (scale * _EARTH))
    latitude = np.rad2deg(2 * np.arctan(np.exp(y / (scale * _EARTH))) - np.pi / 2)
    return float(latitude), float(longitude)


def read_poses(files: Sequence[Path], camera_from_imu: Floats) -> Floats:
    """Camera poses (N, 4, 4) relative to the first frame, camera to world in metres.

    Args:
        files: one a frame, in order.
        camera_from_imu: 4 × 4, from the day's calibration.

    Raises:
        InputError: a file is missing or malformed.
    """
    bodies, scale = [], 0.0
    for path in files:
        values = _read(path)
        scale = scale or float(np.cos(np.deg2rad(values[0])))
        roll, pitch, yaw = values[3:6]
        body = np.eye(4)
        body[:3, :3] = _rotation(roll, pitch, yaw)
        body[:3, 3] = *_mercator(values[0], values[1], scale), values[2]
        bodies.append(body)
    cameras = np.stack(bodies) @ np.linalg.inv(camera_from_imu)
    return np.linalg.inv(cameras[0]) @ cameras


def _rotation(roll: float, pitch: float, yaw: float) -> Floats:
    (cr, sr), (cp, sp), (cy, sy) = ((np.cos(a), np.sin(a)) for a in (roll, pitch, yaw))
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def _read(path: Path) -> list[float]:
    try:
        values = [float(word) for word in path.read_text(encoding="ascii").split()]
    except OSError as error:
        raise InputError(f"position file {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"position file {path} is not made of numbers") from error
    if len(values) != _FIELDS or not np.isfinite(values).all():
        raise InputError(f"position file {path} has {len(values)} values", expected=f"{_FIELDS} finite numbers")
    return values
