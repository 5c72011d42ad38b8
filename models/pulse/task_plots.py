"""PNG plots of uncertainties, pile-up and denoising."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.pulse.calibration import QUANTITIES, Calibration
from edgeconv.models.pulse.plots import COLOURS, MARKERS, new_figure, plain_ticks, save
from edgeconv.models.pulse.simulation import Pulses

if TYPE_CHECKING:
    from edgeconv.models.pulse.pile_up import PairResolution

__all__ = ["plot_calibration", "plot_pairs", "plot_waveforms"]

Floats = NDArray[np.float64]


def plot_calibration(found: Mapping[str, Mapping[str, Calibration]], path: Path) -> Path:
    """Found against predicted errors: (estimator → quantity → calibration)."""
    figure, axes = new_figure(1, 2, (9.5, 4.4))
    units = {"time": (1e3, "ps"), "energy": (1e2, "% of full scale")}
    for ax, quantity in zip(axes[0], QUANTITIES, strict=True):
        factor, unit = units[quantity]
        for i, (name, each) in enumerate(found.items()):
            one = each[quantity]
            ax.plot(
                factor * one.predicted,
                factor * one.found,
                COLOURS[i],
                marker=MARKERS[i],
                label=f"{name}: pull {one.pull:.2f}",
            )
        ends = np.array(ax.get_xlim())
        ax.plot(ends, ends, "k--", linewidth=1)
        for axis in (ax.set_xscale, ax.set_yscale):
            axis("log")
        ax.set_xlabel(f"predicted error in {quantity} ({unit})")
        ax.set_ylabel(f"found, root mean square ({unit})")
        ax.legend(frameon=False)
    return save(figure, path)


def plot_pairs(scores: Mapping[str, Sequence[PairResolution]], path: Path) -> Path:
    """Resolutions of time and energy against the separation of two pulses, with the bound."""
    figure, axes = new_figure(1, 2, (9.5, 4.2))
    for ax, attribute, label in (
        (axes[0, 0], "time{}_ns", "time (ns RMS)"),
        (axes[0, 1], "energy{}_percent", "energy (% of full scale, RMS)"),
    ):
        for i, (name, rows) in enumerate(scores.items()):
            at = [(row.least_ns + row.most_ns) / 2 for row in rows]
            ax.plot(at, [getattr(row, attribute.format("")) for row in rows], COLOURS[i], marker=MARKERS[i], label=name)
        ax.plot(at, [getattr(row, attribute.format("_bound")) for row in rows], "k--", label="bound")
        ax.set_yscale("log")
        plain_ticks(ax)
        ax.set_xlabel("separation of the pulses (ns)")
        ax.set_ylabel(label)
    axes[0, 1].legend(frameon=False)
    return save(figure, path)


def plot_waveforms(
    samples: Floats, clean: Floats, answers: Mapping[str, NDArray[np.floating]], pulses: Pulses, path: Path
) -> Path:
    """Six waveforms: samples, truth, and what networks make of them, as fractions of full scale."""
    figure, axes = new_figure(2, 3, (11, 5.8))
    at = np.arange(samples.shape[1]) * pulses.config.period_ns
    for number, ax in enumerate(axes.flat):
        ax.plot(at, samples[number], ".", color="0.55", markersize=4, label="samples")
        ax.plot(at, clean[number], "k--", linewidth=1, label="without noise")
        for i, (name, answer) in enumerate(answers.items()):
            ax.plot(at, answer[number, 0], COLOURS[i], linewidth=1.2, label=name)
        ax.set_xlim(pulses.config.arrival_ns - 60, pulses.config.arrival_ns + 140)
    for ax in axes[1]:
        ax.set_xlabel("time (ns)")
    axes[0, 0].legend(frameon=False, fontsize=8)
    return save(figure, path)
