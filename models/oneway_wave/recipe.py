"""The training recipe: a float network on short roll-outs, then on longer ones, and its quantized twin on those.

A network that is trained on single steps meets its own errors in a roll-out for the first time. Here every step of
training feeds predictions back a few times, from first fields with a little noise, and all fields count. Small errors
that always point one way, such as those of rounded weights, add up with the square of the time: they show in long
roll-outs only, and are trained away there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from edgeconv.models.oneway_wave.config import WaveTraining
from edgeconv.models.oneway_wave.network import StepNet, balance_channels, roll_out, to_grid
from edgeconv.models.oneway_wave.trained import TrainedWave
from edgeconv.models.oneway_wave.windows import WaveData, load_data
from edgeconv.quantize.batches import Ahead, step_generator
from edgeconv.quantize.checkpoint import Checkpoints
from edgeconv.quantize.convert import make_twin
from edgeconv.quantize.family import Progress
from edgeconv.quantize.loop import fit, pinned_threads
from edgeconv.quantize.rounding import held_integers, round_convolutions

__all__ = ["train"]

_CALIBRATION_BATCHES = 16


def train(
    config: WaveTraining | None = None, *, progress: Progress | None = None, checkpoints: Checkpoints | None = None
) -> TrainedWave:
    """Train the float network and its quantized twin on simulated waves.

    The same configuration gives the same networks on the same machine, with checkpoints also when it was killed in
    between.

    Raises:
        EdgeconvError: the loss stopped being finite.
        ToolError: no simulated waves are stored and scikit-fem is not installed.
    """
    config = config or WaveTraining()
    data = load_data(config.waves, config.train_records, config.data_seed)
    stages = (config.float_stage, config.long_stage, config.twin_stage)
    total, frames = sum(stage.steps for stage in stages), config.network.frames

    def batches_of(stream: int, unroll: int) -> Callable[[int], tuple[Tensor, Tensor]]:
        starts = data.starts(frames + unroll)
        return lambda step: _batch(config, data, starts, unroll, step_generator(config.seed, stream, step))

    def run_stage(network: nn.Module, index: int, stream: int, unroll: int) -> None:
        with Ahead(batches_of(stream, unroll)) as batches:
            fit(
                network, stages[index], lambda net, step: _loss(net, *batches(step), frames), seed=config.seed + index,
                progress=progress, done=sum(stage.steps for stage in stages[:index]), total=total,
                checkpoints=checkpoints,
            )  # fmt: skip

    with pinned_threads(config.threads):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            network = StepNet(config.network)
        run_stage(network, 0, 1, config.unroll)
        run_stage(network, 1, 4, config.long_unroll)
        calibration = batches_of(2, config.unroll)
        states = [_states(*calibration(i), frames) for i in range(_CALIBRATION_BATCHES)]
        balance_channels(network, torch.cat(states[:4]))
        twin = make_twin(lambda layers: StepNet(config.network, layers), network, config.network_policy, states)
        round_convolutions(twin, torch.cat(states[: _CALIBRATION_BATCHES // 2]))
        with held_integers(twin):
            run_stage(twin, 2, 3, config.long_unroll)
    return TrainedWave(config, network, twin)


def _batch(
    config: WaveTraining, data: WaveData, starts: list[tuple[int, int]], unroll: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Fields (N, frames + unroll, H, W) and media (N, 2, H, W): turned, mirrored, of either sign, a little noisy."""
    frames = config.network.frames
    chosen = [starts[i] for i in rng.integers(len(starts), size=config.batch)]
    fields, medium = data.windows(chosen, frames + unroll)
    peak = np.abs(fields[:, :frames]).max((1, 2, 3), keepdims=True)
    fields = fields / np.maximum(peak, np.float32(1e-20)) * rng.choice(np.array([-1, 1], np.float32), size=peak.shape)
    noise = rng.normal(scale=config.noise, size=fields[:, :frames].shape).astype(np.float32)
    fields[:, :frames] += noise * (medium[:, :1] > 0)
    turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
    both = [np.rot90(array, turns, (2, 3)) for array in (fields, medium)]
    both = [array[..., ::-1] if mirror else array for array in both]
    return torch.from_numpy(both[0].copy()), torch.from_numpy(both[1].copy())


def _states(fields: Tensor, medium: Tensor, frames: int) -> Tensor:
    """What the network is given at the first step of a batch."""
    return torch.cat([to_grid(fields[:, :frames]), to_grid(medium)], 1)


def _loss(network: nn.Module, fields: Tensor, medium: Tensor, frames: int) -> Tensor:
    """Mean square error of a roll-out, relative to the mean square of the fields, in parts of 10⁻³."""
    after = fields[:, frames:]
    error = roll_out(network, fields[:, :frames], medium, after.shape[1]) - after
    relative = error.square().sum((1, 2, 3)) / after.square().sum((1, 2, 3)).clamp_min(1e-12)
    return (relative + 1e-12).sqrt().mean() * 1e3
