"""A whole space with every genome evaluated: a trained pulse network, quantized after training in every way.

Weights of each layer at 2, 3, 4, 6 or 8 bits and activations at 4, 6 or 8: 46,875 networks. The task metric is real,
the time resolution on held-out pulses, and the cost is counted exactly, so claims about searches are exact, too.
Layers are evaluated as a tree: networks that begin alike share what their first layers computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from edgeconv.models import pulse
from edgeconv.models.pulse.config import STRIDE, TrainConfig
from edgeconv.models.pulse.network import PulseNet
from edgeconv.models.pulse.simulation import Pulses
from edgeconv.models.pulse.trained import to_real
from edgeconv.quantize import Stage
from edgeconv.search.engines import Job, Outcome
from edgeconv.search.problem import Metric
from edgeconv.search.space import Choice, Space, Values

LAYERS = ("conv1", "conv2", "conv3", "conv4", "hidden", "readout")
MACS = (5120, 81920, 81920, 81920, 32768, 128)
INPUT_BITS = 12

TIME = Metric("time_resolution", "s", "root mean square error of the time")
COST = Metric("mac_bits", "", "multiply-accumulates times bits of both factors")


@dataclass(frozen=True)
class _Products:
    """Binary products of each layer: what a product of two bit widths is cannot be read off a one-hot row."""

    def terms(self, values: Values) -> Sequence[float]:
        return [product / 1e6 for product in products(values)]


def products(values: Values) -> list[int]:
    inputs = [INPUT_BITS] + [int(values["activations"])] * 5
    return [m * int(values[f"{layer}.weights"]) * a for m, layer, a in zip(MACS, LAYERS, inputs, strict=True)]


SPACE = Space(
    "pulse after training",
    (
        Choice("activations", (4, 6, 8), bits=True),
        *(Choice(f"{layer}.weights", (2, 3, 4, 6, 8), bits=True) for layer in LAYERS),
    ),
    _Products(),
)


@dataclass
class Table:
    """An `Engine` that looks everything up."""

    metrics: Mapping[str, Mapping[str, float]]
    looked_up: int = 0

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        # The last one first: a search must not depend on who is faster.
        for job in reversed(jobs):
            self.looked_up += 1
            yield Outcome(job.position, self.metrics[SPACE.text(SPACE.genome(job.values))])

    def close(self) -> None:
        pass


@cache
def network(seed: int = 0) -> PulseNet:
    """The trained float network; half a minute."""
    config = replace(TrainConfig(), twin_stage=Stage("none", 1, 1e-3), rounding_pulses=2048, seed=seed)
    return pulse.train(config).float_network


@cache
def build(pulses: int = 1024, seed: int = 0) -> Table:
    """Evaluate all networks on pulses of this seed (minutes); the network that is quantized is always the same."""
    trained, data = network(), pulse.heldout(pulses, seed).truth
    found: dict[str, Mapping[str, float]] = {}
    with torch.no_grad():
        for activation_bits in SPACE.choices[0].values:
            for values, answers in _networks(trained, data, int(activation_bits)):
                error = answers[:, 0].double().numpy() - data.time_ns
                # Rounding shifts the mean, which a bias takes out again (Nagel et al., arXiv 1906.04721, section 4.2).
                cost = {"time_resolution": 1e-9 * float(error.std()), "mac_bits": float(sum(products(values)))}
                found[SPACE.text(SPACE.genome(values))] = cost
    assert len(found) == SPACE.size
    return Table(found)


def _networks(network: PulseNet, data: Pulses, activation_bits: int) -> Iterator[tuple[dict[str, int], Tensor]]:
    x = to_real(data.config, data.samples)
    tops = _tops(network, x)

    def grow(level: int, x: Tensor, values: dict[str, int]) -> Iterator[tuple[dict[str, int], Tensor]]:
        if level == len(LAYERS):
            yield values, x
            return
        layer = network.layers[level]
        for bits in (2, 3, 4, 6, 8):
            largest = 2 ** (bits - 1) - 1
            scale = layer.weight.abs().amax(tuple(range(1, layer.weight.dim())), keepdim=True) / largest
            weight = torch.round(layer.weight / scale) * scale
            y = _apply(x, weight, layer.bias)
            if level < len(LAYERS) - 1:
                step = tops[level] / (2**activation_bits - 1)
                y = torch.clamp(torch.round(y / step), 0, 2**activation_bits - 1) * step
            yield from grow(level + 1, y, values | {f"{LAYERS[level]}.weights": bits})

    yield from grow(0, x, {"activations": activation_bits})


def _tops(network: PulseNet, x: Tensor) -> list[float]:
    tops = []
    for layer in network.layers[:-1]:
        x = F.relu(_apply(x, layer.weight, layer.bias))
        tops.append(x.max().item())
    return tops


def _apply(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    if weight.dim() == 3:
        return F.conv1d(x, weight, bias, STRIDE, weight.shape[2] // 2)
    return F.linear(x.flatten(1), weight, bias)


def costs_of(table: Table) -> np.ndarray:
    return np.array([[m["time_resolution"], m["mac_bits"]] for m in table.metrics.values()])
