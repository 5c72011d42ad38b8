"""Pile-up: times and energies of two pulses that lie in each other, and how well they are told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeconv.models.pulse.config import SAMPLES, STRIDE, PileUpConfig
from edgeconv.models.pulse.evaluation import heldout_stream, rms
from edgeconv.models.pulse.layered import Batch, TrainedNetworks, train_layered
from edgeconv.models.pulse.pairs import Pairs, pair_estimate, simulate_pairs
from edgeconv.models.pulse.trained import integer_input, to_real
from edgeconv.quantize.checkpoint import Checkpoints
from edgeconv.quantize.family import Comparison, Estimator, Progress
from edgeconv.quantize.layers import Layers
from edgeconv.quantize.twin import QuantWeighted

__all__ = ["PairNet", "PairResolution", "draw", "heldout_pairs", "judge", "resolve_pairs", "train"]

OUTPUT = "time_energy_pairs"
_KERNEL = 5
_JUDGED = 10_000
EDGES_NS = (0.0, 8.0, 16.0, 24.0, 40.0, 60.0, 100.0, 160.0)
"""Between these separations resolutions are measured."""


class PairNet(nn.Module):
    """Four strided convolutions and two fully connected layers: real samples (N, 1, 128) to four numbers (N, 4)."""

    def __init__(self, layers: Layers, config: PileUpConfig) -> None:
        super().__init__()
        self.input = layers.input_quantizer(integer_input(config.pulses))
        sizes = (1, *config.channels)
        self.convs = nn.ModuleList(
            layers.conv1d(a, b, _KERNEL, stride=STRIDE, padding=_KERNEL // 2, normalized=False)
            for a, b in pairwise(sizes)
        )
        self.activations = nn.ModuleList(layers.relu() for _ in range(len(config.channels) + 1))
        flat = config.channels[-1] * (SAMPLES // STRIDE ** len(config.channels))
        self.hidden, self.last = layers.linear(flat, config.hidden), layers.linear(config.hidden, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.input(x)
        for conv, activation in zip(self.convs, self.activations, strict=False):
            y = activation(conv(y))
        return self.last(self.activations[-1](self.hidden(y.flatten(1))))


def train(
    config: PileUpConfig, *, progress: Progress | None = None, checkpoints: Checkpoints | None = None
) -> TrainedNetworks:
    """Train for two pulses; outputs are time in ns and energy of the first, then of the second."""
    mean, spread = config.pairs.prior(config.pulses)

    def batch(rng: np.random.Generator) -> Batch:
        channel = config.pulses.at_snr(rng.uniform(*config.snr_range_db))
        data = simulate_pairs(channel, config.pairs, config.batch, rng)
        estimate, limit = pair_estimate(data)
        target, weight = (estimate - mean) / spread, spread / limit
        return (
            to_real(channel, data.samples),
            torch.from_numpy(target.astype(np.float32)),
            torch.from_numpy(weight.astype(np.float32)),
        )

    trained = train_layered(
        config, lambda layers: PairNet(layers, config), batch, OUTPUT, progress=progress, checkpoints=checkpoints
    )
    for network in (trained.float_network, trained.quantized_network):
        _to_units(network.last, mean, spread)
    return trained


@torch.no_grad()
def _to_units(last: nn.Module, mean: NDArray[np.float64], spread: NDArray[np.float64]) -> None:
    """Fold units into the last layer; its scales take them, so no integer weight moves."""
    factor, addend = (torch.from_numpy(values.astype(np.float32)) for values in (spread, mean))
    linear = last
    if isinstance(last, QuantWeighted):
        linear, scale = last.layer, last.weight_quantizer.log2_scale
        scale.add_(factor.log2().reshape(scale.shape) if scale.dim() else factor.log2().mean())
    linear.weight.mul_(factor[:, None])
    linear.bias.mul_(factor).add_(addend)


def heldout_pairs(config: PileUpConfig, n: int, seed: int) -> Pairs:
    """n waveforms that no training has seen."""
    return simulate_pairs(config.pulses, config.pairs, n, heldout_stream(seed))


@dataclass(frozen=True)
class PairResolution:
    """Root mean square errors between two separations, of both pulses together.

    Attributes:
        least_ns, most_ns: separations.
        time_ns, energy_percent: errors.
        time_bound_ns, energy_bound_percent: of the best estimator that knows how pulses fall.
    """

    least_ns: float
    most_ns: float
    time_ns: float
    energy_percent: float
    time_bound_ns: float
    energy_bound_percent: float


def resolve_pairs(predictions: NDArray[np.floating], data: Pairs) -> tuple[PairResolution, ...]:
    """Resolutions against the separation of the pulses.

    Args:
        predictions: (N, 4), as `Pairs.truth`.
    """
    error = predictions.astype(np.float64) - data.truth
    limit = pair_estimate(data)[1]
    found = []
    for least, most in pairwise(EDGES_NS):
        inside = (data.separation_ns >= least) & (data.separation_ns < most)
        if inside.any():
            numbers = [rms(each[inside][:, columns]) for each in (error, limit) for columns in ((0, 2), (1, 3))]
            time, energy, time_bound, energy_bound = numbers
            found.append(PairResolution(least, most, time, 100 * energy, time_bound, 100 * energy_bound))
    return tuple(found)


def _scores(estimators: Mapping[str, Estimator], config: PileUpConfig, n: int) -> dict[str, tuple[PairResolution, ...]]:
    data = heldout_pairs(config, n, 1)
    return {name: resolve_pairs(np.asarray(one(data.samples)), data) for name, one in estimators.items()}


def judge(estimators: Mapping[str, Estimator], config: PileUpConfig, *, n: int = _JUDGED) -> Comparison:
    """A row for every range of separations."""
    scores = _scores(estimators, config, n)
    first = next(iter(scores.values()))
    rows = []
    for i, row in enumerate(first):
        times = (f"{each[i].time_ns:.3f} ns" for each in scores.values())
        energies = (f"{each[i].energy_percent:.2f} %" for each in scores.values())
        bounds = f"{row.time_bound_ns:.3f} ns", f"{row.energy_bound_percent:.2f} %"
        rows.append((f"{row.least_ns:g} … {row.most_ns:g} ns", *times, bounds[0], *energies, bounds[1]))
    names = (*scores, "bound")
    header = ("separation", *(f"time, {name}" for name in names), *(f"energy, {name}" for name in names))
    remark = f"root mean square errors of both pulses in {n} held-out waveforms at {config.pulses.snr_db:g} dB"
    return Comparison(header, tuple(rows), (remark,))


def draw(estimators: Mapping[str, Estimator], folder: Path, config: PileUpConfig) -> list[Path]:
    """Resolutions against the separation, as a PNG file."""
    from edgeconv.models.pulse.task_plots import plot_pairs

    folder.mkdir(parents=True, exist_ok=True)
    return [plot_pairs(_scores(estimators, config, _JUDGED), folder / "pile_up.png")]
