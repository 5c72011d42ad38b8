"""Training of networks that are written with `Layers`: in float, then the calibrated twin, for any task on pulses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from edgeconv.errors import InputError
from edgeconv.models.pulse.config import SAMPLES, LayeredConfig
from edgeconv.models.pulse.simulation import PulseConfig
from edgeconv.models.pulse.trained import INPUT, integer_input, to_real
from edgeconv.quantize.batches import Ahead, step_generator
from edgeconv.quantize.checkpoint import Checkpoints
from edgeconv.quantize.convert import make_twin
from edgeconv.quantize.export import export_float, export_qcdq, export_qonnx
from edgeconv.quantize.family import Progress
from edgeconv.quantize.layers import FloatLayers, Layers
from edgeconv.quantize.loop import fit, pinned_threads

__all__ = ["Batch", "TrainedNetworks", "train_layered"]

Batch = tuple[Tensor, Tensor, Tensor]
"""Real samples, targets of the network's outputs, and the weights of their errors."""

_HUBER = 3.0
_CALIBRATION_BATCHES = 4
_CHUNK = 2048


@dataclass
class TrainedNetworks:
    """A float network and its quantized twin; implements `TrainedModel`.

    Attributes:
        config: the detector channel.
        output: name of the graph's output.
        float_network, quantized_network: in evaluation mode.
    """

    config: PulseConfig
    output: str
    float_network: nn.Module
    quantized_network: nn.Module

    def predict_float(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Answers of the float network to ADC codes (N, 1, 128)."""
        return self._predict(self.float_network, inputs)

    def predict_quantized(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Answers of the quantized network as torch computes them."""
        return self._predict(self.quantized_network, inputs)

    @torch.no_grad()
    def _predict(self, network: nn.Module, inputs: NDArray[Any]) -> NDArray[np.float32]:
        if inputs.shape[1:] != (1, SAMPLES) or inputs.dtype != self.config.dtype:
            raise InputError(
                f"pulses of shape {inputs.shape} and type {inputs.dtype}",
                expected=f"(N, 1, {SAMPLES}) of {self.config.dtype}",
            )
        chunks = [inputs[start : start + _CHUNK] for start in range(0, len(inputs), _CHUNK)]
        return np.concatenate([network(to_real(self.config, chunk)).numpy() for chunk in chunks])

    def export_qcdq(self, path: str | Path) -> Path:
        """Write the quantized network as QCDQ ONNX."""
        return export_qcdq(self.quantized_network, _example(), path, **self._interface())

    def export_qonnx(self, path: str | Path) -> Path:
        """Write the quantized network as QONNX."""
        return export_qonnx(self.quantized_network, _example(), path, **self._interface())

    def export_float(self, path: str | Path) -> Path:
        """Write the float network as plain ONNX."""
        return export_float(self.float_network, _example(), path, **self._interface())

    def _interface(self) -> dict[str, Any]:
        return {"input_name": INPUT, "output_name": self.output, "integers": integer_input(self.config)}


def _example() -> Tensor:
    return torch.zeros(1, 1, SAMPLES)


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
