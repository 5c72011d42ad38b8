"""`edgeconv sweep`: every combination of a grid of quantization settings on one model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeconv.cli.console import Console, format_table
from edgeconv.cli.options import common_options, examples


@click.command(
    epilog=examples(
        "edgeconv sweep bits.toml --workers 2",
        "edgeconv sweep bits.toml -o results --scheduler tcp://10.0.0.1:8786",
    )
)
@click.argument("sweep", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder of results; the file's name with .sweep.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes here.")
@click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler, in place of processes here.")
@click.option("--deadline", type=float, default=600.0, show_default=True, help="Seconds for a configuration.")
@common_options
def command(
    console: Console, sweep: Path, output: Path | None, workers: int, scheduler: str | None, deadline: float
) -> None:
    """Quantize the model of SWEEP, a TOML file, by every combination of its grid; docs/search.md describes the file.

    A sweep that was stopped goes on where it was. Configurations that fail, crash or hang are recorded with their
    reason, and the others complete.
    """
    from edgeconv.search.engines import Supervision, open_engine
    from edgeconv.search.export import export
    from edgeconv.search.study import Record, Study
    from edgeconv.search.sweep import read_sweep, run_sweep
    from edgeconv.search.sweep_report import heat_maps

    folder = output or Path(f"{sweep.stem}.sweep")
    read = read_sweep(sweep, folder / "costs")
    folder.mkdir(parents=True, exist_ok=True)
    spec = {"model": str(read.evaluator.model), "costs": read.evaluator.costs, "grid": _grid(read.space)}
    with Study(folder / "study.sqlite", spec) as study, console.progress("sweeping", read.space.size) as advance:
        engine = open_engine(
            read.evaluator, workers=workers, scheduler=scheduler, supervision=Supervision(deadline)
        )  # fmt: skip

        def step(record: Record, total: int) -> None:
            advance(1)

        try:
            records = run_sweep(read.space, engine, study, seed=console.seed, step=step)
        finally:
            engine.close()
    written = [export(records, folder / "table.csv"), *heat_maps(read.space, records, folder)]
    failed = [record for record in records if record.status == "failed"]
    document = {
        "configurations": [
            {"values": r.values, "status": r.status, "metrics": r.metrics, "reason": r.reason} for r in records
        ],
        "files": written,
    }
    text = f"{_table(records, [choice.name for choice in read.space.choices])}\n\n"
    text += f"{len(records)} configurations, {len(failed)} failed; written to {folder}: table.csv"
    if len(written) > 1:
        text += f" and {len(written) - 1} heat maps"
    console.result(document, text=text)


def _grid(space: Any) -> list[Any]:
    return [[choice.name, list(choice.values)] for choice in space.choices]


def _table(records: Any, choices: list[str]) -> str:
    from edgeconv.search.sweep_report import metric_names

    metrics = metric_names(records)
    rows = [
        [
            *(str(record.values[name]) for name in choices),
            *(f"{record.metrics[name]:.4g}" if name in record.metrics else "" for name in metrics),
            record.reason[:60],
        ]
        for record in records
    ]
    return format_table(rows, header=[*choices, *metrics, ""])
