"""Next-step prediction of a wave: the change of the field from its last frames, by dense or one-way convolutions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from edgeconv.errors import UsageError
from edgeconv.models.oneway_wave.layers import OneWayConv2d

__all__ = ["StepConfig", "StepNet", "roll_out"]


@dataclass(frozen=True)
class StepConfig:
    """Size of a network.

    Attributes:
        frames: last fields that it sees.
        width: channels between its layers.
        depth: layers, the last one included.
        size: taps of a filter along each axis, odd.
        rank: terms of each one-way kernel; None for the dense twin.
    """

    frames: int = 3
    width: int = 16
    depth: int = 4
    size: int = 3
    rank: int | None = 2

    def __post_init__(self) -> None:
        if min(self.frames, self.width) < 1 or self.depth < 2 or self.size % 2 == 0:
            raise UsageError(f"{self}", expected="frames and width >= 1, depth >= 2, an odd size")

    def conv(self, channels: int, filters: int) -> nn.Module:
        """A layer from channels to filters."""
        if self.rank is None:
            return nn.Conv2d(channels, filters, self.size, padding=self.size // 2)
        return OneWayConv2d(channels, filters, self.size, self.rank)


class StepNet(nn.Module):
    """Float fields (N, frames, H, W), the newest last, and a mask (N, 1, H, W) of 0 and 1, to the next (N, 1, H, W)."""

    def __init__(self, config: StepConfig) -> None:
        super().__init__()
        self.config = config
        channels = (config.frames + 1, *[config.width] * (config.depth - 1), 1)
        layers = [m for a, b in pairwise(channels) for m in (config.conv(a, b), nn.ReLU())]
        self.change = nn.Sequential(*layers[:-1])

    def forward(self, fields: Tensor, mask: Tensor) -> Tensor:
        change: Tensor = self.change(torch.cat([fields, mask], 1))
        return (fields[:, -1:] + change) * mask


def roll_out(network: StepNet, fields: Tensor, mask: Tensor, steps: int) -> Tensor:
    """Feed predictions back: (N, steps, H, W) after the first fields (N, frames, H, W)."""
    frames = fields
    for _ in range(steps):
        frames = torch.cat([frames, network(frames[:, -network.config.frames :], mask)], 1)
    return frames[:, fields.shape[1] :]
