"""The training recipe: a float network, and its quantized twin in two stages.

Three things make two minutes enough. The target of the regression is the estimate that meets the Cramér–Rao bound for
the same noisy waveform (`efficient_estimate`), so that the loss can go to zero and gradients do not drown in noise that
nobody can remove. Errors are measured in units of each pulse's own bound. And the twin learns with quantized
activations from its first step, to spread its information over so many activations that their rounding averages out;
its weights are rounded at the end, each error made up for by the weights still to come.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeconv.models.pulse.bound import efficient_estimate
from edgeconv.models.pulse.config import TrainConfig
from edgeconv.models.pulse.network import PulseNet, QuantPulseNet, spread_channels, use_whole_range
from edgeconv.models.pulse.rounding import round_network
from edgeconv.models.pulse.simulation import PulseConfig, Pulses, simulate
from edgeconv.models.pulse.trained import TrainedPulse, to_real
from edgeconv.quantize.batches import Ahead, step_generator
from edgeconv.quantize.checkpoint import Checkpoints
from edgeconv.quantize.family import Progress
from edgeconv.quantize.loop import fit, pinned_threads
from edgeconv.quantize.policy import QuantPolicy

__all__ = ["normalization", "train", "training_batch"]

# Beyond three standard deviations of the bound errors count linearly: early steps are then no explosion.
_HUBER = 3.0
# Parts of a range of signal-to-noise ratios; each gives as many pulses to a batch.
_STRATA = 4
# What the uncertainties' likelihood counts: little is enough to learn them, and it carries all the noise there is.
_LIKELIHOOD = 0.02
# Where the rounding of weights looks: what it adds shows at the quiet end, but is not to cost much in the middle.
_BELOW_THE_QUIETEST_DB = 10.0
# Steps between two scalings of the twin's channels to the whole range of their grid.
_EQUALIZE_EVERY = 100


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
    real, twin = fit_networks(config, progress=progress, checkpoints=checkpoints)
    return quantized(config, real, twin)


def fit_networks(
    config: TrainConfig, *, progress: Progress | None = None, checkpoints: Checkpoints | None = None
) -> tuple[PulseNet, QuantPulseNet]:
    """The float network, and the twin with quantized activations and real weights; both in normalized units."""
    total = config.float_stage.steps + config.twin_stage.steps
    with pinned_threads(config.threads):
        first = training_batch(config, step_generator(config.seed, 0, 0))[0]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            real = PulseNet(config.network)
            twin = QuantPulseNet(config.policy, -config.pulses.adc_bits, config.network, real_weights=True)
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
    return real, twin


def quantized(
    config: TrainConfig, real: PulseNet, twin: QuantPulseNet, policy: QuantPolicy | None = None
) -> TrainedPulse:
    """Both networks in the units of their users, the twin's weights rounded to the bits of a policy.

    Args:
        real, twin: from `fit_networks`; they are left as they are.
        policy: other bits of weights than the recipe's; those of activations are what the twin was trained with.
    """
    real, twin = copy.deepcopy(real), copy.deepcopy(twin)
    rounded = QuantPulseNet(policy or config.policy, -config.pulses.adc_bits, config.network)
    mean, spread = normalization(config.pulses)
    with pinned_threads(config.threads):
        channel = config.pulses
        if config.snr_range_db is not None:
            channel = channel.at_snr(config.snr_range_db[1] - _BELOW_THE_QUIETEST_DB)
        pulses = simulate(channel, config.rounding_pulses, step_generator(config.seed, 3, 0))
        round_network(twin, rounded, pulses, mean, spread)
        trained = TrainedPulse(config.pulses, real, rounded)
        trained.to_units(mean, spread, pulses)
        if config.network.uncertainty:
            trained.calibrate(_calibration(config))
    return trained


def _calibration(config: TrainConfig) -> list[Pulses]:
    """Pulses of all the noise that the networks were trained for."""
    ratios = (
        (config.pulses.snr_db,) if config.snr_range_db is None else tuple(np.linspace(*config.snr_range_db, _STRATA))
    )
    count = config.rounding_pulses // len(ratios)
    return [
        simulate(config.pulses.at_snr(float(ratio)), count, step_generator(config.seed, 4, i))
        for i, ratio in enumerate(ratios)
    ]


def normalization(pulses: PulseConfig) -> tuple[tuple[float, float], tuple[float, float]]:
    """Mean and spread of time in ns and of energy, which the networks learn as numbers of order one."""
    middle = (1 + pulses.min_energy) / 2
    return (pulses.arrival_ns, middle), (pulses.jitter_ns / 12**0.5, (1 - pulses.min_energy) / 12**0.5)


def training_batch(config: TrainConfig, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Samples as real numbers, normalized targets, and weights: 1 / bound in the targets' units.

    With a range of signal-to-noise ratios, quiet pulses are more frequent, in proportion to the dB above the lowest
    ratio: what a network itself adds to the errors shows there. A batch has strata of equally many pulses. At the
    lowest ratios the window in which pulses arrive says more about a time than the waveform does, so targets and
    weights are those of the estimate that knows both (a normal distribution in place of the uniform one).

    A network with uncertainties has the true values behind its targets: (N, 4).
    """
    if config.snr_range_db is None:
        return _part(config, config.pulses, config.batch, rng)
    low, high = config.snr_range_db
    parts = []
    for stratum in range(_STRATA):
        ratio = low + (high - low) * ((stratum + rng.uniform()) / _STRATA) ** 0.5
        x, target, weight = _part(config, config.pulses.at_snr(ratio), config.batch // _STRATA, rng)
        information = weight.square()
        target[:, :2] *= information / (1 + information)
        parts.append((x, target, (1 + information).sqrt_()))
    x, target, weight = (torch.cat(column) for column in zip(*parts, strict=True))
    return x, target, weight


def _part(
    config: TrainConfig, channel: PulseConfig, count: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    pulses = simulate(channel, count, rng)
    time, energy, bound = efficient_estimate(pulses)
    mean, spread = (np.array(values) for values in normalization(channel))
    target = (np.stack([time, energy], 1) - mean) / spread
    if config.network.uncertainty:
        target = np.concatenate([target, (np.stack([pulses.time_ns, pulses.energy], 1) - mean) / spread], 1)
    weight = spread / np.stack([bound.time_ns, bound.energy], 1)
    return (
        to_real(pulses.config, pulses.samples),
        torch.from_numpy(target.astype(np.float32)),
        torch.from_numpy(weight.astype(np.float32)),
    )


def negative_log_likelihood(error: Tensor, log_sigma: Tensor) -> Tensor:
    """Mean of -ln p of errors under normal distributions, without its constant."""
    return (log_sigma + 0.5 * error.square() * torch.exp(-2 * log_sigma)).mean()


def _numbered_batch(config: TrainConfig, stage: int, step: int) -> tuple[Tensor, Tensor, Tensor]:
    return training_batch(config, step_generator(config.seed, stage, step))


def _loss(
    batches: Callable[[int], tuple[Tensor, Tensor, Tensor]], energy_weight: float
) -> Callable[[nn.Module, int], Tensor]:
    relative = torch.tensor([1.0, energy_weight])

    def loss(network: nn.Module, step: int) -> Tensor:
        x, target, weight = batches(step)
        if isinstance(network, QuantPulseNet) and step % _EQUALIZE_EVERY == 0:
            use_whole_range(network, x)
        y = network(x)
        error = (y[:, :2] - target[:, :2]) * weight * relative
        value = F.huber_loss(error, torch.zeros_like(error), delta=_HUBER)
        if y.shape[1] == 2:
            return value
        return value + _LIKELIHOOD * negative_log_likelihood(y[:, :2].detach() - target[:, 2:], y[:, 2:])

    return loss
