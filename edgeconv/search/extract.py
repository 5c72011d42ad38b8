"""A network taken out of a supernet: an ordinary quantized network, its normalization measured anew, ready to train on.

Statistics of batch normalization belong to one network: with those of another the ranking of networks is lost. Here
they are averaged over batches for each network that is taken out, then folded, ranges are calibrated as for any network
that is quantized, and the last layer is fitted anew. What a search judges is this network, the one that is compiled.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgeconv.quantize.convert import make_twin
from edgeconv.quantize.export import IntegerInput
from edgeconv.quantize.layers import FloatLayers
from edgeconv.search.network import ElasticNetwork, policy_of
from edgeconv.search.readout import fit_readout, inputs_of
from edgeconv.search.space import Values
from edgeconv.search.supernet import SuperNet
from edgeconv.search.supernet_training import Batch

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
    batches: Sequence[Batch],
    units: tuple[Sequence[float], Sequence[float]] | None = None,
    scales: str = "float",
) -> nn.Module:
    """The calibrated quantized network of these values, in evaluation mode.

    Args:
        batches: inputs, targets and weights of errors.
        units: mean and spread of each output, by which a training normalized its targets.
        scales: "float" or "power-of-two".
    """
    inputs, targets, weights = (tuple(column) for column in zip(*batches, strict=True))
    network = extract_float(supernet, values, integers, inputs)
    family = supernet.family
    policy = policy_of(family, values, scales)

    def twin() -> ElasticNetwork:
        return make_twin(lambda layers: ElasticNetwork(layers, family, values, integers), network, policy, inputs)

    rounded = twin()
    # Fitted to what the rounded network hands on, then rounded itself.
    weight, bias = fit_readout(inputs_of(rounded.readout, rounded, inputs), torch.cat(targets), torch.cat(weights))
    with torch.no_grad():
        network.readout.weight.copy_(weight)
        network.readout.bias.copy_(bias)
    if units is not None:
        network.give_units(units)
    return twin()
