"""Training of networks that are written with `Layers`: in float, then the calibrated twin, for any task on pulses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeconv.models.pulse.config import LayeredConfig
from edgeconv.models.pulse.simulation import PulseConfig
from edgeconv.models.pulse.trained import TrainedOnPulses, pulse_interface
from edgeconv.quantize.batches import Ahead, step_generator
from edgeconv.quantize.checkpoint import Checkpoints
from edgeconv.quantize.convert import make_twin
from edgeconv.quantize.family import Progress
from edgeconv.quantize.layers import FloatLayers, Layers
from edgeconv.quantize.loop import fit, pinned_threads

__all__ = ["Batch", "TrainedNetworks", "train_layered"]

Batch = tuple[Tensor, Tensor, Tensor]
"""Real samples, targets of the network's outputs, and the weights of their errors."""

_HUBER = 3.0
_CALIBRATION_BATCHES = 4


@dataclass
class TrainedNetworks(TrainedOnPulses):
    """A float network and its quantized twin.

    Attributes:
        config: the detector channel.
        output: name of the graph's output.
        float_network, quantized_network: in evaluation mode.
    """

    config: PulseConfig
    output: str
    float_network: nn.Module
    quantized_network: nn.Module

    def interface(self) -> dict[str, Any]:
        """As `pulse_interface`."""
        return pulse_interface(self.config, self.output)


def train_layered(
    config: LayeredConfig,
    build: Callable[[Layers], nn.Module],
    batch: Callable[[np.random.Generator], Batch],
    output: str,
    *,
    progress: Progress | None = None,
    checkpoints: Checkpoints | None = None,
) -> TrainedNetworks:
    """Train the network that `build` makes, and its twin.

    Args:
        batch: of a step, from that step's random numbers alone.
        output: name of the graph's output.
    """
    total = config.float_stage.steps + config.twin_stage.steps
    with pinned_threads(config.threads):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            real = build(FloatLayers())
            _initialize(real)
        with Ahead(partial(_numbered, config, batch, 1)) as batches:
            fit(
                real, config.float_stage, _loss(batches), seed=config.seed, progress=progress, total=total,
                checkpoints=checkpoints,
            )  # fmt: skip
        seen = [_numbered(config, batch, 3, step)[0] for step in range(_CALIBRATION_BATCHES)]
        twin = make_twin(build, real, config.policy, seen)
        with Ahead(partial(_numbered, config, batch, 2)) as batches:
            fit(
                twin, config.twin_stage, _loss(batches), seed=config.seed, progress=progress,
                done=config.float_stage.steps, total=total, checkpoints=checkpoints,
            )  # fmt: skip
    return TrainedNetworks(config.pulses, output, real, twin)


def _initialize(network: nn.Module) -> None:
    """Weights under which ReLU keeps the size of what passes (He et al., arXiv 1502.01852)."""
    for layer in network.modules():
        if isinstance(layer, (nn.Conv1d, nn.ConvTranspose1d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _numbered(config: LayeredConfig, batch: Callable[[np.random.Generator], Batch], stage: int, step: int) -> Batch:
    return batch(step_generator(config.seed, stage, step))


def _loss(batches: Callable[[int], Batch]) -> Callable[[nn.Module, int], Tensor]:
    def loss(network: nn.Module, step: int) -> Tensor:
        x, target, weight = batches(step)
        error = (network(x) - target) * weight
        return F.huber_loss(error, torch.zeros_like(error), delta=_HUBER)

    return loss
