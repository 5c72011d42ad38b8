"""The training recipe: the float network on generated or real records, then its quantized twin, fine-tuned.

At demo size (the default) it takes minutes on two cores; a configuration of more records and steps, or a data set of
real ones, makes it a real training.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeconv.models.ecg_mamba.config import TrainConfig
from edgeconv.models.ecg_mamba.dataset import EcgDataset, positive_weights
from edgeconv.models.ecg_mamba.judge import generated
from edgeconv.models.ecg_mamba.network import EcgNet
from edgeconv.models.ecg_mamba.trained import TrainedEcg, to_millivolts
from edgeconv.quantize.batches import Ahead, step_generator
from edgeconv.quantize.checkpoint import Checkpoints
from edgeconv.quantize.convert import make_twin
from edgeconv.quantize.family import Progress
from edgeconv.quantize.layers import FloatLayers, Layers
from edgeconv.quantize.loop import fit, pinned_threads
from edgeconv.quantize.stage import Stage

__all__ = ["settle_normalization", "train"]


def train(
    config: TrainConfig | None = None,
    data: EcgDataset | None = None,
    *,
    progress: Progress | None = None,
    checkpoints: Checkpoints | None = None,
) -> TrainedEcg:
    """Train the float network and its quantized twin.

    Args:
        data: windows as `config.signal` prepares them; generated when None.

    Raises:
        EdgeconvError: the loss stopped being finite.
    """
    config = config or TrainConfig()
    data = data if data is not None else generated(config, config.records, config.seed)
    total = config.float_stage.steps + config.twin_stage.steps

    def build(layers: Layers) -> EcgNet:
        return EcgNet(layers, config.network, config.signal)

    with pinned_threads(config.threads):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            real = build(FloatLayers())
        weights = torch.from_numpy(positive_weights(data.labels)).float()
        done = 0

        def train_stage(network: nn.Module, stage: Stage, number: int) -> None:
            with Ahead(partial(_batch, config, data, number)) as batches:
                fit(
                    network, stage, _loss(batches, weights), seed=config.seed, progress=progress, done=done,
                    total=total, checkpoints=checkpoints,
                )  # fmt: skip

        train_stage(real, config.float_stage, 1)
        done = config.float_stage.steps
        windows = _calibration(config, data)
        settle_normalization(real, windows)
        twin = make_twin(build, real, config.policy, windows)
        train_stage(twin, config.twin_stage, 2)
    return TrainedEcg(config.signal, real, twin)


@torch.no_grad()
def settle_normalization(network: nn.Module, batches: list[Tensor]) -> None:
    """Mean and variance of every batch normalization over `batches`, for the weights as they are now.

    The running averages of a short training still hold values of its first steps, and where gates make values small
    those are all that they hold.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the average over all batches
    network.train()
    for batch in batches:
        network(batch)
    network.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _batch(config: TrainConfig, data: EcgDataset, stage: int, step: int) -> tuple[Tensor, Tensor]:
    chosen = step_generator(config.seed, stage, step).integers(0, len(data), config.batch)
    labels = torch.from_numpy(data.labels[data.record[chosen]].astype(np.float32))
    return to_millivolts(config.signal, data.inputs[chosen]), labels


def _calibration(config: TrainConfig, data: EcgDataset) -> list[Tensor]:
    count = min(config.calibration, len(data))
    chosen = step_generator(config.seed, 3, 0).permutation(len(data))[:count]
    return [
        to_millivolts(config.signal, data.inputs[part]) for part in np.array_split(chosen, -(-count // config.batch))
    ]


def _loss(batches: Callable[[int], tuple[Tensor, Tensor]], weights: Tensor) -> Callable[[nn.Module, int], Tensor]:
    def loss(network: nn.Module, step: int) -> Tensor:
        x, labels = batches(step)
        return F.binary_cross_entropy_with_logits(network(x), labels, pos_weight=weights)

    return loss
