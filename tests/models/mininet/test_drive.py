"""Synthetic drives: pictures, depth, poses, laser and calibration tell the same story, read by KITTI's loader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeconv.errors import UsageError
from edgeconv.models.mininet.drive import Drive as Simulated
from edgeconv.models.mininet.drive import DriveConfig, write_drives
from edgeconv.models.mininet.generate import main
from edgeconv.models.mininet.kitti import find_drives, scan_depth
from tests.models.mininet.conftest import CONFIG, SEED


def test_poses_come_back_through_latitude_and_longitude(drives: Path) -> None:
    (drive,) = find_drives(drives)
    true = np.stack(Simulated(CONFIG, SEED * 100_000 + 1).poses)
    relative = np.linalg.inv(true[0]) @ true
    assert np.linalg.norm(relative[-1, :3, 3]) > 1.0
    # Files hold 13 digits: latitude and longitude to some micrometres.
    assert np.abs(drive.poses() - relative).max() < 1e-4


def test_laser_and_dense_depth_agree(drives: Path) -> None:
    (drive,) = find_drives(drives)
    sparse = scan_depth(drive.scan(2), drive.calibration, drive.calibration.camera)
    dense = drive.dense_depth(2)
    both = (sparse > 0) & (dense > 0)
    assert both.sum() > 2000
    ratio = sparse[both] / dense[both]
    # Edges apart, where a laser point and the centre of its pixel lie on different things.
    assert np.mean(np.abs(ratio - 1) < 0.05) > 0.95
    assert abs(np.median(ratio) - 1) < 5e-3


def test_the_next_picture_warped_by_depth_and_pose_is_this_picture(drives: Path) -> None:
    (drive,) = find_drives(drives)
    camera, poses, depth = drive.calibration.camera, drive.poses(), drive.dense_depth(2)
    motion = np.linalg.inv(poses[3]) @ poses[2]
    points = (camera.rays() * depth[..., None]).reshape(-1, 3) @ motion[:3, :3].T + motion[:3, 3]
    pixels, ahead = camera.project(points)
    column, row = np.round(pixels).astype(int).T
    here, after = drive.image(2).astype(float).reshape(-1, 3), drive.image(3).astype(float)
    inside = (depth.ravel() > 0) & (ahead > 0) & (column >= 0) & (column < camera.width) & (row >= 0)
    inside &= row < camera.height
    warped = after[row[inside], column[inside]]
    unmoved = np.abs(after.reshape(-1, 3)[inside] - here[inside]).mean()
    assert np.abs(warped - here[inside]).mean() < 0.6 * unmoved


def test_a_drive_that_was_stopped_goes_on_and_equals_one_that_was_not(drives: Path, tmp_path: Path) -> None:
    config = DriveConfig(width=64, height=32, frames=4, azimuths=20)
    whole = write_drives(tmp_path / "whole", config, 1, 0)[0]

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_drives(tmp_path / "stopped", config, 1, 0, progress=stop)
    resumed = write_drives(tmp_path / "stopped", config, 1, 0)[0]
    files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(resumed) for path in resumed.rglob("*") if path.is_file())
    assert all((whole / name).read_bytes() == (resumed / name).read_bytes() for name in files)


def test_a_folder_of_other_settings_is_left_alone(drives: Path) -> None:
    with pytest.raises(UsageError, match=r"other settings(.|\n)*another folder"):
        write_drives(drives, CONFIG, 1, SEED + 1)


def test_the_command_writes_drives_and_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = ["--width", "64", "--height", "32", "--frames", "3"]
    assert main([str(tmp_path), "--drives", "2", *size]) == 0
    assert capsys.readouterr().out == f"2 drives of 3 frames in {tmp_path}\n"
    assert len(find_drives(tmp_path)) == 2
    assert main([str(tmp_path), "--width", "8"]) == 2
    assert "at least 32 × 16 pixels" in capsys.readouterr().err
