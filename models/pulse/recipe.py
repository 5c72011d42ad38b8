"""The training recipe: a float network, and its quantized twin in two stages.

Three things make two minutes enough. The target of the regression is the estimate that meets the Cramér–Rao bound for
the same noisy waveform (`efficient_estimate`), so that the loss can go to zero and gradients do not drown in noise that
nobody can remove. Errors are measured in units of each pulse's own bound. And the twin learns with quantized
activations from its first step, to spread its information over so many activations that their rounding averages out;
its weights are rounded at the end, each error made up for by the weights still to come.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeconv.models.pulse.bound import efficient_estimate
from edgeconv.models.pulse.config import TrainConfig
from edgeconv.models.pulse.network import PulseNet, QuantPulseNet, spread_channels
from edgeconv.models.pulse.rounding import round_network
from edgeconv.models.pulse.simulation import PulseConfig, simulate
from edgeconv.models.pulse.trained import TrainedPulse, to_real
from edgeconv.quantize.batches import Ahead, step_generator
from edgeconv.quantize.checkpoint import Checkpoints
from edgeconv.quantize.family import Progress
from edgeconv.quantize.loop import fit, pinned_threads

__all__ = ["normalization", "train", "training_batch"]

# Beyond three standard deviations of the bound errors count linearly: early steps are then no explosion.
_HUBER = 3.0


def train(
    config: TrainConfig | None = None,
    *,
    progress: Progress | None = None,
    checkpoints: Checkpoints | None = None,
) -> TrainedPulse:
    """Train the float network and its quantized twin on simulated pulses.

    Takes about two minutes on two idle cores with the default configuration. The same configuration gives the same
    networks on the same machine, with checkpoints also when it was killed in between.

    Raises:
        EdgeconvError: the loss stopped being finite.
    """
    config = config or TrainConfig()
    total = config.float_stage.steps + config.twin_stage.steps
    exponent = -config.pulses.adc_bits
    with pinned_threads(config.threads):
        first = training_batch(config, step_generator(config.seed, 0, 0))[0]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            real = PulseNet()
            twin = QuantPulseNet(config.policy, exponent, real_weights=True)
        quantized = QuantPulseNet(config.policy, exponent)
        spread_channels(real, first, top=1.0)
        spread_channels(twin, first, top=0.5)
        done = 0
        for number, (network, stage, energy_weight) in enumerate(
            ((real, config.float_stage, 1.0), (twin, config.twin_stage, config.energy_weight)), 1
        ):
            with Ahead(partial(_numbered_batch, config, number)) as batches:
                fit(
                    network, stage, _loss(batches, energy_weight), seed=config.seed, progress=progress, done=done,
                    total=total, checkpoints=checkpoints,
                )  # fmt: skip
            done += stage.steps
        mean, spread = normalization(config.pulses)
        pulses = simulate(config.pulses, config.rounding_pulses, step_generator(config.seed, 3, 0))
        round_network(twin, quantized, pulses, mean, spread)
        trained = TrainedPulse(config.pulses, real, quantized)
        trained.to_units(mean, spread, pulses)
    return trained


def normalization(pulses: PulseConfig) -> tuple[tuple[float, float], tuple[float, float]]:
    """Mean and spread of time in ns and of energy, which the networks learn as numbers of order one."""
    middle = (1 + pulses.min_energy) / 2
    return (pulses.arrival_ns, middle), (pulses.jitter_ns / 12**0.5, (1 - pulses.min_energy) / 12**0.5)


def training_batch(config: TrainConfig, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Samples as real numbers, normalized targets, and weights: 1 / bound in the targets' units."""
    pulses = simulate(config.pulses, config.batch, rng)
    time, energy, bound = efficient_estimate(pulses)
    mean, spread = (np.array(values) for values in normalization(config.pulses))
    target = (np.stack([time, energy], 1) - mean) / spread
    weight = spread / np.stack([bound.time_ns, bound.energy], 1)
    return (
        to_real(pulses.config, pulses.samples),
        torch.from_numpy(target.astype(np.float32)),
        torch.from_numpy(weight.astype(np.float32)),
    )


def _numbered_batch(config: TrainConfig, stage: int, step: int) -> tuple[Tensor, Tensor, Tensor]:
    return training_batch(config, step_generator(config.seed, stage, step))


def _loss(
    batches: Callable[[int], tuple[Tensor, Tensor, Tensor]], energy_weight: float
) -> Callable[[nn.Module, int], Tensor]:
    relative = torch.tensor([1.0, energy_weight])

    def loss(network: nn.Module, step: int) -> Tensor:
        x, target, weight = batches(step)
        error = (network(x) - target) * weight * relative
        return F.huber_loss(error, torch.zeros_like(error), delta=_HUBER)

    return loss
