"""PNG plots of the evaluation: resolution against noise, errors, and pulses with their estimates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.pulse.evaluation import Report, classic_estimators, heldout, sweep
from edgeconv.models.pulse.simulation import PulseConfig
from edgeconv.quantize import figures
from edgeconv.quantize.family import Estimator, HeldOut

__all__ = [
    "COLOURS",
    "MARKERS",
    "SNR_DB",
    "new_figure",
    "plain_ticks",
    "plot_errors",
    "plot_pulses",
    "plot_resolution",
    "report",
    "save",
]

SNR_DB = (35.0, 40.0, 44.0, 47.4, 51.0, 55.0, 60.0)
# Okabe and Ito's colours, distinct for colour-blind readers; networks first, as they come first in a report.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "v", "D", "P")
_BOUND = "Cramér–Rao bound"
_DPI = 130


def new_figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    """A figure and its rows × columns of axes, all in the style of these plots."""
    figure = figures.new_figure(figsize=size, dpi=_DPI, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.grid(True, which="both", color="0.9", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def report(
    estimators: Mapping[str, Estimator],
    folder: str | Path,
    *,
    snr_db: Sequence[float] = SNR_DB,
    n: int = 4000,
    seed: int = 0,
    config: PulseConfig | None = None,
    single: bool = True,
) -> tuple[Report, list[Path]]:
    """Evaluate against noise and draw all plots.

    Args:
        estimators: by the name shown in the legend, such as {"float": …, "int8": …}; each takes ADC codes (N, 1, 128)
            and returns (N, 2), time in ns and energy as a fraction of full scale.
        folder: made when missing; receives resolution.png, errors.png and pulses.png.
        n: pulses per noise level.
        single: they were trained for the noise of `config` alone, which the plot says.

    Raises:
        ToolError: matplotlib is not installed.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = config or PulseConfig()
    found = sweep(estimators, snr_db, n=n, seed=seed, config=config)
    data = heldout(max(n, 1000), seed + 1, config)
    everyone = dict(estimators) | classic_estimators(config)
    answers = {name: estimator(data.inputs["samples"]) for name, estimator in everyone.items()}
    paths = [
        plot_resolution(found, folder / "resolution.png", trained_at=config.snr_db if single else None),
        plot_errors(answers, data, folder / "errors.png"),
        plot_pulses({name: answers[name] for name in estimators}, data, folder / "pulses.png"),
    ]
    return found, paths


def plot_resolution(found: Report, path: str | Path, *, trained_at: float | None = None) -> Path:
    """Time and energy resolution against the signal-to-noise ratio, with the bound, on logarithmic axes."""
    figure, axes = new_figure(1, 2, (10.5, 4.4))
    first = next(iter(found.resolutions.values()))
    for ax, attribute, bound, label in (
        (axes[0, 0], "time_ps", "time_bound_ps", "time resolution (ps RMS)"),
        (axes[0, 1], "energy_percent", "energy_bound_percent", "energy resolution (% of full scale, RMS)"),
    ):
        for i, (name, values) in enumerate(found.resolutions.items()):
            ax.plot(
                found.snr_db,
                [getattr(value, attribute) for value in values],
                color=COLOURS[i % len(COLOURS)],
                marker=MARKERS[i % len(MARKERS)],
                markersize=5,
                linewidth=1.4,
                label=name,
            )
        ax.plot(found.snr_db, [getattr(value, bound) for value in first], "k--", linewidth=1.4, label=_BOUND)
        if trained_at is not None:
            ax.axvline(trained_at, color="0.6", linewidth=0.9, linestyle=":")
            ax.annotate(
                f"trained at\n{trained_at:g} dB",
                (trained_at, 0.02),
                xycoords=("data", "axes fraction"),
                xytext=(-4, 0),
                textcoords="offset points",
                va="bottom",
                ha="right",
                fontsize=8,
                color="0.35",
            )
        ax.set_yscale("log")
        plain_ticks(ax)
        ax.set_xlabel("signal-to-noise ratio of a full-scale pulse (dB)")
        ax.set_ylabel(label)
    axes[0, 1].legend(frameon=False, fontsize=9)
    return save(figure, path)


