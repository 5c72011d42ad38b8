"""A study as one flat table: CSV for people and spreadsheets, Parquet for data frames."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeconv.errors import UsageError
from edgeconv.search.study import Record

__all__ = ["export", "table"]


def table(records: Sequence[Record]) -> dict[str, list[Any]]:
    """Columns by name; choices and metrics that a record does not have are None."""
    choices = list(dict.fromkeys(name for record in records for name in record.values))
    metrics = sorted({name for record in records for name in record.metrics})
    columns: dict[str, list[Any]] = {
        name: [getattr(record, name) for record in records] for name in ("round", "position", "seed", "status")
    }
    for name in choices:
        columns[f"choice.{name}"] = [record.values.get(name) for record in records]
    for name in metrics:
        columns[f"metric.{name}"] = [record.metrics.get(name) for record in records]
    for name in ("reason", "attempts", "worker", "started", "seconds"):
        columns[name] = [getattr(record, name) for record in records]
    columns["versions"] = [json.dumps(dict(record.versions), sort_keys=True) for record in records]
    return columns


def export(records: Sequence[Record], path: str | Path) -> Path:
    """Write all records; the ending .csv or .parquet says how. The file appears whole or not at all.

    Raises:
        UsageError: another ending.
    """
    path = Path(path)
    writers = {".csv": _write_csv, ".parquet": _write_parquet}
    if path.suffix not in writers:
        raise UsageError(f"export to {path}", expected=f"a name that ends in {' or '.join(writers)}")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        writers[path.suffix](table(records), partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _write_csv(columns: dict[str, list[Any]], path: Path) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _write_parquet(columns: dict[str, list[Any]], path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table(columns), path)
