"""From the twin with real weights to the twin with integer weights, layer by layer and without gradients."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeconv.models.pulse.bound import efficient_estimate
from edgeconv.models.pulse.config import STRIDE
from edgeconv.models.pulse.network import QuantPulseNet, parts_of, sums_of, top_of, use_whole_range
from edgeconv.models.pulse.simulation import Pulses
from edgeconv.models.pulse.trained import to_real
from edgeconv.quantize.compensated import input_moments, refit_weights, round_weights

__all__ = ["round_network"]

# Rows that a layer's input moments are taken over: hundreds for each of its unknowns, of which there are hundreds.
_ROWS = 1 << 17
# Of least squares: large weights that cancel each other fit best, and are rounded worst.
_DAMPINGS = (1e-9, 1e-8, 1e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4)
# From these bits on the rounding of weights moves less than what a refit over finitely many rows would add.
_FINE_BITS = 7


@torch.no_grad()
def round_network(
    real: QuantPulseNet,
    quantized: QuantPulseNet,
    pulses: Pulses,
    mean: tuple[float, float],
    spread: tuple[float, float],
) -> None:
    """Fill `quantized` with the weights of `real`, rounded so that each layer makes up for its own errors.

    Every layer sees what the rounded layers before it really give it; one of few bits is first fitted to give with that
    what it would have given. The last layer is fitted anew to the efficient estimates of `pulses`, weighted by their
    bound: that is the best linear readout of the rounded activations.

    Args:
        mean, spread: normalization of the outputs, time then energy.
    """
    real.eval()
    quantized.eval()
    x = to_real(pulses.config, pulses.samples)
    use_whole_range(real, x)
    y = ideal = x
    for which, activation in enumerate(quantized.activations):
        sources, targets = parts_of(real, which), parts_of(quantized, which)
        rows, ideal_rows = (_rows(sources, values, x) for values in (y, ideal))
        weight, bias = torch.cat([part.weight.flatten(1) for part in sources], 1), sources[0].bias
        groups = _groups(quantized, targets)
        if min(bits for _, bits in groups) < _FINE_BITS:
            weight, bias = refit_weights(weight, bias, ideal_rows, rows)
        _fill(targets, *round_weights(weight, bias, input_moments(rows), groups=groups), groups)
        y = activation(sums_of(targets, y, x)).value
        ideal = sums_of(sources, ideal, x).clamp(0, top_of(activation))
    own = parts_of(real, len(real.layers) - 1)
    _fit_readout(y, x, own, quantized, pulses, np.array(mean), np.array(spread))


def _groups(quantized: QuantPulseNet, parts: list[nn.Module]) -> list[tuple[int, int]]:
    """Inputs and bits of each of the layers that are added up."""
    names = {module: name for name, module in quantized.named_modules()}
    return [(part.weight[0].numel(), quantized.weight_bits[names[part]]) for part in parts]


def _fill(parts: list[nn.Module], weight: Tensor, bias: Tensor, groups: list[tuple[int, int]]) -> None:
    for part, columns in zip(parts, weight.split([inputs for inputs, _ in groups], 1), strict=True):
        part.weight.copy_(columns.reshape(part.weight.shape))
    parts[0].bias.copy_(bias)


def _rows(parts: list[nn.Module], y: Tensor, x: Tensor) -> Tensor:
    """What the layers of a stage multiply their weights with, at most about `_ROWS` of them: (rows, inputs)."""
    weight = parts[0].weight
    if weight.dim() == 2:
        return y.flatten(1) if len(parts) == 1 else torch.cat([y.flatten(1), x.flatten(1)], 1)
    padding = weight.shape[2] // 2
    windows = F.pad(y, (padding, padding)).unfold(2, weight.shape[2], STRIDE)
    rows = windows.permute(0, 2, 1, 3).flatten(0, 1).flatten(1)
    return rows[:: max(1, len(rows) // _ROWS)]


def _fit_readout(
    hidden: Tensor,
    x: Tensor,
    own: list[nn.Module],
    quantized: QuantPulseNet,
    pulses: Pulses,
    mean: np.ndarray,
    spread: np.ndarray,
) -> None:
    """Weighted least squares from hidden activations to time and energy, then rounded like the other layers.

    Args:
        own: the last layer with real weights; those of uncertainties are rounded as they are.
    """
    time, energy, bound = efficient_estimate(pulses)
    target = torch.from_numpy((np.stack([time, energy], 1) - mean) / spread)
    parts = parts_of(quantized, len(quantized.layers) - 1)
    inputs, groups = _rows(parts, hidden, x), _groups(quantized, parts)
    rows = torch.cat([inputs.double(), torch.ones(len(hidden), 1, dtype=torch.float64)], 1)
    rounded = []
    for output, limit in enumerate((bound.time_ns, bound.energy)):
        importance = torch.from_numpy((limit.mean() / limit) ** 2)
        moments = input_moments(inputs, importance)
        wanted = (rows * importance[:, None]).T @ target[:, output] / len(rows)
        tried = [_readout(moments, wanted, part, groups) for part in _DAMPINGS]
        rounded.append(min(tried, key=lambda one: _missed(one[0], one[1], moments, wanted)))
    if len(own[0].bias) > len(rounded):
        weight, bias = torch.cat([part.weight for part in own], 1)[2:], own[0].bias[2:]
        rounded.append(round_weights(weight, bias, input_moments(inputs), groups=groups))
    weights, biases = zip(*rounded, strict=True)
    _fill(parts, torch.cat(weights), torch.cat(biases), groups)


def _readout(moments: Tensor, wanted: Tensor, part: float, groups: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """Rounded least squares weights, with `part` of the mean diagonal added to keep them small."""
    damped = moments + part * moments.diagonal().mean() * torch.eye(len(moments), dtype=torch.float64)
    fitted = torch.linalg.solve(damped, wanted)
    return round_weights(fitted[None, :-1], fitted[-1:], moments, groups=groups)


def _missed(weight: Tensor, bias: Tensor, moments: Tensor, wanted: Tensor) -> float:
    """Mean square error of a readout, less what no readout changes."""
    whole = torch.cat([weight[0], bias]).double()
    return float(whole @ moments @ whole - 2 * whole @ wanted)
