"""The loader of KITTI's raw layout: what is read, and a clear error for each thing that can be wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeconv.errors import InputError
from edgeconv.models.mininet.kitti import FrameName, find_drives, read_split

_DRIVE = "2011_09_26/2011_09_26_drive_0001_sync"


@pytest.fixture
def copy(drives: Path, tmp_path: Path) -> Path:
    """A copy of the drive to be damaged."""
    return Path(shutil.copytree(drives, tmp_path / "kitti"))


def test_triplets_need_both_neighbours(copy: Path) -> None:
    (copy / _DRIVE / "image_02/data/0000000002.png").unlink()
    (drive,) = find_drives(copy)
    assert drive.frames == (0, 1, 3, 4)
    assert drive.triplets() == []
    assert drive.name == _DRIVE


def test_frames_of_a_standing_car_are_no_triplets(copy: Path) -> None:
    positions = copy / _DRIVE / "oxts/data"
    for index in range(5):
        shutil.copy(positions / "0000000000.txt", positions / f"{index:010d}.txt") if index else None
    (drive,) = find_drives(copy)
    assert drive.triplets() == []
    assert drive.triplets(skip_standing=False) == [1, 2, 3]


def test_pictures_are_resampled_to_the_size_asked_for(drives: Path) -> None:
    (drive,) = find_drives(drives)
    whole, half = drive.image(0).astype(float), drive.image(0, size=(104, 32)).astype(float)
    assert half.shape == (32, 104, 3)
    assert np.abs(half - whole.reshape(32, 2, 104, 2, 3).mean((1, 3))).max() <= 1


def _cut(path: str, bytes_left: int) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        file = root / path
        file.write_bytes(file.read_bytes()[:bytes_left])

    return damage


def _replace(path: str, old: str, new: str) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        file = root / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda root: (root / "2011_09_26/calib_cam_to_cam.txt").unlink(),
            "calib_cam_to_cam.txt.*\n.*calibration archive",
        ),
        (_replace("2011_09_26/calib_cam_to_cam.txt", "P_rect_02", "P_rect_03"), "'P_rect_02' is missing"),
        (_replace("2011_09_26/calib_cam_to_cam.txt", "S_rect_02: 2", "S_rect_02: x2"), "'S_rect_02' is 'x2"),
        (_replace("2011_09_26/calib_velo_to_cam.txt", "T: ", "T: 1 "), "'T' has 4 numbers"),
        (_replace("2011_09_26/calib_velo_to_cam.txt", "1.000000000000e+00", "2.0"), "'R' is no rotation"),
        (_replace("2011_09_26/calib_cam_to_cam.txt", "S_rect_02: 2.08", "S_rect_02: 9.08"), "has 208 × 64 pixels"),
        (_cut(f"{_DRIVE}/image_02/data/0000000001.png", 300), "0000000001.png cannot be read"),
        (_cut(f"{_DRIVE}/velodyne_points/data/0000000001.bin", 1001), "has 1001 bytes"),
        (_cut(f"{_DRIVE}/oxts/data/0000000001.txt", 40), "0000000001.txt has"),
        (lambda root: (root / _DRIVE / "oxts/data/0000000001.txt").unlink(), "position file .*0000000001.txt"),
        (lambda root: (root / "2011_09_26/calib_imu_to_velo.txt").unlink(), "calib_imu_to_velo.txt is missing"),
        (lambda root: (root / _DRIVE / "proj_depth/groundtruth/image_02/0000000001.png").unlink(), "is missing"),
    ],
)
def test_damage_is_named(copy: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(copy)
    (drive,) = find_drives(copy)
    with pytest.raises(InputError, match=message):
        for read in (drive.image, drive.scan, drive.dense_depth, lambda index: drive.poses()):
            read(1)


def test_a_folder_without_drives_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no drives in(.|\n)*mininet.generate"):
        find_drives(tmp_path)


def test_split_files_are_read_and_checked(tmp_path: Path) -> None:
    split = tmp_path / "test_files.txt"
    split.write_text(f"{_DRIVE} 0000000069 l\n\n{_DRIVE} 54 r\n")
    assert read_split(split) == [FrameName(_DRIVE, 69), FrameName(_DRIVE, 54)]
    split.write_text(f"{_DRIVE}\n")
    with pytest.raises(InputError, match="line 1"):
        read_split(split)
