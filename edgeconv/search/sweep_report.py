"""What a sweep found as tables and heat maps."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgeconv.search.space import Space, Value
from edgeconv.search.study import Record

__all__ = ["heat_maps", "mean_by", "metric_names"]


def metric_names(records: Sequence[Record]) -> list[str]:
    """All metrics of all records, in order of appearance."""
    return list(dict.fromkeys(name for record in records for name in record.metrics))


def mean_by(records: Sequence[Record], choices: Sequence[str], metric: str) -> dict[tuple[Value, ...], float]:
    """Mean of a metric over everything but the named choices; configurations that failed do not count."""
    groups: dict[tuple[Value, ...], list[float]] = defaultdict(list)
    for record in records:
        if metric in record.metrics:
            groups[tuple(record.values[name] for name in choices)].append(record.metrics[metric])
    return {key: float(np.mean(values)) for key, values in groups.items()}


def heat_maps(space: Space, records: Sequence[Record], folder: Path) -> list[Path]:
    """A PNG for each metric and each pair of choices that vary; cells that failed stay empty."""
    from edgeconv.quantize.figures import new_figure

    varying = [choice for choice in space.choices if len(choice.values) > 1 and choice.name != "seed"]
    written = []
    for metric, (rows, columns) in itertools.product(metric_names(records), itertools.combinations(varying, 2)):
        means = mean_by(records, (rows.name, columns.name), metric)
        cells = np.array([[means.get((r, c), np.nan) for c in columns.values] for r in rows.values])
        figure = new_figure(
            figsize=(1.6 + 0.9 * len(columns.values), 1.4 + 0.5 * len(rows.values)), layout="constrained"
        )
        axes = figure.subplots()
        axes.imshow(cells, aspect="auto", cmap="viridis")
        for (row, column), value in np.ndenumerate(cells):
            if np.isfinite(value):
                axes.text(column, row, f"{value:.3g}", ha="center", va="center", color="w", fontsize=8)
        axes.set_xticks(range(len(columns.values)), [str(value) for value in columns.values], rotation=30)
        axes.set_yticks(range(len(rows.values)), [str(value) for value in rows.values])
        axes.set_xlabel(columns.name)
        axes.set_ylabel(rows.name)
        axes.set_title(metric, fontsize=9)
        path = folder / f"{metric}-{rows.name}-{columns.name}.png"
        figure.savefig(path, dpi=120)
        written.append(path)
    return written
