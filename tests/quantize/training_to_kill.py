"""A tiny training for test_checkpoint.py, run as a process of its own: FOLDER RESULT [resume] [slow].

Float, then a quantized twin whose activations are trained with noise from torch's generator.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeconv.quantize import QuantPolicy, Stage, fit
from edgeconv.quantize.batches import Ahead, step_generator
from edgeconv.quantize.checkpoint import Checkpoints
from edgeconv.quantize.convert import make_twin
from edgeconv.quantize.layers import FloatLayers, Layers
from edgeconv.quantize.loop import pinned_threads


class Tiny(nn.Module):
    """Two convolutions with normalization and dropout between them."""

    def __init__(self, layers: Layers) -> None:
        super().__init__()
        self.input = layers.input_quantizer(signed=True)
        self.one, self.relu, self.two = layers.conv1d(1, 8, 5), layers.relu(), layers.conv1d(8, 1, 5, normalized=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.two(self.relu(self.one(self.input(x))))
        return y


def make_batch(stage: int, step: int) -> Tensor:
    """Signals that are to be smoothed."""
    return torch.from_numpy(step_generator(0, stage, step).normal(size=(16, 1, 64)).astype(np.float32))


def main(folder: str, result: str, *flags: str) -> None:
    """Train to the end and save all weights."""
    checkpoints = Checkpoints(folder, {"seed": 0}, resume="resume" in flags, every_s=0.0)
    with pinned_threads(1):
        torch.manual_seed(0)
        network = Tiny(FloatLayers())
        stages = (Stage("float", 60, 1e-2), Stage("quantization-aware", 60, 1e-3))
        for number, stage in enumerate(stages):
            if number == 1:
                network = make_twin(Tiny, network, QuantPolicy(4, 4), [make_batch(7, 0)])
            with Ahead(partial(make_batch, number)) as batches:

                def loss(network: nn.Module, step: int, batches: Ahead[Tensor] = batches) -> Tensor:
                    if "slow" in flags:
                        time.sleep(0.02)
                    x = batches(step)
                    noisy = x + 0.1 * torch.randn_like(x)
                    return F.mse_loss(network(noisy), F.avg_pool1d(x, 9, 1))

                fit(network, stage, loss, seed=3, checkpoints=checkpoints)
        torch.save(network.state_dict(), Path(result))
        checkpoints.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
