"""Records as they are printed: twelve leads in three rows of four, a rhythm strip below; and bars of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.ecg_mamba.labels import SCORED, ClassSet
from edgeconv.models.ecg_mamba.leads import LEADS
from edgeconv.models.ecg_mamba.record import Record
from edgeconv.quantize.figures import new_figure

__all__ = ["plot_record", "plot_scores", "plot_sheet"]

# 25 mm/s and 10 mm/mV, the usual speed and gain.
_MM_PER_S, _MM_PER_MV = 25, 10
_ROWS = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
_COLUMN_S, _STRIP_S = 2.5, 10.0
_ROW_MM, _MARGIN_MM = 28.0, 8.0
_STRIP_LEADS = ("II", "V1")
_INK, _PAPER = "#1a1a2e", "#fffafa"
_FINE, _COARSE = "#f6cfcf", "#e79a9a"
_MM_PER_INCH = 25.4


def plot_scores(scores: Mapping[str, NDArray[np.float64]], path: str | Path, classes: ClassSet = SCORED) -> Path:
    """Bars for the classes that have a value, one for each estimator.

    Args:
        scores: by estimator, one value from 0 to 1 for each class, or NaN.

    Raises:
        ToolError: matplotlib is not installed.
    """
    figure = new_figure(figsize=(9, 4), layout="constrained")
    known = [k for k in range(len(classes)) if all(np.isfinite(values[k]) for values in scores.values())]
    axes, width = figure.add_subplot(), 0.8 / len(scores)
    for index, (name, values) in enumerate(scores.items()):
        axes.bar(np.arange(len(known)) + index * width, values[known], width, label=name)
    axes.set_xticks(np.arange(len(known)) + 0.4 - width / 2, [classes.short_names[k] for k in known], rotation=60)
    axes.set_ylabel("area under the precision-recall curve")
    axes.set_ylim(0, 1)
    figure.legend(loc="outside upper center", ncols=len(scores), frameon=False)
    figure.savefig(path)
    return Path(path)


def plot_record(record: Record, path: str | Path, *, title: str = "", start_s: float = 0.0, dpi: int = 110) -> Path:
    """Draw ten seconds of a record; shorter ones end earlier, leads that were not recorded are left empty.

    Below the standard rows stand the whole ten seconds of leads II and V1, where rhythm and P waves show best.

    Args:
        start_s: where to begin.

    Raises:
        ToolError: matplotlib is not installed.
    """
    rows = len(_ROWS) + len(_STRIP_LEADS)
    width, height = _STRIP_S * _MM_PER_S + 2 * _MARGIN_MM, rows * _ROW_MM + 2 * _MARGIN_MM
    figure = new_figure(figsize=(width / _MM_PER_INCH, height / _MM_PER_INCH), dpi=dpi, facecolor=_PAPER)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.axis("off")
    for step, colour, line in ((1, _FINE, 0.4), (5, _COARSE, 0.7)):
        axes.vlines(np.arange(0, width, step), 0, height, colors=colour, linewidth=line)
        axes.hlines(np.arange(0, height, step), 0, width, colors=colour, linewidth=line)
    signal = record.millivolts()[:, round(start_s * record.rate_hz) :]
    signal[record.present] -= np.nanmedian(signal[record.present], axis=1, keepdims=True)
    for row, names in enumerate(_ROWS):
        for column, name in enumerate(names):
            _trace(
                axes, record, signal, name, height - (row + 0.5) * _ROW_MM - _MARGIN_MM, column * _COLUMN_S, _COLUMN_S
            )
    for strip, name in enumerate(_STRIP_LEADS):
        _trace(axes, record, signal, name, height - (len(_ROWS) + strip + 0.5) * _ROW_MM - _MARGIN_MM, 0.0, _STRIP_S)
    axes.text(_MARGIN_MM, height - 5, title or record.name, fontsize=9, color=_INK, weight="bold")
    axes.text(_MARGIN_MM, 2, f"25 mm/s   10 mm/mV   {record.rate_hz:g} Hz", fontsize=7, color=_INK)
    figure.savefig(Path(path), dpi=dpi)
    return Path(path)


def _trace(
    axes: Any, record: Record, signal: np.ndarray, lead: str, middle_mm: float, begin_s: float, seconds: float
) -> None:
    first, last = round(begin_s * record.rate_hz), round((begin_s + seconds) * record.rate_hz)
    values = signal[LEADS.index(lead), first : last + 1]
    left = _MARGIN_MM + begin_s * _MM_PER_S
    at = left + np.arange(len(values)) / record.rate_hz * _MM_PER_S
    axes.plot(at, middle_mm + values * _MM_PER_MV, color=_INK, linewidth=0.9, solid_joinstyle="round")
    axes.text(left + 1, middle_mm + 9, lead, fontsize=8, color=_INK)
    if begin_s > 0:
        axes.vlines(left, middle_mm - 4, middle_mm + 4, colors=_INK, linewidth=0.7)


def plot_sheet(records: Sequence[tuple[str, Record]], folder: str | Path) -> list[Path]:
    """One PNG per (title, record), named after the title."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    names = ["".join(c if c.isalnum() else "-" for c in title.split(":")[0]) for title, _ in records]
    return [
        plot_record(one, folder / f"{name}.png", title=title) for name, (title, one) in zip(names, records, strict=True)
    ]
