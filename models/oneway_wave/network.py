"""Next-step prediction of a wave by dense or one-way convolutions, and roll-outs of many steps.

The network reads the last fields and the medium, and gives what the next field differs by from going on as before:

    u(t+1) = mask · (2·u(t) - u(t-1) + CHANGE_UNIT · network(u(t), u(t-1), …, medium))

The sum is the host's, in float32: the field is the state of a long recurrence and would lose at every step to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from edgeconv.models.oneway_wave.config import StepConfig
from edgeconv.models.oneway_wave.layers import OneWayConv2d
from edgeconv.quantize.export import IntegerInput
from edgeconv.quantize.layers import FloatLayers, Layers

__all__ = ["CHANGE_UNIT", "FIELDS", "StepNet", "advance", "balance_channels", "roll_out", "to_grid"]

# Second differences in time are small against fields of magnitude 1; in this unit they are numbers of order one.
CHANGE_UNIT = 2.0**-6
# Fields of magnitude up to 2 enter with 16 bits: the rounding, 2⁻¹⁵, is far below what any network errs by in a step.
FIELDS = IntegerInput(np.dtype(np.int16), 2.0**-14, 0)


def _conv(config: StepConfig, layers: Layers, channels: int, filters: int) -> nn.Module:
    if config.rank:
        return OneWayConv2d(channels, filters, config.size, config.rank, layers=layers)
    return layers.conv2d(channels, filters, config.size, padding=config.size // 2, normalized=False)


class StepNet(nn.Module):
    """Fields and medium (N, frames + 2, H, W) to the change (N, 1, H, W) in `CHANGE_UNIT`.

    The newest field comes last, and after it the medium: the wave's speed in m/s, 0 where there is none, and 1 on the
    pixels at a side that absorbs.

    Args:
        layers: float or quantized building blocks.
    """

    def __init__(self, config: StepConfig, layers: Layers | None = None) -> None:
        super().__init__()
        layers = layers or FloatLayers()
        self.config = config
        self.input = layers.input_quantizer(FIELDS)
        channels = (config.frames + 2, *[config.width] * (config.depth - 1), 1)
        self.convs = nn.ModuleList(_conv(config, layers, a, b) for a, b in pairwise(channels))
        self.relus = nn.ModuleList(layers.relu() for _ in channels[2:])

    def forward(self, state: Tensor) -> Tensor:
        x = self.input(state)
        for conv, relu in zip(self.convs[:-1], self.relus, strict=True):
            x = relu(conv(x))
        change: Tensor = self.convs[-1](x)
        return change


def to_grid(fields: Tensor) -> Tensor:
    """Fields as the 16-bit integers of the network's input mean them, the gradient passed straight through."""
    rounded = (fields.detach() / FIELDS.scale).round().clamp(-(2**15), 2**15 - 1) * FIELDS.scale
    return fields + (rounded - fields).detach()


def advance(network: Callable[[Tensor], Tensor], fields: Tensor, medium: Tensor) -> Tensor:
    """The next field (N, 1, H, W) after fields (N, frames, H, W) in a medium (N, 2, H, W).

    The equation is linear: fields enter times a power of two that brings their largest magnitude into 1/2 … 1, and what
    comes out is divided by it again, so that a wave that has spread keeps all its digits.
    """
    peak = fields.detach().abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-20)
    unit = torch.exp2(torch.log2(peak).ceil())
    change = network(torch.cat([to_grid(fields / unit), to_grid(medium)], 1))
    return (2 * fields[:, -1:] - fields[:, -2:-1] + unit * CHANGE_UNIT * change) * (medium[:, :1] > 0)


def roll_out(network: Callable[[Tensor], Tensor], fields: Tensor, medium: Tensor, steps: int) -> Tensor:
    """Feed predictions back: (N, steps, H, W) after the first fields (N, frames, H, W)."""
    frames, after = fields, []
    for _ in range(steps):
        after.append(advance(network, frames, medium))
        frames = torch.cat([frames[:, 1:], after[-1]], 1)
    return torch.cat(after, 1)


@torch.no_grad()
def balance_channels(network: StepNet, state: Tensor) -> None:
    """Scale the channels between one-way factors, by powers of two, so that one scale rounds all of them well.

    Nothing stands between the factors, so what a channel is multiplied by, the next factor divides out again: the
    function stays to the last bit (equalization across layers: Nagel et al., arXiv 1906.04721). Before the factor along
    y values become alike. The factor along x has one scale for the filters of all terms of a kernel, so before it those
    filters become alike.
    """
    x = state
    for conv, relu in zip(network.convs, [*network.relus, None], strict=True):
        if isinstance(conv, OneWayConv2d):
            peaks = conv.across(x).abs().amax((0, 2, 3))
            _move(conv.across, conv.along_y, _powers_of_two(peaks.max() / peaks.clamp_min(1e-12)))
            peaks = conv.along_x.weight.abs().amax((2, 3)).clamp_min(1e-12)
            _move(conv.along_y, conv.along_x, 1 / _powers_of_two(peaks.amax(1, keepdim=True) / peaks).flatten())
        x = conv(x) if relu is None else relu(conv(x))


def _powers_of_two(ratios: Tensor) -> Tensor:
    return torch.exp2(torch.log2(ratios).round().clamp_max(20))


def _move(first: nn.Module, second: nn.Module, factors: Tensor) -> None:
    """Multiply the channels that the first factor gives, and divide in the second."""
    first.weight.mul_(factors[:, None, None, None])
    second.weight.div_(factors.reshape(*second.weight.shape[:2], 1, 1))
