"""The network: a convolutional stem, residual blocks, the mean over time, one output for each class.

Blocks are bidirectional Mamba blocks, or dilated convolutions, beside which it shows what the scans are good for.

A Mamba block is that of Vision Mamba (Zhu et al., arXiv 2401.09417) with batch normalizations, which fold into
convolutions, in the place of layer normalizations: the sequence is scanned forward and backward, each direction with a
causal depthwise convolution and a selective scan of its own, and their sum is gated. All projections are convolutions
of size 1, so that channels stay neighbours in memory. It is written once: `FloatLayers` gives the real network,
`QuantLayers` its twin, in which every value between two layers is an integer.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from edgeconv.models.ecg_mamba.config import NetworkConfig
from edgeconv.models.ecg_mamba.leads import LEADS
from edgeconv.models.ecg_mamba.preparation import SignalConfig
from edgeconv.quantize.export import IntegerInput
from edgeconv.quantize.layers import Layers

__all__ = ["ConvBlock", "EcgNet", "MambaBlock", "integer_input"]

_STEM_STRIDE = 2
# Each block looks three times as far as the one before: four of them see 161 places at once.
_DILATION = 3


def integer_input(signal: SignalConfig) -> IntegerInput:
    """What the integers of prepared records mean to the network: millivolts."""
    return IntegerInput(np.dtype(f"int{signal.bits}"), signal.lsb_mv, 0)


class EcgNet(nn.Module):
    """(samples, 12, length) in millivolts to (samples, classes): logits."""

    def __init__(self, layers: Layers, config: NetworkConfig, signal: SignalConfig) -> None:
        super().__init__()
        self.input = layers.input_quantizer(integer_input(signal))
        channels, stem = len(LEADS), []
        for filters in (*config.stem, config.width):
            stem += [layers.conv1d(channels, filters, 7, stride=_STEM_STRIDE, padding=3), layers.relu()]
            channels = filters
        self.stem = nn.Sequential(*stem)
        convolutions = (ConvBlock(layers, config.width, _DILATION**i) for i in range(config.convolutions))
        self.blocks = nn.Sequential(*convolutions, *(MambaBlock(layers, config) for _ in range(config.blocks)))
        self.mean = layers.mean(2, signed=True)
        self.head = layers.linear(config.width, config.classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.mean(self.blocks(self.stem(self.input(x)))).flatten(1))
        return logits


class ConvBlock(nn.Module):
    """x + conv(relu(conv(x))), both of three taps; (samples, width, length) in and out."""

    def __init__(self, layers: Layers, width: int, dilation: int) -> None:
        super().__init__()
        self.one = layers.conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.relu, self.residual = layers.relu(), layers.add()
        self.two = layers.conv1d(width, width, 3, padding=dilation, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.residual(x, self.two(self.relu(self.one(x))))
        return y


class MambaBlock(nn.Module):
    """x + project(gate·(forward scan + backward scan)); (samples, width, length) in and out."""

    def __init__(self, layers: Layers, config: NetworkConfig) -> None:
        super().__init__()
        inner = config.expand * config.width
        self.into, self.round = layers.conv1d(config.width, inner, 1), layers.requantize()
        self.gate, self.silu = layers.conv1d(config.width, inner, 1), layers.silu()
        self.forward_scan, self.backward_scan = _Direction(layers, config), _Direction(layers, config)
        self.flip, self.back = layers.flip(2), layers.flip(2)
        self.both, self.gated = layers.add(), layers.multiply()
        self.project, self.residual = layers.conv1d(inner, config.width, 1), layers.add()

    def forward(self, x: Tensor) -> Tensor:
        inner = self.round(self.into(x))
        both = self.both(self.forward_scan(inner), self.back(self.backward_scan(self.flip(inner))))
        y: Tensor = self.residual(x, self.project(self.gated(both, self.silu(self.gate(x)))))
        return y


class _Direction(nn.Module):
    """The causal part of a block: convolution, then a selective scan with step sizes, b and c made from its input."""

    def __init__(self, layers: Layers, config: NetworkConfig) -> None:
        super().__init__()
        inner, states = config.expand * config.width, config.states

        def projection(channels: int, filters: int) -> nn.Module:
            return layers.conv1d(channels, filters, 1, normalized=False)

        self.pad, self.silu = layers.pad1d(config.taps - 1, 0), layers.silu()
        self.conv = layers.conv1d(inner, inner, config.taps, groups=inner)
        self.to_rank, self.round_rank = projection(inner, config.rank), layers.requantize()
        self.to_dt, self.round_dt = projection(config.rank, inner), layers.requantize()
        self.to_b, self.round_b = projection(inner, states), layers.requantize()
        self.to_c, self.round_c = projection(inner, states), layers.requantize()
        self.scan, self.round = layers.selective_scan(inner, states), layers.requantize()

    def forward(self, x: Tensor) -> Tensor:
        u = self.silu(self.conv(self.pad(x)))
        dt = self.round_dt(self.to_dt(self.round_rank(self.to_rank(u))))
        y: Tensor = self.round(self.scan(u, dt, self.round_b(self.to_b(u)), self.round_c(self.to_c(u))))
        return y
