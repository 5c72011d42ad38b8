"""Denoising: an encoder of strided convolutions, a decoder of transposed ones, the waveform without its noise."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeconv.models.pulse.config import DenoiseConfig
from edgeconv.models.pulse.evaluation import heldout, rms, tuning_stream
from edgeconv.models.pulse.layered import Batch, TrainedNetworks, train_layered
from edgeconv.models.pulse.simulation import PulseConfig, Pulses, simulate
from edgeconv.models.pulse.trained import integer_input, to_real
from edgeconv.quantize.checkpoint import Checkpoints
from edgeconv.quantize.family import Comparison, Estimator, Progress
from edgeconv.quantize.layers import Layers

__all__ = ["SNR_DB", "DenoiseNet", "clean_waveforms", "draw", "judge", "noise_left", "train"]

OUTPUT = "waveform"
SNR_DB = (20.0, 30.0, 40.0, 47.4, 60.0)
_LINEAR_PULSES = 8192
_DRAWN_DB = 30.0


class DenoiseNet(nn.Module):
    """Real samples (N, 1, 128) to as many, the pulse alone as fractions of full scale.

    Encoder and decoder are joined at every length (Ronneberger et al., arXiv 1505.04597); a linear filter of the
    samples stands beside them, so that what 8-bit activations cannot resolve has a way around them.
    """

    def __init__(self, layers: Layers, config: DenoiseConfig) -> None:
        super().__init__()
        sizes = (1, *config.channels)
        self.input = layers.input_quantizer(integer_input(config.pulses))
        self.down = nn.ModuleList(
            layers.conv1d(a, b, 5, stride=2, padding=2, normalized=False) for a, b in pairwise(sizes)
        )
        self.down_relu = nn.ModuleList(layers.relu() for _ in config.channels)
        # The deepest has its input alone, the others that of their length in the encoder beside it.
        ups = list(reversed(config.channels))
        wide = [ups[0], *(2 * width for width in ups[1:])]
        self.up = nn.ModuleList(
            layers.conv_transpose1d(a, b, 4, stride=2, padding=1, normalized=False)
            for a, b in zip(wide, [*ups[1:], 1], strict=True)
        )
        self.up_relu = nn.ModuleList(layers.relu() for _ in ups[1:])
        self.join = nn.ModuleList(layers.concat(signed=False) for _ in ups[1:])
        self.filter = layers.conv1d(1, 1, 17, padding=8, normalized=False, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.input(x)
        y, kept = x, []
        for conv, relu in zip(self.down, self.down_relu, strict=True):
            y = relu(conv(y))
            kept.append(y)
        for i, (relu, join) in enumerate(zip(self.up_relu, self.join, strict=True)):
            y = join(relu(self.up[i](y)), kept[-2 - i])
        return self.up[-1](y) + self.filter(x)


def clean_waveforms(pulses: Pulses) -> NDArray[np.float64]:
    """What the channel would have shown without noise and rounding: fractions of full scale, (N, 1, samples)."""
    config = pulses.config
    t = np.arange(config.samples) * config.period_ns - pulses.time_ns[:, None]
    return np.asarray(pulses.energy[:, None] * config.shape.value(t))[:, None, :]


def train(
    config: DenoiseConfig, *, progress: Progress | None = None, checkpoints: Checkpoints | None = None
) -> TrainedNetworks:
    """Train for waveforms of single pulses; errors count in units of the noise."""

    def batch(rng: np.random.Generator) -> Batch:
        channel = config.pulses.at_snr(rng.uniform(*config.snr_range_db))
        pulses = simulate(channel, config.batch, rng)
        noise = channel.noise_counts / channel.full_scale_counts
        weight = torch.full((1, 1, 1), 1 / noise)
        return to_real(channel, pulses.samples), torch.from_numpy(clean_waveforms(pulses).astype(np.float32)), weight

    return train_layered(
        config, lambda layers: DenoiseNet(layers, config), batch, OUTPUT, progress=progress, checkpoints=checkpoints
    )


def noise_left(predictions: NDArray[np.floating], pulses: Pulses) -> float:
    """Root mean square difference from the clean waveforms, in percent of full scale."""
    return 100 * rms(predictions.astype(np.float64) - clean_waveforms(pulses))


def _linear_filter(config: DenoiseConfig, snr_db: float) -> Estimator:
    """The best linear map from samples to clean waveform for this very noise, fitted to pulses of its own."""
    pulses = simulate(config.pulses.at_snr(snr_db), _LINEAR_PULSES, tuning_stream())

    def rows(samples: NDArray[np.integer]) -> NDArray[np.float64]:
        return np.concatenate([_as_fraction(config.pulses, samples), np.ones((len(samples), 1))], 1)

    matrix = np.linalg.lstsq(rows(pulses.samples), clean_waveforms(pulses)[:, 0], rcond=None)[0]
    return lambda samples: np.asarray(rows(samples) @ matrix)[:, None, :]


def _as_fraction(config: PulseConfig, samples: NDArray[np.integer]) -> NDArray[np.float64]:
    """ADC codes (N, 1, samples) as fractions of full scale above the baseline, (N, samples)."""
    return np.asarray((samples[:, 0].astype(np.float64) - config.baseline_counts) / config.full_scale_counts)


def judge(estimators: Mapping[str, Estimator], config: DenoiseConfig, *, n: int = 4000) -> Comparison:
    """Noise that is left, and by how many dB it is less, for every noise in `SNR_DB`."""
    rows = []
    for ratio in SNR_DB:
        pulses: Pulses = heldout(n, 1, config.pulses.at_snr(ratio)).truth
        raw = noise_left(_as_fraction(config.pulses, pulses.samples)[:, None, :], pulses)
        everyone = dict(estimators) | {"linear filter": _linear_filter(config, ratio)}
        left = [noise_left(np.asarray(one(pulses.samples)), pulses) for one in everyone.values()]
        rows.append((f"{ratio:g} dB", f"{raw:.3f} %", *(f"{x:.4f} % ({20 * np.log10(raw / x):+.1f} dB)" for x in left)))
    header = ("noise", "samples", *estimators, "linear filter")
    remark = f"root mean square difference from the clean waveform, percent of full scale, {n} held-out pulses each"
    return Comparison(header, tuple(rows), (remark,))


def draw(estimators: Mapping[str, Estimator], folder: Path, config: DenoiseConfig) -> list[Path]:
    """Noisy and denoised waveforms, as a PNG file."""
    from edgeconv.models.pulse.task_plots import plot_waveforms

    pulses: Pulses = heldout(6, 2, config.pulses.at_snr(_DRAWN_DB)).truth
    answers = {name: np.asarray(one(pulses.samples)) for name, one in estimators.items()}
    folder.mkdir(parents=True, exist_ok=True)
    samples, clean = _as_fraction(config.pulses, pulses.samples), clean_waveforms(pulses)[:, 0]
    return [plot_waveforms(samples, clean, answers, pulses, folder / "denoised.png")]
