"""Weights of a twin's convolutions rounded once and for good: errors made up for, then scales and biases trained.

Rounded to nearest, weights err the same way at every place and in every sample, and a network that feeds its answers
back adds that up. Where inputs are smooth most of it can be undone by the weights beside (`compensated`). Training with
weights that move flips integers at every step, and with them those errors; held integers let the scale of each channel
and the biases, which are fine, take up what is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeconv.quantize.compensated import input_moments, round_weights
from edgeconv.quantize.twin import QuantWeighted, value_of

__all__ = ["held_integers", "round_convolutions"]

# Places that a layer's input moments are taken over: hundreds for each of its weights.
_ROWS = 20_000


@torch.no_grad()
def round_convolutions(twin: nn.Module, inputs: Tensor) -> None:
    """Put the weights of a calibrated twin on their grids, the errors of each output compensated; biases follow.

    Layers come in the order in which they run, and each sees what the rounded ones before it give. Where scales are
    powers of two, or one for a whole layer, they stay, and so do the weights, which round to nearest.

    Args:
        twin: in evaluation mode, of 2-D convolutions with padding of zeros, stride and dilation 1.
        inputs: of the network.
    """
    layers = {name: module for name, module in twin.named_modules() if isinstance(module, QuantWeighted)}
    for name in _inputs_of(twin, layers, inputs):
        values = _inputs_of(twin, {name: layers[name]}, inputs)[name]
        _round_layer(layers[name], values)


def _inputs_of(twin: nn.Module, layers: dict[str, QuantWeighted], inputs: Tensor) -> dict[str, Tensor]:
    """What some layers read, in the order in which they run."""
    found: dict[str, Tensor] = {}
    handles = [
        layer.register_forward_pre_hook(lambda _, arguments, name=name: found.update({name: value_of(arguments[0])}))
        for name, layer in layers.items()
    ]
    twin(inputs)
    for handle in handles:
        handle.remove()
    return found


def _round_layer(module: QuantWeighted, values: Tensor) -> None:
    layer, groups, quantizer = module.layer, module.layer.groups, module.weight_quantizer
    if quantizer.power_of_two or not quantizer.log2_scale.dim():
        return
    patches = F.unfold(values, layer.kernel_size, padding=layer.padding).transpose(1, 2).flatten(0, 1)
    # A step that shares no factor with the extents walks over all places.
    patches = patches[:: max(1, len(patches) // _ROWS) | 1]
    real = layer.weight.flatten(1)
    bias = real.new_zeros(len(real)) if layer.bias is None else layer.bias
    weights, biases = [], []
    for rows, weight, offset in zip(patches.chunk(groups, 1), real.chunk(groups), bias.chunk(groups), strict=True):
        moments = input_moments(rows)
        if layer.bias is None:
            # Nothing to put a mean into: without moments with the constant it stays 0.
            moments[-1, :-1] = moments[:-1, -1] = 0
        rounded, moved = round_weights(weight, offset, moments, bits=quantizer.high.bit_length() + 1)
        weights.append(rounded)
        biases.append(moved)
    weight = torch.cat(weights)
    layer.weight.copy_(weight.reshape(layer.weight.shape))
    if layer.bias is not None:
        layer.bias.copy_(torch.cat(biases))
    quantizer.set_top(weight.abs().amax(1).reshape(quantizer.log2_scale.shape))


@contextmanager
def held_integers(twin: nn.Module) -> Iterator[None]:
    """Hold the integers of all weights while scales and biases are trained; afterwards weights are what they mean."""
    layers = [module for module in twin.modules() if isinstance(module, QuantWeighted)]
    with torch.no_grad():
        for module in layers:
            module.weight_quantizer.hold(module.layer.weight)
            module.layer.weight.requires_grad_(False)
    try:
        yield
    finally:
        with torch.no_grad():
            for module in layers:
                quantizer = module.weight_quantizer
                module.layer.weight.copy_(quantizer(module.layer.weight)[0]).requires_grad_(True)
                quantizer.integers = None
