"""The pulse network and its quantized twin: four strided 1-D convolutions and two fully connected layers.

128 samples → 16 × 64 → 32 × 32 → 32 × 16 → 64 × 8 → 64 → 2; kernels of 5, stride 2; 0.284 million multiply-accumulates.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeconv.errors import UsageError
from edgeconv.models.pulse.config import POLICY, SAMPLES
from edgeconv.quantize.grid import FixedGridActivation, GridLayers, integers, quantize_input
from edgeconv.quantize.policy import QuantPolicy

__all__ = ["BenchmarkNet", "PulseNet", "QuantPulseNet", "benchmark_network", "spread_channels"]


CHANNELS = (1, 16, 32, 32, 64)
KERNEL, STRIDE, PADDING = 5, 2, 2
HIDDEN = 64
_FLAT = CHANNELS[-1] * (SAMPLES // STRIDE ** (len(CHANNELS) - 1))
# Signed: a sample below the baseline is negative. 16 bits hold any ADC of up to 14 bits.
_INPUT_BITS = 16


class _Layered(Protocol):
    layers: nn.ModuleList

    def __call__(self, x: Tensor) -> Tensor: ...


class PulseNet(nn.Module):
    """The float network: real samples (N, 1, 128) to two numbers (N, 2)."""

    def __init__(self) -> None:
        super().__init__()
        convs = [nn.Conv1d(a, b, KERNEL, STRIDE, PADDING) for a, b in pairwise(CHANNELS)]
        self.layers = nn.ModuleList([*convs, nn.Linear(_FLAT, HIDDEN), nn.Linear(HIDDEN, 2)])
        _initialize(self.layers)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-2]:
            x = F.relu(layer(x))
        return self.layers[-1](F.relu(self.layers[-2](x.flatten(1))))


class QuantPulseNet(nn.Module):
    """The same network on integers: each layer's parameters have the names they have in `PulseNet`.

    Args:
        policy: bits of the weights of `layers.0` to `layers.5`, and of `activations.0` to `activations.4`.
        input_exponent: samples are integer multiples of 2^input_exponent.
        real_weights: weights and biases are not rounded.

    Raises:
        UsageError: a rule of the policy matches no layer, or it wants scales that are not on fixed grids.
    """

    def __init__(self, policy: QuantPolicy, input_exponent: int, *, real_weights: bool = False) -> None:
        super().__init__()
        if policy.scales != POLICY.scales or policy.learn_scales or not policy.per_channel:
            raise UsageError(
                f"a policy with scales = {policy.scales}, learn_scales = {policy.learn_scales}, per_channel = "
                f"{policy.per_channel}",
                expected="power-of-two, false and true: activations of this family lie on fixed grids",
            )
        count = len(CHANNELS) + 1
        weighted, rounded = [f"layers.{i}" for i in range(count)], [f"activations.{i}" for i in range(count - 1)]
        bits = policy.resolve(weighted, rounded)
        kinds = [GridLayers(weight_bits=None if real_weights else bits[name].weight_bits) for name in weighted]
        convs = [
            kind.conv1d(a, b, KERNEL, stride=STRIDE, padding=PADDING)
            for kind, (a, b) in zip(kinds, pairwise(CHANNELS), strict=False)
        ]
        self.layers = nn.ModuleList([*convs, kinds[-2].linear(_FLAT, HIDDEN), kinds[-1].linear(HIDDEN, 2)])
        self.activations = nn.ModuleList(
            GridLayers(activation_bits=bits[name].activation_bits).relu() for name in rounded
        )
        self.weight_bits = [bits[name].weight_bits for name in weighted]
        self.register_buffer("input_scale", torch.tensor(2.0**input_exponent), persistent=False)
        _initialize(self.layers)

    def forward(self, x: Tensor) -> Tensor:
        x = integers(x, self.input_scale, bits=_INPUT_BITS, training=self.training)
        return self._inner(x)

    def _inner(self, x: Tensor) -> Tensor:
        for layer, activation in zip(self.layers[:-2], self.activations, strict=False):
            x = activation(layer(x))
        return self.layers[-1](self.activations[-1](self.layers[-2](x.flatten(1))))


class BenchmarkNet(QuantPulseNet):
    """The same network behind an 8-bit quantizer of float samples in [0, 1): for speed comparisons."""

    def __init__(self, *, real_weights: bool = False) -> None:
        super().__init__(POLICY, -8, real_weights=real_weights)
        self.quantizer = quantize_input(FixedGridActivation, bits=8)

    def forward(self, x: Tensor) -> Tensor:
        return self._inner(self.quantizer(x))


def _initialize(layers: nn.ModuleList) -> None:
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
    with torch.no_grad():
        layers[-1].weight.mul_(0.1)  # start near the mean answer


@torch.no_grad()
def spread_channels(network: _Layered, x: Tensor, top: float) -> None:
    """Scale each channel of a fresh network so that its largest activation over x is `top`.

    Activations live on a fixed grid in [0, 1); a channel that uses a tenth of it would be rounded ten times as coarsely
    as the others. Works on layers with real weights.
    """
    for layer in network.layers[:-1]:
        is_linear = layer.weight.dim() == 2
        weight, bias = layer.weight, layer.bias
        y = F.relu(F.linear(x.flatten(1), weight, bias) if is_linear else F.conv1d(x, weight, bias, STRIDE, PADDING))
        peak = y.amax(0) if is_linear else y.amax((0, 2))
        # A channel that this batch never wakes keeps the common scale.
        gain = top / torch.where(peak > 1e-3 * peak.max(), peak, peak.max())
        weight.mul_(gain.reshape(-1, *[1] * (weight.dim() - 1)))
        bias.mul_(gain)
        x = y * (gain if is_linear else gain[:, None])


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
