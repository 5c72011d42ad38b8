"""KITTI's calibration files: `key: numbers` lines with the rectified projection and the transforms between sensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import InputError
from edgeconv.models.mininet.camera import Camera

__all__ = ["CAMERA_FROM_IMU", "CAMERA_FROM_VELODYNE", "Calibration", "read_calibration", "write_calibration"]

Floats = NDArray[np.float64]

# The scanner's axes are x forward, y left, z up; it stands 0.27 m behind and 0.08 m above the cameras (KITTI's sensor
# setup, rounded to centimetres).
CAMERA_FROM_VELODYNE: Floats = np.array([[0.0, -1, 0, 0], [0, 0, -1, -0.08], [1, 0, 0, -0.27], [0, 0, 0, 1]])
# From the inertial unit (same axes as the scanner): 0.81 m ahead of it, 0.32 m to the right, 0.80 m below.
_VELODYNE_FROM_IMU: Floats = np.array([[1.0, 0, 0, -0.81], [0, 1, 0, 0.32], [0, 0, 1, -0.80], [0, 0, 0, 1]])
CAMERA_FROM_IMU: Floats = CAMERA_FROM_VELODYNE @ _VELODYNE_FROM_IMU


@dataclass(frozen=True)
class Calibration:
    """What a day's calibration says about the left colour camera (image_02).

    Attributes:
        camera: of the rectified images.
        camera_from_velodyne: 4 × 4, scanner axes to the rectified camera's.
        camera_from_imu: 4 × 4, or None where the day has no such file.
    """

    camera: Camera
    camera_from_velodyne: Floats
    camera_from_imu: Floats | None


def write_calibration(day: Path, camera: Camera) -> None:
    """Write the three files of a day, for a camera whose image_02 is the reference camera."""
    day.mkdir(parents=True, exist_ok=True)
    projection = np.column_stack([camera.matrix, np.zeros(3)])
    lines = {
        "calib_time": "01-Jan-2012 00:00:00",
        "S_rect_02": _numbers(np.array([camera.width, camera.height], np.float64)),
        "R_rect_00": _numbers(np.eye(3)),
        "R_rect_02": _numbers(np.eye(3)),
        "P_rect_02": _numbers(projection),
    }
    _write(day / "calib_cam_to_cam.txt", lines)
    for name, matrix in (("calib_velo_to_cam", CAMERA_FROM_VELODYNE), ("calib_imu_to_velo", _VELODYNE_FROM_IMU)):
        lines = {"calib_time": "01-Jan-2012 00:00:00", "R": _numbers(matrix[:3, :3]), "T": _numbers(matrix[:3, 3])}
        _write(day / f"{name}.txt", lines)


def _numbers(array: Floats) -> str:
    return " ".join(f"{value:.12e}" for value in array.reshape(-1))


def _write(path: Path, lines: dict[str, str]) -> None:
    path.write_text("".join(f"{key}: {value}\n" for key, value in lines.items()), encoding="ascii")


def read_calibration(day: Path) -> Calibration:
    """Read the calibration of a day's folder.

    Raises:
        InputError: a file or an entry is missing or malformed.
    """
    cameras = _read(day / "calib_cam_to_cam.txt")
    projection = _matrix(day / "calib_cam_to_cam.txt", cameras, "P_rect_02", (3, 4))
    size = _matrix(day / "calib_cam_to_cam.txt", cameras, "S_rect_02", (2,))
    rectify = np.eye(4)
    rectify[:3, :3] = _matrix(day / "calib_cam_to_cam.txt", cameras, "R_rect_00", (3, 3))
    if not (projection[0, 0] > 0 and projection[1, 1] > 0 and projection[2, 2] == 1):
        raise InputError(
            f"{day / 'calib_cam_to_cam.txt'}: 'P_rect_02' is no projection of a rectified camera",
            expected="positive focal lengths and a last row 0 0 1 t",
        )
    camera = Camera(int(size[0]), int(size[1]), projection[0, 0], projection[1, 1], projection[0, 2], projection[1, 2])
    # The fourth column moves from the reference camera to this one, in pixels times metres.
    shift = np.eye(4)
    shift[:3, 3] = np.linalg.solve(projection[:, :3], projection[:, 3])
    from_velodyne = shift @ rectify @ _rigid(day / "calib_velo_to_cam.txt")
    imu = day / "calib_imu_to_velo.txt"
    from_imu = from_velodyne @ _rigid(imu) if imu.exists() else None
    return Calibration(camera, from_velodyne, from_imu)


def _rigid(path: Path) -> Floats:
    values = _read(path)
    matrix = np.eye(4)
    matrix[:3, :3] = _matrix(path, values, "R", (3, 3))
    matrix[:3, 3] = _matrix(path, values, "T", (3,))
    if abs(np.linalg.det(matrix[:3, :3]) - 1) > 1e-3:
        raise InputError(f"{path}: 'R' is no rotation", expected="a matrix of determinant 1")
    return matrix


def _read(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise InputError(
            f"calibration file {path}: {error.strerror}",
            advice="unpack KITTI's calibration archive of that day beside its drives",
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"calibration file {path} is not text") from error
    return dict(line.split(": ", 1) for line in lines if ": " in line)


def _matrix(path: Path, values: dict[str, str], key: str, shape: tuple[int, ...]) -> Floats:
    if key not in values:
        raise InputError(f"calibration file {path}: entry '{key}' is missing")
    try:
        numbers = np.array([float(word) for word in values[key].split()])
    except ValueError as error:
        raise InputError(f"calibration file {path}: entry '{key}' is {values[key]!r}", expected="numbers") from error
    if numbers.size != np.prod(shape) or not np.isfinite(numbers).all():
        raise InputError(
            f"calibration file {path}: entry '{key}' has {numbers.size} numbers",
            expected=f"{int(np.prod(shape))} finite ones",
        )
    return numbers.reshape(shape)
