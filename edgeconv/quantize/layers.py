"""Building blocks that a network is written with once, and built with twice: in float, and as its quantized twin.

A family writes `layers.conv2d(…)` and `layers.relu()` where it would write torch's modules. `FloatLayers` gives those,
with batch normalization.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

__all__ = ["FloatLayers", "Layers"]


class Layers(Protocol):
    """What a network may be built of."""

    def input_quantizer(self) -> nn.Module:
        """What float input passes first."""

    def conv2d(
        self, channels: int, filters: int, size: int, *, stride: int = 1, padding: int = 0, groups: int = 1,
        normalized: bool = True,
    ) -> nn.Module:  # fmt: skip
        """A 2-D convolution with bias.

        Args:
            normalized: followed by a batch normalization in float; a quantized network has it folded into its weights.
        """

    def relu(self) -> nn.Module:
        """ReLU."""

    def add_relu(self) -> nn.Module:
        """A module of two tensors: ReLU of their sum."""

    def upsample2d(self) -> nn.Module:
        """To twice the height and width, each value repeated."""


class _AddRelu(nn.Module):
    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return torch.relu(one + other)


class NormalizedConv(nn.Module):
    """A convolution and its batch normalization: `conv` without bias, `norm`."""

    def __init__(self, conv: nn.Module, channels: int) -> None:
        super().__init__()
        self.conv, self.norm = conv, nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class FloatLayers:
    """torch's own modules."""

    def input_quantizer(self) -> nn.Module:
        """Nothing."""
        return nn.Identity()

    def conv2d(
        self, channels: int, filters: int, size: int, *, stride: int = 1, padding: int = 0, groups: int = 1,
        normalized: bool = True,
    ) -> nn.Module:  # fmt: skip
        """`nn.Conv2d`, with `nn.BatchNorm2d` where normalized."""
        conv = nn.Conv2d(channels, filters, size, stride, padding, groups=groups, bias=not normalized)
        return NormalizedConv(conv, filters) if normalized else conv

    def relu(self) -> nn.Module:
        """`nn.ReLU`."""
        return nn.ReLU()

    def add_relu(self) -> nn.Module:
        """A sum and ReLU."""
        return _AddRelu()

    def upsample2d(self) -> nn.Module:
        """`nn.Upsample`, nearest."""
        return nn.Upsample(scale_factor=2, mode="nearest")