def plain_ticks(ax: Any) -> None:
    """1, 2, 5, 10, … instead of powers of ten: a resolution is read off, not guessed."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def plot_errors(answers: Mapping[str, NDArray[np.floating]], data: HeldOut, path: str | Path) -> Path:
    """Distributions of the errors in time and energy, with their RMS in the legend."""
    figure, axes = new_figure(1, 2, (10.5, 4.2))
    truth = data.truth
    sides = (
        (axes[0, 0], 0, truth.time_ns, 1e3, "error in time (ps)", "ps"),
        (axes[0, 1], 1, truth.energy, 1e2, "error in energy (% of full scale)", "%"),
    )
    for ax, column, true, factor, label, unit in sides:
        errors = {name: factor * (answer[:, column] - true) for name, answer in answers.items()}
        # The widest estimator would flatten the others, so the axis follows the narrowest.
        reach = 4.5 * min(float(np.std(error)) for error in errors.values())
        bins = np.linspace(-reach, reach, 61)
        for i, (name, error) in enumerate(errors.items()):
            rms = float(np.sqrt(np.mean(error**2)))
            ax.hist(
                error,
                bins=bins,
                histtype="step",
                linewidth=1.4,
                color=COLOURS[i % len(COLOURS)],
                label=f"{name}: {rms:.3g} {unit}",
            )
        ax.set_xlim(-reach, reach)
        ax.set_ylim(0, ax.get_ylim()[1] * 1.3)
        ax.set_xlabel(label)
        ax.set_ylabel("pulses per bin")
        ax.legend(frameon=False, fontsize=9, ncols=2, title="RMS", title_fontsize=9, loc="upper center")
    return save(figure, path)


def plot_pulses(answers: Mapping[str, NDArray[np.floating]], data: HeldOut, path: str | Path) -> Path:
    """Six digitized pulses with the pulses that the estimates describe, and their errors."""
    truth, config = data.truth, data.truth.config
    figure, axes = new_figure(2, 3, (11, 5.8))
    order = np.argsort(truth.energy)
    chosen = order[np.linspace(0, len(order) - 1, 6).astype(int)]
    at = np.arange(config.samples) * config.period_ns
    fine = np.linspace(at[0], at[-1], 2048)
    start, stop = config.arrival_ns - 10 * config.period_ns, config.arrival_ns + 24 * config.period_ns
    for ax, i in zip(axes.flat, chosen, strict=True):
        ax.plot(at, truth.samples[i, 0], ".", color="0.25", markersize=5, label="ADC samples")
        lines = [f"energy {truth.energy[i]:.3f}"]
        for k, (name, answer) in enumerate(answers.items()):
            time, energy = (float(value) for value in answer[i])
            model = config.baseline_counts + config.full_scale_counts * energy * config.shape.value(fine - time)
            style = "-" if k == 0 else "--"
            ax.plot(fine, model, style, color=COLOURS[k % len(COLOURS)], linewidth=1.3, label=f"{name} estimate")
            error_ps, error_percent = 1e3 * (time - truth.time_ns[i]), 1e2 * (energy - truth.energy[i])
            lines.append(f"{name}: {error_ps:+.0f} ps, {error_percent:+.2f} %")
        ax.axvline(truth.time_ns[i], color="0.6", linewidth=0.9, linestyle=":", label="true arrival")
        ax.text(0.97, 0.95, "\n".join(lines), transform=ax.transAxes, ha="right", va="top", fontsize=8)
        ax.set_xlim(start, stop)
    for ax in axes[1]:
        ax.set_xlabel("time (ns)")
    for ax in axes[:, 0]:
        ax.set_ylabel("ADC counts")
    axes[0, 0].legend(frameon=False, fontsize=8, loc="center right")
    return save(figure, path)


def save(figure: Any, path: str | Path) -> Path:
    """Write a figure."""
    path = Path(path)
    figure.savefig(path)
    return path
