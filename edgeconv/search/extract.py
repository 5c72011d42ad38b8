"""A network taken out of a supernet: an ordinary quantized network, its normalization measured anew, ready to train on.

Statistics of batch normalization belong to one network: with those of another the ranking of networks is lost. Here
they are averaged over batches for each network that is taken out, then folded, and ranges are calibrated as for any
network that is quantized. What a search judges is this network, the one that is compiled.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgeconv.quantize.convert import make_twin
from edgeconv.quantize.export import IntegerInput
from edgeconv.quantize.layers import FloatLayers
from edgeconv.search.network import ElasticNetwork, policy_of
from edgeconv.search.space import Values
from edgeconv.search.supernet import SuperNet

__all__ = ["extract", "extract_float"]


@torch.no_grad()
def extract_float(
    supernet: SuperNet, values: Values, integers: IntegerInput, batches: Sequence[Tensor]
) -> ElasticNetwork:
    """The float network of these values with statistics of its own over all batches, in evaluation mode."""
    network = ElasticNetwork(FloatLayers(), supernet.family, values, integers)
    *convs, hidden, readout = supernet.family.layers(values)
    for index, each in enumerate(convs):
        layer, norm = network.convs[index], supernet.norms[index]
        layer.conv.weight.copy_(supernet.conv_weight(index, each.inputs, each.outputs, each.kernel))
        layer.norm.weight.copy_(norm.weight[: each.outputs])
        layer.norm.bias.copy_(norm.bias[: each.outputs])
        layer.norm.momentum = None  # the mean over all batches
    depth = int(values["depth"])
    network.hidden.weight.copy_(supernet.hidden_weight(depth, convs[-1].outputs, hidden.outputs))
    network.hidden.bias.copy_(supernet.hidden[str(depth)].bias[: hidden.outputs])
    network.readout.weight.copy_(supernet.readout.weight[:, : readout.inputs])
    network.readout.bias.copy_(supernet.readout.bias)
    network.train()
    for batch in batches:
        network(batch)
    return network.eval()


def extract(
    supernet: SuperNet,
    values: Values,
    integers: IntegerInput,
    batches: Sequence[Tensor],
    units: tuple[Sequence[float], Sequence[float]] | None = None,
    scales: str = "float",
) -> nn.Module:
    """The calibrated quantized network of these values, in evaluation mode.

    Args:
        units: mean and spread of each output, by which a training normalized its targets.
        scales: "float" or "power-of-two".
    """
    network = extract_float(supernet, values, integers, batches)
    if units is not None:
        network.give_units(units)
    family = supernet.family
    policy = policy_of(family, values, scales)
    return make_twin(lambda layers: ElasticNetwork(layers, family, values, integers), network, policy, batches)
