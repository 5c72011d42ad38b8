"""MiniNet: depth from one picture with few weights, by running one block over and over (Liu et al., ISPRS J. 2020).

A strided stem and two separable blocks bring the picture to an eighth of its size. From there one *recurrent module*
with one set of weights halves it again and again, several iterations at each size. Upsampling blocks climb back and
take in the encoder's features by addition; heads at three sizes answer for training, the finest is the answer.

The answer is how near each pixel is on a logarithmic scale, so that one step of an 8-bit integer is the same part of
the depth everywhere: 2 %, where a step of disparity would be a third of the depth at 40 m.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from edgeconv.errors import UsageError
from edgeconv.models.mininet.config import MiniNetConfig
from edgeconv.quantize.export import IntegerInput
from edgeconv.quantize.layers import FloatLayers, Layers

__all__ = ["FARTHEST", "NEAREST", "PIXELS", "MiniNet", "depth_of"]

NEAREST, FARTHEST = 0.5, 100.0
"""Metres at which nearness 1 and 0 place a point (up to the unknown factor of monocular depth)."""

PIXELS = IntegerInput(np.dtype(np.uint8), 1 / 256, 0)
"""Pictures enter as the camera's bytes."""


class Separable(nn.Module):
    """Depthwise 3 × 3, then 1 × 1 to other channels, each with a normalization and a ReLU."""

    def __init__(self, layers: Layers, channels: int, filters: int, *, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = layers.conv2d(channels, channels, 3, stride=stride, padding=1, groups=channels)
        self.inner = layers.relu()
        self.pointwise = layers.conv2d(channels, filters, 1)
        self.outer = layers.relu()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.outer(self.pointwise(self.inner(self.depthwise(x))))
        return y


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
        self.mix_round, self.sum = layers.requantize(), layers.add_relu()

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        for _ in range(self.iterations):
            change = self.mix_round(self.mix(self.second_inner(self.second(self.first(x)))))
            x = self.sum(x, change)
        return x


class Up(nn.Module):
    """To twice the size, with the encoder's features of that size added."""

    def __init__(self, layers: Layers, channels: int, skip: int) -> None:
        super().__init__()
        self.reduce, self.reduce_round = layers.conv2d(channels, skip, 1), layers.requantize()
        self.upsample = layers.upsample2d()
        self.sum = layers.add_relu()
        self.fuse = Separable(layers, skip, skip)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        # Rounded before it is repeated: four times fewer roundings, and bytes to move.
        y: Tensor = self.fuse(self.sum(self.upsample(self.reduce_round(self.reduce(x))), skip))
        return y


class MiniNet(nn.Module):
    """Pictures (N, 3, H, W) in [0, 1), H and W multiples of 2^(3 + levels), to nearness in (0, 1).

    Args:
        layers: float or quantized building blocks.
    """

    def __init__(self, config: MiniNetConfig | None = None, layers: Layers | None = None) -> None:
        super().__init__()
        self.config = config or MiniNetConfig()
        layers = layers or FloatLayers()
        a, b, c = self.config.widths
        self.input = layers.input_quantizer(PIXELS)
        self.stem, self.stem_relu = layers.conv2d(3, a, 3, stride=2, padding=1), layers.relu()
        self.encode1 = Separable(layers, a, b, stride=2)
        self.encode2 = nn.Sequential(Separable(layers, b, c, stride=2), Separable(layers, c, c))
        self.recurrent = Recurrent(layers, c, self.config.iterations)
        self.climb = nn.ModuleList(Up(layers, c, c) for _ in range(self.config.levels))
        self.up1, self.up0 = Up(layers, c, b), Up(layers, b, a)
        self.heads = nn.ModuleList(layers.conv2d(width, 1, 3, padding=1, normalized=False) for width in (a, b, c))
        self.nearness, self.enlarge = layers.sigmoid(), layers.interpolate2d()

    def forward(self, picture: Tensor) -> Tensor | list[Tensor]:
        """Nearness (N, 1, H, W); in training a list, that one followed by those at H/4 and H/8."""
        multiple = self.config.multiple
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
        answer: Tensor = self.enlarge(self.nearness(self.heads[0](w)))
        if not self.training:
            return answer
        return [answer, torch.sigmoid(self.heads[1](z)), torch.sigmoid(self.heads[2](y))]


def depth_of(nearness: Tensor) -> Tensor:
    """Depth in metres of nearness in [0, 1]: a geometric way from `FARTHEST` to `NEAREST`."""
    return FARTHEST * torch.exp(math.log(NEAREST / FARTHEST) * nearness)
