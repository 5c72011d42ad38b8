"""From the twin with real weights to the twin with integer weights, layer by layer and without gradients."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from edgeconv.models.pulse.bound import efficient_estimate
from edgeconv.models.pulse.network import KERNEL, PADDING, STRIDE, QuantPulseNet
from edgeconv.models.pulse.simulation import Pulses
from edgeconv.models.pulse.trained import to_real
from edgeconv.quantize.compensated import input_moments, round_weights

__all__ = ["round_network"]

# Rows that a layer's input moments are taken over: hundreds for each of its at most 513 unknowns.
_ROWS = 1 << 17
# Larger pulses than those seen must still fit: 4 % is far beyond what a larger sample adds to the largest activation.
_HEADROOM = 0.96
# A channel that is nearly always silent is not to be blown up.
_MOST = 8.0


@torch.no_grad()
def round_network(
    real: QuantPulseNet,
    quantized: QuantPulseNet,
    pulses: Pulses,
    mean: tuple[float, float],
    spread: tuple[float, float],
) -> None:
    """Fill `quantized` with the weights of `real`, rounded so that each layer makes up for its own errors.

    Every layer sees what the rounded layers before it really give it. The last layer is first fitted anew to the
    efficient estimates of `pulses`, weighted by their bound: that is the best linear readout of the rounded
    activations.

    Args:
        mean, spread: normalization of the outputs, time then energy.
    """
    real.eval()
    quantized.eval()
    x = to_real(pulses.config, pulses.samples)
    _use_whole_range(real, x)
    layers = list(zip(real.layers, quantized.layers, strict=True))
    for (source, target), activation, bits in zip(
        layers[:-1], quantized.activations, quantized.weight_bits, strict=False
    ):
        is_conv = source.weight.dim() == 3
        rows = _patches(x) if is_conv else x.flatten(1)
        every = max(1, len(rows) // _ROWS)
        flat = source.weight.flatten(1)
        weight, bias = round_weights(flat, source.bias, input_moments(rows[::every]), bits=bits)
        target.weight.copy_(weight.reshape(target.weight.shape))
        target.bias.copy_(bias)
        w = target.quant_weight().value
        sums = F.conv1d(x, w, bias, STRIDE, PADDING) if is_conv else F.linear(x.flatten(1), w, bias)
        x = activation(sums).value
    _fit_readout(x, quantized, pulses, np.array(mean), np.array(spread), quantized.weight_bits[-1])


def _use_whole_range(real: QuantPulseNet, x: Tensor) -> None:
    """Scale every channel so that its largest activation nearly reaches the top of the grid.

    ReLU commutes with positive factors, so the next layer divides them out again and the function stays; the steps of
    the grid become finer against what they carry (cross-layer equalization: Nagel et al., arXiv 1906.04721, 4.1).
    """
    for layer, following, activation in zip(real.layers[:-1], real.layers[1:], real.activations, strict=True):
        is_conv = layer.weight.dim() == 3
        sums = (
            F.conv1d(x, layer.weight, layer.bias, STRIDE, PADDING)
            if is_conv
            else F.linear(x.flatten(1), layer.weight, layer.bias)
        )
        largest = sums.transpose(0, 1).flatten(1).amax(1)
        top = activation(torch.tensor([1e9])).value.item()
        factor = (_HEADROOM * top / largest.clamp_min(1e-6)).clamp(1.0, _MOST)
        layer.weight.mul_(factor.reshape(-1, *[1] * (layer.weight.dim() - 1)))
        layer.bias.mul_(factor)
        columns = following.weight.reshape(len(following.weight), len(factor), -1)
        columns.div_(factor[None, :, None])
        # Rounding comes later: here the layers stay real, and what they give is clipped as on the grid.
        x = (sums.clamp(0, top).transpose(0, 1) * factor.reshape(-1, *[1] * (sums.dim() - 1))).transpose(0, 1)


def _patches(x: Tensor) -> Tensor:
    """What a convolution multiplies its weights with: (N·positions, channels·kernel)."""
    return F.pad(x, (PADDING, PADDING)).unfold(2, KERNEL, STRIDE).permute(0, 2, 1, 3).flatten(0, 1).flatten(1)


def _fit_readout(
    hidden: Tensor, quantized: QuantPulseNet, pulses: Pulses, mean: np.ndarray, spread: np.ndarray, bits: int
) -> None:
    """Weighted least squares from hidden activations to time and energy, then rounded like the other layers."""
    time, energy, bound = efficient_estimate(pulses)
    target = torch.from_numpy((np.stack([time, energy], 1) - mean) / spread)
    limits = (bound.time_ns, bound.energy)
    last = quantized.layers[-1]
    ones = torch.ones(len(hidden), 1, dtype=torch.float64)
    rows = torch.cat([hidden.double(), ones], 1)
    for output, limit in enumerate(limits):
        weights = torch.from_numpy((limit.mean() / limit) ** 2)
        moments = input_moments(hidden, weights)
        damped = moments + 1e-9 * moments.diagonal().mean() * torch.eye(len(moments), dtype=torch.float64)
        fitted = torch.linalg.solve(damped, (rows * weights[:, None]).T @ target[:, output] / len(rows))
        weight, bias = round_weights(fitted[None, :-1].float(), fitted[-1:].float(), moments, bits=bits)
        last.weight[output] = weight[0]
        last.bias[output] = bias[0]
