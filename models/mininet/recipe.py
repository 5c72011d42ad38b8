"""The training recipe: depth and camera motion from triplets of pictures alone, then the quantized twin on the same.

The network of motion is trained beside the one of depth and goes on beside the twin; nobody needs it afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from edgeconv.models.mininet.config import DepthTraining
from edgeconv.models.mininet.network import MiniNet
from edgeconv.models.mininet.selfsupervised import PoseNet, Projector, inverse_motion, motion_matrix, triplet_loss
from edgeconv.models.mininet.trained import TrainedDepth
from edgeconv.models.mininet.triplets import Triplets, load_triplets, training_drives
from edgeconv.quantize.batches import Ahead, step_generator
from edgeconv.quantize.checkpoint import Checkpoints
from edgeconv.quantize.convert import make_twin
from edgeconv.quantize.family import Progress
from edgeconv.quantize.layers import FloatLayers, Layers
from edgeconv.quantize.loop import fit, pinned_threads
from edgeconv.quantize.stage import Stage

__all__ = ["train"]

_CALIBRATION_BATCHES = 8


class DepthAndMotion(nn.Module):
    """The two networks that are trained together."""

    def __init__(self, depth: MiniNet, motion: PoseNet) -> None:
        super().__init__()
        self.depth, self.motion = depth, motion


def train(
    config: DepthTraining | None = None,
    data: Triplets | None = None,
    *,
    progress: Progress | None = None,
    checkpoints: Checkpoints | None = None,
) -> TrainedDepth:
    """Train the float network and its quantized twin; no depth is looked at.

    The same configuration gives the same networks on the same machine, with checkpoints also when it was killed in
    between.

    Args:
        data: triplets at the size that `config.drives` states; those of the configured drives when None.

    Raises:
        EdgeconvError: the loss stopped being finite.
        InputError: the drives' files are missing or malformed.
    """
    config = config or DepthTraining()
    data = data if data is not None else load_triplets(training_drives(config), config)
    total = config.float_stage.steps + config.twin_stage.steps

    def build(layers: Layers) -> MiniNet:
        return MiniNet(config.network, layers)

    with pinned_threads(config.threads):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            network, motion = build(FloatLayers()), PoseNet()

        def train_stage(depth: MiniNet, stage: Stage, number: int, done: int) -> None:
            with Ahead(partial(_batch, config, data, number)) as batches:
                settle = 0 if done else config.settle
                fit(
                    DepthAndMotion(depth, motion), stage, _loss(batches, config, settle), seed=config.seed,
                    progress=progress, done=done, total=total, checkpoints=checkpoints,
                )  # fmt: skip

        train_stage(network, config.float_stage, 1, 0)
        pictures = [_batch(config, data, 2, i)[0][:, 1] for i in range(_CALIBRATION_BATCHES)]
        twin = make_twin(build, network, config.policy, pictures)
        train_stage(twin, config.twin_stage, 3, config.float_stage.steps)
    return TrainedDepth(config, network, twin)


def _batch(config: DepthTraining, data: Triplets, stage: int, step: int) -> tuple[Tensor, Tensor]:
    """Triplets (N, 3, 3, H, W) in [0, 1) and cameras (N, 3, 3)."""
    pictures, intrinsics = data.batch(config.batch, step_generator(config.seed, stage, step))
    return torch.from_numpy(pictures).float() / 256, torch.from_numpy(intrinsics)


def _loss(
    batches: Callable[[int], tuple[Tensor, Tensor]], config: DepthTraining, settle: int
) -> Callable[[nn.Module, int], Tensor]:
    def loss(networks: nn.Module, step: int) -> Tensor:
        triplets, intrinsics = batches(step)
        before, target, after = triplets.unbind(1)
        # The later picture comes second always, so that the network of motion sees one direction of driving.
        way = motion_matrix(networks.motion(torch.cat([before, target]), torch.cat([target, after])))
        motions = [inverse_motion(way[: len(target)]), way[len(target) :]]
        projector = Projector(intrinsics, *target.shape[2:])
        weights = config.loss if step >= settle else replace(config.loss, leave_unmoved=False)
        return triplet_loss(networks.depth(target), motions, target, [before, after], projector, weights)

    return loss
