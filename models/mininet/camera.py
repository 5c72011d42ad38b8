"""A pinhole camera in KITTI's axes: x to the right, y down, z along the optical axis; all lengths in metres."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UsageError

__all__ = ["Camera", "pose_matrix"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """Intrinsics of a rectified camera; pixel centres have integer coordinates.

    Attributes:
        width, height: of the image, in pixels.
        fx, fy: focal lengths in pixels.
        cx, cy: principal point in pixels.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or not (self.fx > 0 and self.fy > 0):
            raise UsageError(f"camera {self}", expected="a positive size and positive focal lengths")

    @classmethod
    def kitti_like(cls, width: int, height: int) -> Camera:
        """KITTI's colour camera (721.5 pixels at 1242 × 375, calibration of 2011_09_26) at another width.

        The image keeps the horizontal field of view of 81°; a height other than 375/1242 of the width crops or extends
        it about the principal point.
        """
        scale = width / 1242
        return cls(width, height, 721.5377 * scale, 721.5377 * scale, 609.5593 * scale, 172.854 / 375 * height)

    @property
    def matrix(self) -> Floats:
        """The 3 × 3 matrix from rays to homogeneous pixels."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])

    def resized(self, width: int, height: int) -> Camera:
        """The camera of the image resampled to another size; pixel areas are mapped onto one another."""
        a, b = width / self.width, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * a,
            fy=self.fy * b,
            cx=(self.cx + 0.5) * a - 0.5,
            cy=(self.cy + 0.5) * b - 0.5,
        )

    def rays(self) -> Floats:
        """Directions (height, width, 3) through all pixel centres, with z = 1: depth times ray is the point."""
        x = (np.arange(self.width) - self.cx) / self.fx
        y = (np.arange(self.height) - self.cy) / self.fy
        return np.stack([*np.meshgrid(x, y), np.ones((self.height, self.width))], -1)

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Pixels (N, 2) and depths (N,) of points (N, 3) in the camera's axes; only depths above 0 are meant."""
        depth = points[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            pixels = points[:, :2] / depth[:, None] * [self.fx, self.fy] + [self.cx, self.cy]
        return pixels, depth


def pose_matrix(yaw: float, pitch: float, roll: float, position: tuple[float, float, float] | Floats) -> Floats:
    """4 × 4, camera axes to the world's: roll about z, then pitch about x, then yaw about y (radians)."""
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in (yaw, pitch, roll))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, :3] = about_y @ about_x @ about_z
    pose[:3, 3] = position
    return pose
