"""Networks of an elastic family, written once: the float network and its quantized twin."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgeconv.quantize.export import IntegerInput
from edgeconv.quantize.layers import Layers
from edgeconv.quantize.policy import LayerRule, QuantPolicy
from edgeconv.search.elastic import ElasticConvNet
from edgeconv.search.space import Values

__all__ = ["ElasticNetwork", "policy_of"]


class ElasticNetwork(nn.Module):
    """One network of the family.

    Args:
        layers: `FloatLayers` or `QuantLayers`.
        integers: what the integers of the input mean.
    """

    def __init__(self, layers: Layers, family: ElasticConvNet, values: Values, integers: IntegerInput) -> None:
        super().__init__()
        *convs, hidden, readout = family.layers(values)
        self.entry = layers.input_quantizer(integers)
        self.convs = nn.ModuleList(
            layers.conv1d(each.inputs, each.outputs, each.kernel, stride=each.stride, padding=each.kernel // 2)
            for each in convs
        )
        self.relus = nn.ModuleList(layers.relu() for _ in convs)
        self.hidden = layers.linear(hidden.inputs, hidden.outputs)
        self.hidden_relu = layers.relu()
        self.readout = layers.linear(readout.inputs, readout.outputs)

    @torch.no_grad()
    def give_units(self, units: tuple[Sequence[float], Sequence[float]]) -> None:
        """Let the outputs be mean + spread·output from now on: units are the mean and spread of each."""
        mean, spread = (torch.tensor(list(each)) for each in units)
        self.readout.weight.mul_(spread[:, None])
        self.readout.bias.mul_(spread).add_(mean)

    def forward(self, x: Tensor) -> Tensor:
        x = self.entry(x)
        for conv, relu in zip(self.convs, self.relus, strict=True):
            x = relu(conv(x))
        return self.readout(self.hidden_relu(self.hidden(x.flatten(1))))  # type: ignore[no-any-return]


def policy_of(family: ElasticConvNet, values: Values, scales: str = "float") -> QuantPolicy:
    """The bits of these values as a quantization policy for `ElasticNetwork`; scales as of `QuantPolicy`."""
    *convs, hidden, readout = family.layers(values)
    rules = [LayerRule("hidden", weight_bits=hidden.weight_bits), LayerRule("readout", weight_bits=readout.weight_bits)]
    rules.append(LayerRule("hidden_relu", activation_bits=hidden.activation_bits))
    for index, each in enumerate(convs):
        rules.append(LayerRule(f"convs.{index}", weight_bits=each.weight_bits))
        rules.append(LayerRule(f"relus.{index}", activation_bits=each.activation_bits))
    return QuantPolicy(scales=scales, calibration="mse", rules=tuple(rules))
