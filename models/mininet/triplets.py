"""What a training and its judge read of drives: pictures with their neighbours, and pictures with their true depth.

Drives are synthetic ones, rendered once and kept in the user's cache, or a folder in KITTI's layout. All of it is at
the size that the network works on.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.cache import cached, digest
from edgeconv.errors import InputError
from edgeconv.models.mininet.config import DepthTraining
from edgeconv.models.mininet.drive import DriveConfig, write_drives
from edgeconv.models.mininet.kitti import Drive, find_drives, scan_depth

__all__ = ["Known", "Triplets", "known_depth", "load_triplets", "training_drives", "unseen_drives"]

_LOG = logging.getLogger(__name__)
# Of the cached drives: another number renders them again.
_RENDERER = "2"
_UNSEEN = 1_000_003


@dataclass(frozen=True)
class Triplets:
    """Pictures that have a neighbour before and after.

    Attributes:
        pictures: uint8 (pictures, 3, height, width), drive after drive.
        intrinsics: float32 (pictures, 3, 3).
        middles: places in `pictures` whose neighbours are one place before and after.
    """

    pictures: NDArray[np.uint8]
    intrinsics: NDArray[np.float32]
    middles: NDArray[np.int64]

    def batch(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Triplets (count, 3, 3, height, width), half of them mirrored, and their cameras (count, 3, 3)."""
        chosen = rng.choice(self.middles, count)
        pictures = self.pictures[chosen[:, None] + np.array([-1, 0, 1])]
        intrinsics = self.intrinsics[chosen]
        mirrored = rng.random(count) < 0.5
        pictures[mirrored] = pictures[mirrored, ..., ::-1]
        intrinsics[mirrored, 0, 2] = pictures.shape[-1] - 1 - intrinsics[mirrored, 0, 2]
        return pictures, intrinsics


@dataclass(frozen=True)
class Known:
    """Pictures whose depth was measured.

    Attributes:
        pictures: uint8 (pictures, 3, height, width).
        depth: float32 (pictures, height, width), metres; 0 where it is unknown.
    """

    pictures: NDArray[np.uint8]
    depth: NDArray[np.float32]


def training_drives(config: DepthTraining) -> list[Drive]:
    """The drives of a training."""
    return _drives(config.train_folder, config.drives, config.train_drives, config.data_seed)


def unseen_drives(config: DepthTraining) -> list[Drive]:
    """Drives through other streets, on which estimators are judged."""
    return _drives(config.test_folder, config.drives, config.test_drives, config.data_seed + _UNSEEN)


def _drives(folder: str, config: DriveConfig, count: int, seed: int) -> list[Drive]:
    if folder:
        return find_drives(Path(folder))

    def render(place: Path) -> None:
        _LOG.info("rendering %d drives of %d frames", count, config.frames)
        write_drives(place, config, count, seed)

    return find_drives(cached("drives", digest([_RENDERER, repr(config), str(count), str(seed)]), render))


def load_triplets(drives: list[Drive], config: DepthTraining) -> Triplets:
    """All triplets of some drives in which the car moves.

    Raises:
        InputError: there are none, or a file is missing or malformed.
    """
    size = (config.drives.width, config.drives.height)
    pictures: list[NDArray[np.uint8]] = []
    intrinsics: list[NDArray[np.float32]] = []
    middles: list[int] = []
    for drive in drives:
        places = {frame: len(pictures) + i for i, frame in enumerate(drive.frames)}
        middles += [places[frame] for frame in drive.triplets()]
        matrix = drive.calibration.camera.resized(*size).matrix.astype(np.float32)
        pictures += [drive.image(frame, size).transpose(2, 0, 1) for frame in drive.frames]
        intrinsics += [matrix] * len(drive.frames)
    if not middles:
        raise InputError(
            f"no three pictures in a row in {len(drives)} drives", expected="drives in which the car moves"
        )
    return Triplets(np.stack(pictures), np.stack(intrinsics), np.array(middles))


def known_depth(drives: list[Drive], config: DepthTraining, most: int) -> Known:
    """At most so many pictures, evenly over the drives, with dense depth where there is some, else laser points."""
    size = (config.drives.width, config.drives.height)
    every = [(drive, frame) for drive in drives for frame in drive.frames]
    chosen = [every[i] for i in np.linspace(0, len(every) - 1, min(most, len(every))).round().astype(int)]
    pictures = [drive.image(frame, size).transpose(2, 0, 1) for drive, frame in chosen]
    return Known(np.stack(pictures), np.stack([_depth(drive, frame, size) for drive, frame in chosen]))


def _depth(drive: Drive, frame: int, size: tuple[int, int]) -> NDArray[np.float32]:
    camera = drive.calibration.camera
    if drive.has_dense_depth(frame) and (camera.width, camera.height) == size:
        return drive.dense_depth(frame)
    return scan_depth(drive.scan(frame), drive.calibration, camera.resized(*size))
