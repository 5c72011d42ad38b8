"""Learning depth from video alone: a picture must be what its neighbours look like from its own place.

Depth and camera motion together predict where each pixel of a picture lies in the pictures before and after; the error
of that prediction trains both (Zhou et al., CVPR 2017). The error is the smaller one of the two neighbours, and pixels
that a neighbour explains better unmoved are left out (Godard et al., ICCV 2019, sections 3.1 and 3.2).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeconv.models.mininet.config import LossWeights
from edgeconv.models.mininet.network import NEAREST, depth_of

__all__ = [
    "PoseNet",
    "Projector",
    "dissimilarity",
    "inverse_motion",
    "motion_matrix",
    "smoothness",
    "triplet_loss",
    "window_means",
]


class PoseNet(nn.Module):
    """Two pictures (N, 6, H, W) to the motion (N, 6) from the first camera to the second: rotation, translation."""

    def __init__(self, widths: tuple[int, ...] = (16, 24, 32, 48)) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        previous = 6
        for number, width in enumerate(widths):
            size = 5 if number == 0 else 3
            blocks += [nn.Conv2d(previous, width, size, 2, size // 2), nn.ReLU(inplace=True)]
            previous = width
        self.body = nn.Sequential(*blocks)
        self.head = nn.Conv2d(previous, 6, 1)
        # Standing still is where to start from: from a wrong way back there may be no way down.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("unit", torch.tensor([0.01] * 3 + [1.0] * 3), persistent=False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        pair = torch.cat([first, second], 1) - 0.45
        # Rotations between frames are small numbers (Zhou et al.); translations are counted beside depths of 7 m.
        return self.unit * self.head(self.body(pair)).mean((2, 3))


def motion_matrix(motion: Tensor) -> Tensor:
    """(N, 6) rotation vector (radians) and translation as (N, 3, 4) matrices (Rodrigues' formula)."""
    rotation, translation = motion[:, :3], motion[:, 3:]
    angle = rotation.norm(dim=1, keepdim=True).clamp_min(1e-8)
    x, y, z = (rotation / angle).unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
    sine, cosine = angle.sin()[..., None], angle.cos()[..., None]
    matrix = torch.eye(3, dtype=motion.dtype) + sine * cross + (1 - cosine) * cross @ cross
    return torch.cat([matrix, translation[..., None]], 2)


def inverse_motion(matrix: Tensor) -> Tensor:
    """The way back of motions (N, 3, 4)."""
    turn = matrix[:, :, :3].transpose(1, 2)
    return torch.cat([turn, -turn @ matrix[:, :, 3:]], 2)


class Projector:
    """Warps neighbours into a camera's view.

    Args:
        intrinsics: 3 × 3, or (N, 3, 3) for a camera a picture, of pictures of height × width pixels; pixel centres have
            integer coordinates.
    """

    def __init__(self, intrinsics: Tensor, height: int, width: int) -> None:
        self._matrix, self._size = intrinsics.float(), (height, width)
        row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        pixels = torch.stack([column, row, torch.ones_like(row)]).reshape(3, -1).float()
        self._rays = torch.linalg.inv(self._matrix) @ pixels

    def halved(self) -> Projector:
        """The same for pictures of half the size, two by two pixels averaged."""
        half = self._matrix.new_tensor([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]])
        return Projector(half @ self._matrix, self._size[0] // 2, self._size[1] // 2)

    def warp(self, source: Tensor, depth: Tensor, motion: Tensor) -> Tensor:
        """What the camera should see, taken from `source` (k N, C, H, W), k pictures of other places for each view.

        Args:
            depth: (N, 1, H, W) of the camera's own view.
            motion: (k N, 3, 4) from the camera's axes to the source's.
        """
        height, width = self._size
        times = len(motion) // len(depth)
        points = (self._rays * depth.flatten(2)).repeat(times, 1, 1)
        matrix = (self._matrix if self._matrix.dim() == 2 else self._matrix.repeat(times, 1, 1)) @ motion
        projected = matrix[:, :, :3] @ points + matrix[:, :, 3:]
        pixels = projected[:, :2] / projected[:, 2:].clamp_min(1e-3)
        # grid_sample counts from -1 at the left edge of the first pixel to 1 at the right edge of the last.
        scale = torch.tensor([2 / width, 2 / height])[:, None]
        grid = (pixels + 0.5) * scale - 1
        grid = grid.transpose(1, 2).reshape(-1, height, width, 2)
        return F.grid_sample(source, grid, padding_mode="border", align_corners=False)


def window_means(x: Tensor) -> Tensor:
    """Means of all 3 × 3 windows of (N, C, H, W): as `avg_pool2d`, in half the time with its gradient.

    torch does not vectorize that one along rows, and it was a quarter of a training step.
    """
    means: Tensor = _WindowMeans.apply(x)
    return means


class _WindowMeans(torch.autograd.Function):
    @staticmethod
    def forward(_context: Any, x: Tensor) -> Tensor:
        rows = x[..., :-2, :] + x[..., 1:-1, :] + x[..., 2:, :]
        return (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) * (1 / 9)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        # Each value is in the windows around it; beyond the border there are none.
        return _WindowMeans.forward(context, F.pad(gradients[0], (2, 2, 2, 2)))


def dissimilarity(one: Tensor, other: Tensor, weights: LossWeights) -> Tensor:
    """Photometric error (N, 1, H, W) of two pictures: SSIM of luminance over 3 × 3 windows (Wang et al. 2004), and
    absolute difference of the colours.
    """
    difference = (one - other).abs().mean(1, keepdim=True)
    a, b = (F.pad(picture.mean(1, keepdim=True), (1, 1, 1, 1), mode="reflect") for picture in (one, other))
    moments = window_means(torch.cat([a, b, a * a, b * b, a * b], 1))
    mean_a, mean_b, square_a, square_b, product = moments.split(1, 1)
    var_a, var_b, covariance = square_a - mean_a**2, square_b - mean_b**2, product - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    ssim = (2 * mean_a * mean_b + c1) * (2 * covariance + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return weights.ssim * ((1 - ssim) / 2).clamp(0, 1) + (1 - weights.ssim) * difference


def smoothness(disparity: Tensor, picture: Tensor) -> Tensor:
    """Mean slope of the normalized disparity, less where the picture has edges (Godard et al., CVPR 2017)."""
    normal = disparity / (disparity.mean((2, 3), keepdim=True) + 1e-7)
    total = torch.zeros(())
    for axis in (2, 3):
        slope = normal.diff(dim=axis).abs()
        edge = picture.diff(dim=axis).abs().mean(1, keepdim=True)
        total = total + (slope * torch.exp(-edge)).mean()
    return total


def triplet_loss(
    levels: list[Tensor], motions: list[Tensor], target: Tensor, sources: list[Tensor], projector: Projector,
    weights: LossWeights,
) -> Tensor:  # fmt: skip
    """Loss of one batch of triplets.

    Args:
        levels: nearness in [0, 1] at several sizes, finest first; each further one is judged on pictures of half the
            size, where a wrong depth that is far from the right one still finds its way.
        motions: for each source (N, 3, 4), from the target's axes.
        target: (N, 3, H, W); sources: the pictures before and after.
    """
    total = torch.zeros(())
    levels, motion, count = levels[: weights.scales], torch.cat(motions), len(sources)
    # All sources in one batch: at these sizes the number of calls is what takes time.
    source = torch.cat(sources)
    for scale, level in enumerate(levels):
        if scale:
            target, source, projector = F.avg_pool2d(target, 2), F.avg_pool2d(source, 2), projector.halved()
        depth = depth_of(F.interpolate(level, target.shape[2:], mode="bilinear", align_corners=False))
        repeated = target.repeat(count, 1, 1, 1)
        best = dissimilarity(projector.warp(source, depth, motion), repeated, weights).unflatten(0, (count, -1)).amin(0)
        if weights.leave_unmoved:
            unmoved = dissimilarity(source, repeated, weights)
            # Equal errors, as in a picture without texture, must not count as unmoved: a little noise breaks the tie.
            still = (unmoved + 1e-5 * torch.randn_like(unmoved)).unflatten(0, (count, -1)).amin(0)
            best = torch.minimum(best, still)
        smooth = smoothness(NEAREST / depth_of(level), F.interpolate(target, level.shape[2:], mode="area"))
        total = total + best.mean() + weights.smooth / 2**scale * smooth
    return total / len(levels)
