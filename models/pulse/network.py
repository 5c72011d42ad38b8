"""The pulse network and its quantized twin: strided 1-D convolutions and two fully connected layers.

By default 128 samples → 16 × 64 → 32 × 32 → 32 × 16 → 64 × 8 → 64 → 2; kernels of 5, stride 2; 0.284 million
multiply-accumulates.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeconv.errors import UsageError
from edgeconv.models.pulse.config import POLICY, SAMPLES, STRIDE, NetworkConfig
from edgeconv.quantize.grid import FixedGridActivation, GridLayers, integers, quantize_input
from edgeconv.quantize.policy import QuantPolicy

__all__ = [
    "BenchmarkNet",
    "PulseNet",
    "QuantPulseNet",
    "benchmark_network",
    "parts_of",
    "spread_channels",
    "sums_of",
    "top_of",
    "use_whole_range",
]


# Signed: a sample below the baseline is negative. 16 bits hold any ADC of up to 14 bits.
_INPUT_BITS = 16
# Larger pulses than those seen must still fit: 4 % is far beyond what a larger sample adds to the largest activation.
_HEADROOM = 0.96
# A channel that is nearly always silent is not to be blown up, and one that always is has nothing to be scaled by.
_MOST = 8.0
_SILENT = 1e-3


class _Layered(Protocol):
    layers: nn.ModuleList
    direct: nn.ModuleList

    def __call__(self, x: Tensor) -> Tensor: ...


class PulseNet(nn.Module):
    """The float network: real samples (N, 1, 128) to two numbers (N, 2), or four with uncertainties.

    `layers` are the convolutions and the two fully connected layers; `direct`, where the shape has them, are the
    weights with which the samples themselves enter the two.
    """

    def __init__(self, shape: NetworkConfig | None = None) -> None:
        super().__init__()
        shape = shape or NetworkConfig()
        size, padding = shape.kernel, shape.padding
        convs = [nn.Conv1d(a, b, size, STRIDE, padding) for a, b in pairwise((1, *shape.channels))]
        self.layers = nn.ModuleList(
            [*convs, nn.Linear(shape.flat, shape.hidden), nn.Linear(shape.hidden, shape.outputs)]
        )
        self.direct = nn.ModuleList(nn.Linear(SAMPLES, n, bias=False) for n in shape.direct_outputs)
        _initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for layer in self.layers[:-2]:
            y = F.relu(layer(y))
        hidden = F.relu(self._joined(self.layers[-2](y.flatten(1)), x, 0))
        return self._joined(self.layers[-1](hidden), x, 1)

    def _joined(self, sums: Tensor, x: Tensor, which: int) -> Tensor:
        return sums + self.direct[which](x.flatten(1)) if self.direct else sums


class QuantPulseNet(nn.Module):
    """The same network on integers: each layer's parameters have the names they have in `PulseNet`.

    Args:
        policy: bits of the weights of `layers.0` to the last (`layers.5` by default), and of `activations.0` to
            `activations.4`.
        input_exponent: samples are integer multiples of 2^input_exponent.
        shape: the default one when None.
        real_weights: weights and biases are not rounded.

    Raises:
        UsageError: a rule of the policy matches no layer, or it wants scales that are not on fixed grids.
    """

    def __init__(
        self,
        policy: QuantPolicy,
        input_exponent: int,
        shape: NetworkConfig | None = None,
        *,
        real_weights: bool = False,
    ) -> None:
        super().__init__()
        shape = shape or NetworkConfig()
        if policy.scales != POLICY.scales or policy.learn_scales or not policy.per_channel:
            raise UsageError(
                f"a policy with scales = {policy.scales}, learn_scales = {policy.learn_scales}, per_channel = "
                f"{policy.per_channel}",
                expected="power-of-two, false and true: activations of this family lie on fixed grids",
            )
        count = len(shape.channels) + 2
        weighted = [f"layers.{i}" for i in range(count)] + [f"direct.{i}" for i in range(len(shape.direct_outputs))]
        rounded = [f"activations.{i}" for i in range(count - 1)]
        bits = policy.resolve(weighted, rounded)
        kinds = [GridLayers(weight_bits=None if real_weights else bits[name].weight_bits) for name in weighted]
        convs = [
            kind.conv1d(a, b, shape.kernel, stride=STRIDE, padding=shape.padding)
            for kind, (a, b) in zip(kinds, pairwise((1, *shape.channels)), strict=False)
        ]
        self.layers = nn.ModuleList(
            [
                *convs,
                kinds[count - 2].linear(shape.flat, shape.hidden),
                kinds[count - 1].linear(shape.hidden, shape.outputs),
            ]
        )
        self.activations = nn.ModuleList(
            GridLayers(activation_bits=bits[name].activation_bits).relu() for name in rounded
        )
        self.direct = nn.ModuleList(
            kind.linear(SAMPLES, n, bias=False) for kind, n in zip(kinds[count:], shape.direct_outputs, strict=True)
        )
        self.weight_bits = {name: bits[name].weight_bits for name in weighted}
        self.register_buffer("input_scale", torch.tensor(2.0**input_exponent), persistent=False)
        _initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        x = integers(x, self.input_scale, bits=_INPUT_BITS, training=self.training)
        return self._inner(x)

    def _inner(self, x: Tensor) -> Tensor:
        y = x
        for layer, activation in zip(self.layers[:-2], self.activations, strict=False):
            y = activation(layer(y))
        hidden = self.activations[-1](self._joined(self.layers[-2](y.flatten(1)), x, 0))
        return self._joined(self.layers[-1](hidden), x, 1)

    _joined = PulseNet._joined


class BenchmarkNet(QuantPulseNet):
    """The same network behind an 8-bit quantizer of float samples in [0, 1): for speed comparisons."""

    def __init__(self, *, real_weights: bool = False) -> None:
        super().__init__(POLICY, -8, real_weights=real_weights)
        self.quantizer = quantize_input(FixedGridActivation, bits=8)

    def forward(self, x: Tensor) -> Tensor:
        return self._inner(self.quantizer(x))


def _initialize(network: _Layered) -> None:
    for layer in (*network.layers, *network.direct):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    with torch.no_grad():
        for last in (network.layers[-1], *network.direct[1:]):
            last.weight.mul_(0.1)  # start near the mean answer


def _apply(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What a layer with these weights makes of real values: a strided convolution, or fully connected."""
    if weight.dim() == 2:
        return F.linear(x.flatten(1), weight, bias)
    return F.conv1d(x, weight, bias, STRIDE, weight.shape[2] // 2)


def parts_of(network: _Layered, which: int) -> list[nn.Module]:
    """The layers whose sums are the values of one stage: `layers[which]`, and what reads the samples beside it."""
    parts = [network.layers[which]]
    last = len(network.layers) - 1
    if network.direct and which >= last - 1:
        parts.append(network.direct[which - last + 1])
    return parts


def sums_of(parts: list[nn.Module], y: Tensor, x: Tensor) -> Tensor:
    """What the layers of one stage, with real weights, make of the values before it and of the samples."""
    sums = _apply(y, parts[0].weight, parts[0].bias)
    return sums if len(parts) == 1 else sums + _apply(x, parts[1].weight, None)


@torch.no_grad()
def spread_channels(network: _Layered, x: Tensor, top: float) -> None:
    """Scale each channel of a fresh network so that its largest activation over x is `top`.

    Activations live on a fixed grid in [0, 1); a channel that uses a tenth of it would be rounded ten times as coarsely
    as the others. Works on layers with real weights.
    """
    y = x
    for which in range(len(network.layers) - 1):
        parts = parts_of(network, which)
        sums = F.relu(sums_of(parts, y, x))
        peak = sums.transpose(0, 1).flatten(1).amax(1)
        # A channel that this batch never wakes keeps the common scale.
        gain = top / torch.where(peak > 1e-3 * peak.max(), peak, peak.max())
        _scale_outputs(parts, gain)
        y = sums * _per_channel(gain, sums)


def _scale_outputs(parts: list[nn.Module], factor: Tensor) -> None:
    for part in parts:
        part.weight.mul_(factor.reshape(-1, *[1] * (part.weight.dim() - 1)))
        if part.bias is not None:
            part.bias.mul_(factor)


def _per_channel(factor: Tensor, values: Tensor) -> Tensor:
    return factor.reshape(-1, *[1] * (values.dim() - 2))


def top_of(activation: nn.Module) -> float:
    """The largest value of the grid of a quantized ReLU."""
    return float(activation.act_quant.fused_activation_quant_proxy.tensor_quant.top)


@torch.no_grad()
def use_whole_range(network: QuantPulseNet, x: Tensor) -> None:
    """Scale every channel so that its largest activation over x nearly reaches the top of the grid.

    ReLU commutes with positive factors, so the next layer divides them out again and the function stays; the steps of
    the grid become finer against what they carry (cross-layer equalization: Nagel et al., arXiv 1906.04721, 4.1).
    Works on layers with real weights.
    """
    y = x
    for which, activation in enumerate(network.activations):
        parts, following = parts_of(network, which), network.layers[which + 1]
        sums = sums_of(parts, y, x)
        top = top_of(activation)
        largest = sums.transpose(0, 1).flatten(1).amax(1)
        factor = (_HEADROOM * top / largest.clamp_min(1e-6)).clamp(1.0, _MOST)
        factor = torch.where(largest > _SILENT, factor, 1.0)
        _scale_outputs(parts, factor)
        following.weight.reshape(len(following.weight), len(factor), -1).div_(factor[None, :, None])
        # What rounding adds does not matter here: the layers stay real, and what they give is clipped as on the grid.
        y = sums.clamp(0, top) * _per_channel(factor, sums)


def benchmark_network(seed: int = 0) -> BenchmarkNet:
    """The network with float input quantized to 8 bits and two float outputs, untrained, its ranges calibrated.

    Its outputs mean nothing; shapes, operators and cost are those of the trained network.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        real = BenchmarkNet(real_weights=True)
        quantized = BenchmarkNet()
    rise = torch.arange(SAMPLES) - torch.empty(256, 1, 1).uniform_(10, 40, generator=generator)
    pulse = torch.where(rise > 0, torch.exp(-rise / 16) - torch.exp(-rise / 3), torch.zeros(()))
    height = torch.empty(256, 1, 1).uniform_(0.2, 1, generator=generator)
    noise = 0.01 * torch.randn(256, 1, SAMPLES, generator=generator)
    spread_channels(real, (0.05 + height * pulse + noise).clamp(0, 1), top=0.9)
    quantized.load_state_dict(real.state_dict(), strict=False)
    return quantized.eval()
