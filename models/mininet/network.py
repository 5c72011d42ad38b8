"""MiniNet: depth from one picture with few weights, by running one block over and over (Liu et al., ISPRS J. 2020).

A strided stem and two separable blocks bring the picture to an eighth of its size. From there one *recurrent module*
with one set of weights halves it again and again, several iterations at each size. Upsampling blocks climb back and
take in the encoder's features by addition; heads at three scales give disparity for training, the finest is the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeconv.errors import UsageError
from edgeconv.quantize.layers import FloatLayers, Layers

__all__ = ["MiniNet", "MiniNetConfig", "disparity_to_depth"]

NEAREST, FARTHEST = 0.5, 100.0
"""Metres between which a disparity of 1 and of 0 place a point (up to the unknown factor of monocular depth)."""


@dataclass(frozen=True)
class MiniNetConfig:
    """Size of the network.

    Attributes:
        widths: channels of the stem and of the two encoder blocks; the last is also the recurrent module's.
        levels: how many times the recurrent module halves the picture.
        iterations: how many times it runs at each size.
    """

    widths: tuple[int, int, int] = (16, 32, 64)
    levels: int = 2
    iterations: int = 2

    def __post_init__(self) -> None:
        if min(self.widths) < 4 or self.levels < 1 or self.iterations < 1:
            raise UsageError(f"{self}", expected="widths of at least 4, one level and one iteration at least")


class Separable(nn.Module):
    """Depthwise 3 × 3, then 1 × 1 to other channels, each with a normalization and a ReLU."""

    def __init__(self, layers: Layers, channels: int, filters: int, *, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = layers.conv2d(channels, channels, 3, stride=stride, padding=1, groups=channels)
        self.inner = layers.relu()
        self.pointwise = layers.conv2d(channels, filters, 1)
        self.outer = layers.relu()

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.pointwise(self.inner(self.depthwise(x))))


class Recurrent(nn.Module):
    """One step down, and iterations of one residual block; all levels share these weights."""

    def __init__(self, layers: Layers, channels: int, iterations: int) -> None:
        super().__init__()
        self.iterations = iterations
        self.down = Separable(layers, channels, channels, stride=2)
        self.first = Separable(layers, channels, channels)
        self.second = layers.conv2d(channels, channels, 3, padding=1, groups=channels)
        self.second_inner = layers.relu()
        self.mix = layers.conv2d(channels, channels, 1)
        self.sum = layers.add_relu()

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        for _ in range(self.iterations):
            change = self.mix(self.second_inner(self.second(self.first(x))))
            x = self.sum(x, change)
        return x


class Up(nn.Module):
    """To twice the size, with the encoder's features of that size added."""

    def __init__(self, layers: Layers, channels: int, skip: int) -> None:
        super().__init__()
        self.reduce = layers.conv2d(channels, skip, 1)
        self.upsample = layers.upsample2d()
        self.sum = layers.add_relu()
        self.fuse = Separable(layers, skip, skip)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.fuse(self.sum(self.upsample(self.reduce(x)), skip))


class MiniNet(nn.Module):
    """Pictures (N, 3, H, W) in [0, 1], H and W multiples of 2^(3 + levels), to disparity in (0, 1).

    Args:
        layers: float or quantized building blocks.
    """

    def __init__(self, config: MiniNetConfig | None = None, layers: Layers | None = None) -> None:
        super().__init__()
        self.config = config or MiniNetConfig()
        layers = layers or FloatLayers()
        a, b, c = self.config.widths
        self.input = layers.input_quantizer()
        self.stem, self.stem_relu = layers.conv2d(3, a, 3, stride=2, padding=1), layers.relu()
        self.encode1 = Separable(layers, a, b, stride=2)
        self.encode2 = nn.Sequential(Separable(layers, b, c, stride=2), Separable(layers, c, c))
        self.recurrent = Recurrent(layers, c, self.config.iterations)
        self.climb = nn.ModuleList(Up(layers, c, c) for _ in range(self.config.levels))
        self.up1, self.up0 = Up(layers, c, b), Up(layers, b, a)
        self.heads = nn.ModuleList(layers.conv2d(width, 1, 3, padding=1, normalized=False) for width in (a, b, c))

    def forward(self, picture: Tensor) -> Tensor | list[Tensor]:
        """Disparity (N, 1, H, W); in training a list of logits at H/2, H/4 and H/8 instead."""
        multiple = 8 << self.config.levels
        if picture.shape[2] % multiple or picture.shape[3] % multiple:
            raise UsageError(
                f"a picture of {picture.shape[3]} × {picture.shape[2]}", expected=f"multiples of {multiple}"
            )
        half = self.stem_relu(self.stem(self.input(picture)))
        quarter = self.encode1(half)
        eighth = self.encode2(quarter)
        deep = [eighth]
        for _ in range(self.config.levels):
            deep.append(self.recurrent(deep[-1]))
        y = deep[-1]
        for up, skip in zip(self.climb, reversed(deep[:-1]), strict=True):
            y = up(y, skip)
        z = self.up1(y, quarter)
        w = self.up0(z, half)
        if self.training:
            return [head(level) for head, level in zip(self.heads, (w, z, y), strict=True)]
        logits = self.heads[0](w)
        return torch.sigmoid(F.interpolate(logits, scale_factor=2.0, mode="bilinear", align_corners=False))


def disparity_to_depth(disparity: Tensor) -> Tensor:
    """Depth of a disparity in (0, 1): linear in inverse depth between `FARTHEST` and `NEAREST`."""
    return 1 / (1 / FARTHEST + (1 / NEAREST - 1 / FARTHEST) * disparity)
