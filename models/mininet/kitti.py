"""KITTI's raw data (and synthetic drives, which look the same): drives, frames, triplets, laser depth.

    ROOT/2011_09_26/calib_*.txt
    ROOT/2011_09_26/2011_09_26_drive_0001_sync/image_02/data/0000000000.png …

Pictures are read with Pillow. What is missing or malformed is an error that names the file; frames without neighbours
are no triplets and are left out, and so are frames in which the car stands (their pictures teach nothing about depth).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import InputError
from edgeconv.models.mininet.calibration import Calibration, read_calibration
from edgeconv.models.mininet.camera import Camera
from edgeconv.models.mininet.oxts import read_poses

__all__ = ["Drive", "FrameName", "find_drives", "read_split", "scan_depth"]

_DAY = re.compile(r"\d{4}_\d{2}_\d{2}")
_DRIVE = re.compile(r"\d{4}_\d{2}_\d{2}_drive_\d{4}_(sync|extract)")
_DEPTH_STEP = 256.0
_DENSE = "proj_depth/groundtruth/image_02"
_STANDING = 0.05  # metres between frames, below which the car stands


@dataclass(frozen=True)
class FrameName:
    """One line of a split file: a drive ("2011_09_26/2011_09_26_drive_0002_sync") and a frame number."""

    drive: str
    index: int


@dataclass(frozen=True)
class Drive:
    """A recorded drive.

    Attributes:
        folder: of the drive; its parent holds the calibration.
        frames: numbers of the frames that have a picture, ascending.
    """

    folder: Path
    frames: tuple[int, ...]

    @property
    def name(self) -> str:
        """Day and drive, as split files write it."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    @cached_property
    def calibration(self) -> Calibration:
        """Of the day."""
        return read_calibration(self.folder.parent)

    def image(self, index: int, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Picture (height, width, 3), resampled to size = (width, height) where one is given.

        Raises:
            InputError: missing, no picture, or not of the size that the calibration states (by more than a pixel or
                two, as KITTI's days differ).
        """
        path = self._file("image_02/data", index, "png")
        picture = _open(path).convert("RGB")
        camera = self.calibration.camera
        if abs(picture.width - camera.width) > 2 or abs(picture.height - camera.height) > 2:
            raise InputError(
                f"picture {path} has {picture.width} × {picture.height} pixels",
                expected=f"{camera.width} × {camera.height}, as the day's calibration says",
            )
        if size is not None and size != picture.size:
            from PIL import Image

            picture = picture.resize(
                size, Image.Resampling.BOX if size[0] < picture.width else Image.Resampling.BICUBIC
            )
        return np.asarray(picture)

    def scan(self, index: int) -> NDArray[np.float32]:
        """Laser points (N, 4): x forward, y left, z up in metres, and reflectance.

        Raises:
            InputError: missing or of a length that is no multiple of four float32.
        """
        path = self._file("velodyne_points/data", index, "bin")
        try:
            values = np.fromfile(path, np.float32)
        except OSError as error:
            raise InputError(f"laser scan {path}: {error.strerror}") from error
        if values.size % 4 or path.stat().st_size % 16 or not np.isfinite(values).all():
            raise InputError(
                f"laser scan {path} has {path.stat().st_size} bytes", expected="finite float32 x y z r points"
            )
        return values.reshape(-1, 4)

    def has_dense_depth(self, index: int) -> bool:
        """Is there a file of the depth benchmark for this frame?"""
        return self._file(_DENSE, index, "png").exists()

    def dense_depth(self, index: int) -> NDArray[np.float32]:
        """Depth (height, width) in metres of the depth benchmark's files; 0 where nothing was measured."""
        picture = np.asarray(_open(self._file(_DENSE, index, "png")))
        if picture.ndim != 2:
            raise InputError(f"depth picture {self.folder} {index} has colours", expected="16-bit grey")
        return (picture.astype(np.float32) / np.float32(_DEPTH_STEP)).astype(np.float32)

    def poses(self) -> NDArray[np.float64]:
        """Camera poses (frames, 4, 4) relative to the first frame, from the position files.

        Raises:
            InputError: a position file or the calibration of the inertial unit is missing or malformed.
        """
        from_imu = self.calibration.camera_from_imu
        if from_imu is None:
            raise InputError(
                f"{self.folder.parent / 'calib_imu_to_velo.txt'} is missing",
                advice="unpack KITTI's calibration archive of that day",
            )
        return read_poses([self._file("oxts/data", index, "txt") for index in self.frames], from_imu)

    def triplets(self, *, skip_standing: bool = True) -> list[int]:
        """Frames whose neighbours before and after are there.

        Args:
            skip_standing: leave out frames about which the car moves less than 5 cm a frame; needs position files and
                keeps all frames where there are none.
        """
        there = set(self.frames)
        middle = [index for index in self.frames if index - 1 in there and index + 1 in there]
        if not skip_standing or not (self.folder / "oxts").is_dir():
            return middle
        places = dict(zip(self.frames, self.poses()[:, :3, 3], strict=True))
        return [i for i in middle if np.linalg.norm(places[i + 1] - places[i - 1]) > 2 * _STANDING]

    def _file(self, kind: str, index: int, suffix: str) -> Path:
        return self.folder / kind / f"{index:010d}.{suffix}"


def find_drives(root: Path) -> list[Drive]:
    """All drives below a folder, by name.

    Raises:
        InputError: there are none.
    """
    drives = []
    for day in sorted(path for path in root.glob("*") if _DAY.fullmatch(path.name)):
        for folder in sorted(path for path in day.glob("*") if _DRIVE.fullmatch(path.name)):
            frames = sorted(int(path.stem) for path in (folder / "image_02" / "data").glob("*.png"))
            if frames:
                drives.append(Drive(folder, tuple(frames)))
    if not drives:
        raise InputError(
            f"no drives in {root}",
            expected="folders such as 2011_09_26/2011_09_26_drive_0001_sync/image_02/data with PNG files",
            advice="download KITTI raw drives (synced + rectified), or write synthetic ones with "
            "python -m edgeconv.models.mininet.generate",
        )
    return drives


def read_split(path: Path) -> list[FrameName]:
    """A split file such as Eigen's: lines of drive, frame number and, ignored, a side.

    Raises:
        InputError: the file or a line cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"split file {path}: {error.strerror}") from error
    names = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        if len(words) < 2 or not words[1].isdigit():
            raise InputError(
                f"split file {path}, line {number}: {line!r}",
                expected="drive, frame number, side: 2011_09_26/2011_09_26_drive_0002_sync 0000000069 l",
            )
        names.append(FrameName(words[0], int(words[1])))
    return names


def scan_depth(scan: NDArray[np.float32], calibration: Calibration, camera: Camera) -> NDArray[np.float32]:
    """Sparse depth (height, width) in metres: the nearest laser point of each pixel, 0 where there is none.

    Args:
        camera: of the picture the depth is for; `calibration.camera`, or that resized.
    """
    ahead = scan[scan[:, 0] > 0]
    local = ahead[:, :3].astype(np.float64) @ calibration.camera_from_velodyne[:3, :3].T
    local += calibration.camera_from_velodyne[:3, 3]
    local = local[local[:, 2] > 0]
    pixels, depth = camera.project(local)
    column, row = np.round(pixels).astype(np.int64).T
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    nearest = np.full(camera.height * camera.width, np.inf)
    np.minimum.at(nearest, row[inside] * camera.width + column[inside], depth[inside])
    nearest[np.isinf(nearest)] = 0
    return nearest.reshape(camera.height, camera.width).astype(np.float32)


def _open(path: Path):  # type: ignore[no-untyped-def]  # Pillow comes with extras, not with the core
    from PIL import Image, UnidentifiedImageError

    try:
        picture = Image.open(path)
        picture.load()
    except FileNotFoundError as error:
        raise InputError(f"picture {path} is missing") from error
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"picture {path} cannot be read: {error}") from error
    return picture
