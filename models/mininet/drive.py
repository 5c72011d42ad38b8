"""Synthetic drives in KITTI's raw layout: pictures, laser scans, positions and calibration of a simulated car.

    OUT/2011_09_26/calib_cam_to_cam.txt, calib_velo_to_cam.txt, calib_imu_to_velo.txt
    OUT/2011_09_26/2011_09_26_drive_0001_sync/image_02/data/0000000000.png      colour picture
                                              oxts/data/0000000000.txt          position, attitude, speed
                                              velodyne_points/data/0000000000.bin   laser points, float32 x y z r
                                              proj_depth/groundtruth/image_02/0000000000.png   depth, uint16, 1/256 m

The folders and files are those of KITTI's raw data and, for dense depth, of its depth benchmark (Geiger et al., Vision
meets Robotics, IJRR 2013), so the loader cannot tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UsageError
from edgeconv.models.mininet.calibration import CAMERA_FROM_VELODYNE, write_calibration
from edgeconv.models.mininet.camera import Camera, pose_matrix
from edgeconv.models.mininet.oxts import write_oxts
from edgeconv.models.mininet.render import cast, depth_map, picture
from edgeconv.models.mininet.scene import Scene, random_scene

__all__ = ["DATE", "Drive", "DriveConfig", "Frame", "write_drives"]

Floats = NDArray[np.float64]

DATE = "2011_09_26"
CAMERA_HEIGHT = 1.65  # metres above the road (Geiger et al. 2013, figure 3)
_DEPTH_STEP = 256.0  # of the depth benchmark's 16-bit files, per metre


@dataclass(frozen=True)
class DriveConfig:
    """What is recorded.

    Attributes:
        width, height: of the pictures, in pixels.
        frames: of one drive.
        rate_hz: pictures a second.
        moving_cars: other cars that drive in the scene; 0 keeps to the static world that view synthesis assumes.
        noise: standard deviation of sensor noise, of 255.
        beams, azimuths: of the laser scanner: beams as an HDL-64E has them, and points of one over 90°.
    """

    width: int = 416
    height: int = 128
    frames: int = 40
    rate_hz: float = 10.0
    moving_cars: int = 0
    noise: float = 1.5
    beams: int = 64
    azimuths: int = 500

    def __post_init__(self) -> None:
        if self.width < 32 or self.height < 16 or self.frames < 3 or not self.rate_hz > 0:
            raise UsageError(f"{self}", expected="at least 32 × 16 pixels, 3 frames, and a positive rate")


@dataclass(frozen=True)
class Frame:
    """One moment of a drive.

    Attributes:
        image: (height, width, 3) uint8.
        depth: (height, width) float32, metres along the optical axis, inf for the sky.
        pose: 4 × 4, camera to world.
        scan: (N, 4) float32, laser points x, y, z in the scanner's axes and reflectance.
    """

    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    pose: Floats
    scan: NDArray[np.float32]


class Drive:
    """A scene and a car's way through it, rendered frame by frame.

    Args:
        seed: decides everything.
    """

    def __init__(self, config: DriveConfig, seed: int) -> None:
        self.config = config
        self.camera = Camera.kitti_like(config.width, config.height)
        self._rng = np.random.default_rng([seed, 0])
        self._seed = seed
        self.poses, length = _way(config, self._rng)
        self.scene: Scene = random_scene(self._rng, length, moving_cars=config.moving_cars)

    def frame(self, index: int) -> Frame:
        """The frame of that number; each can be made alone."""
        time_s, pose = index / self.config.rate_hz, self.poses[index]
        # Noise has a stream of its own for each frame.
        rng = np.random.default_rng([self._seed, 1, index])
        radiance = picture(self.scene, self.camera, pose, time_s)
        # Cameras put out roughly the square root of the light (sRGB's mean exponent is 1 / 2.2).
        values = 255 * np.clip(radiance, 0, 1) ** (1 / 2.2) + rng.normal(0, self.config.noise, radiance.shape)
        image = np.clip(np.round(values), 0, 255).astype(np.uint8)
        return Frame(image, depth_map(self.scene, self.camera, pose, time_s), pose, self._scan(pose, time_s))

    def _scan(self, pose: Floats, time_s: float) -> NDArray[np.float32]:
        """Points of the laser scanner in front of the car: HDL-64E, +2° to -24.8°, 120 m."""
        elevation = np.deg2rad(np.linspace(2.0, -24.8, self.config.beams))[:, None]
        azimuth = np.deg2rad(np.linspace(-45, 45, self.config.azimuths))[None, :]
        flat = np.cos(elevation) * np.ones_like(azimuth)
        rays = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation) * np.ones_like(azimuth)], -1)
        to_world = pose @ CAMERA_FROM_VELODYNE
        hits = cast(self.scene, to_world[:3, 3], rays @ to_world[:3, :3].T, time_s)
        met = hits.depth < 120
        points = rays.reshape(-1, 3)[met] * hits.depth[met, None]
        return np.column_stack([points, np.full(len(points), 0.3)]).astype(np.float32)


def _way(config: DriveConfig, rng: np.random.Generator) -> tuple[list[Floats], float]:
    """Camera poses of a car that keeps its lane more or less, and how far it comes in metres."""
    time = np.arange(config.frames) / config.rate_hz
    cruise = rng.uniform(5, 13)
    speed = np.clip(cruise + 2.0 * np.sin(2 * np.pi * time / rng.uniform(6, 20) + rng.uniform(0, 6)), 2.0, None)
    sway, period, phase = rng.uniform(0, 0.06), rng.uniform(4, 10), rng.uniform(0, 2 * np.pi)
    yaw = sway * np.sin(2 * np.pi * time / period + phase)
    step = np.diff(time, prepend=time[0])
    z = np.cumsum(speed * np.cos(yaw) * step)
    # The mean heading is along the street, so the sideways position sways about the lane.
    x = rng.uniform(0.5, 2.5) + np.cumsum(speed * np.sin(yaw) * step)
    x -= np.polyval(np.polyfit(time, x, 1), time) - rng.uniform(0.5, 2.5)
    pitch, roll = (rng.normal(0, 0.002, config.frames) for _ in range(2))
    poses = [pose_matrix(yaw[i], pitch[i], roll[i], (x[i], -CAMERA_HEIGHT, z[i])) for i in range(config.frames)]
    return poses, float(z[-1])


def write_drives(
    folder: Path, config: DriveConfig, drives: int, seed: int, *, progress: Callable[[int, int], None] | None = None
) -> list[Path]:
    """Write drives numbered from 1; returns their folders. A drive that is there whole is left alone.

    Args:
        progress: told how many frames of how many are written.

    Raises:
        UsageError: `folder` holds drives of another configuration or seed.
    """
    from PIL import Image

    day = folder / DATE
    write_calibration(day, Camera.kitti_like(config.width, config.height))
    written = []
    for number in range(1, drives + 1):
        drive = Drive(config, seed * 100_000 + number)
        place = day / f"{DATE}_drive_{number:04d}_sync"
        images, truth = place / "image_02" / "data", place / "proj_depth" / "groundtruth" / "image_02"
        scans, positions = place / "velodyne_points" / "data", place / "oxts" / "data"
        _check_same(place, config, seed)
        for made in (images, truth, scans, positions):
            made.mkdir(parents=True, exist_ok=True)
        for index in range(config.frames):
            # The picture is written last: where it is, the frame is whole.
            picture_file = images / f"{index:010d}.png"
            if not picture_file.exists():
                frame = drive.frame(index)
                steps = np.where(frame.depth < 255, np.round(frame.depth * _DEPTH_STEP), 0).astype(np.uint16)
                Image.fromarray(steps).save(truth / f"{index:010d}.png")
                frame.scan.tofile(scans / f"{index:010d}.bin")
                write_oxts(positions / f"{index:010d}.txt", drive.poses, index, config.rate_hz)
                partial = picture_file.with_suffix(".partial")
                Image.fromarray(frame.image).save(partial, format="PNG")
                partial.replace(picture_file)
            if progress:
                progress((number - 1) * config.frames + index + 1, drives * config.frames)
        written.append(place)
    return written


def _check_same(place: Path, config: DriveConfig, seed: int) -> None:
    note, text = place / "drive.txt", f"{config}, seed {seed}\n"
    if note.exists() and note.read_text(encoding="utf-8") != text:
        raise UsageError(
            f"{place} was written with other settings: {note.read_text(encoding='utf-8').strip()}",
            expected=text.strip(),
            advice="choose another folder, or remove this one",
        )
    place.mkdir(parents=True, exist_ok=True)
    note.write_text(text, encoding="utf-8")
