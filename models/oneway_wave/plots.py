"""Pictures of simulated waves: `python -m edgeconv.models.oneway_wave.plots OUT.png --seed 0`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgeconv.errors import EdgeconvError
from edgeconv.models.oneway_wave.dataset import GEOMETRIES, WaveConfig, WaveRecord, draw_scene, simulate
from edgeconv.quantize.figures import new_figure

__all__ = ["main", "plot_errors", "plot_records"]


def plot_records(records: Sequence[WaveRecord], path: str | Path, *, moments: int = 4, dpi: int = 80) -> Path:
    """Draw a row for each record: fields at `moments` times, and the history of its zone's border.

    Raises:
        ToolError: matplotlib is not installed.
    """
    figure = new_figure(figsize=(2.2 * (moments + 1), 2.4 * len(records)), dpi=dpi, layout="constrained")
    from matplotlib.patches import Rectangle

    for axes, record in zip(figure.subplots(len(records), moments + 1, squeeze=False), records, strict=True):
        zone = record.scene.zone
        for place, frame in zip(
            axes[:-1], np.linspace(0, len(record.fields) - 1, moments + 1)[1:].astype(int), strict=True
        ):
            # Each field has its own colours: waves spread, and late ones would be pale.
            top = np.abs(record.fields[frame]).max()
            field = np.ma.masked_array(record.fields[frame], ~record.mask)
            place.set_facecolor("#555555")
            place.imshow(field, origin="lower", cmap="RdBu_r", vmin=-top, vmax=top)
            place.add_patch(Rectangle((zone.column - 0.5, zone.row - 0.5), zone.width, zone.height, fill=False))
            place.set(xticks=[], yticks=[], title=f"frame {frame}, ±{top:.2f}")
        axes[0].set_ylabel(record.scene.geometry)
        top = np.abs(record.boundary.values).max()
        axes[-1].imshow(
            record.boundary.values,
            origin="lower",
            cmap="RdBu_r",
            vmin=-top,
            vmax=top,
            aspect="auto",
        )
        axes[-1].set(xticks=[], yticks=[], xlabel="around the zone", ylabel="time", title="border's history")
    figure.savefig(path)
    return Path(path)


def plot_errors(by_step: Mapping[str, Sequence[float]], path: str | Path, *, dpi: int = 120) -> Path:
    """Draw relative errors against the step of a roll-out, a line for each estimator.

    Raises:
        ToolError: matplotlib is not installed.
    """
    figure = new_figure(figsize=(6, 4), dpi=dpi, layout="constrained")
    axes = figure.subplots()
    for name, errors in by_step.items():
        axes.semilogy(range(1, len(errors) + 1), errors, marker=".", label=name)
    axes.set(xlabel="step of the roll-out", ylabel="error relative to the solver's field")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path)
    return Path(path)


def main(arguments: list[str] | None = None) -> int:
    """Simulate one scene of each geometry and draw them."""
    parser = argparse.ArgumentParser(prog="python -m edgeconv.models.oneway_wave.plots", description=main.__doc__)
    parser.add_argument("out", type=Path, help="PNG file to write")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other scenes (0)")
    options = parser.parse_args(arguments)
    try:
        configs = [WaveConfig(geometries=(name,)) for name in GEOMETRIES]
        records = [simulate(draw_scene(config, options.seed + i), config) for i, config in enumerate(configs)]
        plot_records(records, options.out)
    except EdgeconvError as error:
        print(f"plots: {error}", file=sys.stderr)
        return error.exit_code
    for record in records:
        scene = record.scene
        sides = ", ".join(scene.domain.absorbing) or "none"
        excited = "a Gaussian" if scene.start else f"{scene.sources[0].frequency_hz:.2f} Hz"
        print(f"{scene.geometry:9}  {record.mask.mean():4.0%} medium, {excited}, absorbing: {sides}")
    print(f"{len(records)} records in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
