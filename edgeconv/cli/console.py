"""Where a verb prints: results to stdout, as text or as JSON; logs and progress to stderr."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = ["Console", "format_table", "to_plain"]


@dataclasses.dataclass
class Console:
    """The common options of a verb and what follows from them.

    Attributes:
        json: results are printed as one JSON value.
        verbosity: -1 errors only, 0 ordinary, 1 details, 2 and tracebacks.
        seed: seed of everything random in the verb.
    """

    json: bool = False
    verbosity: int = 0
    seed: int = 0

    def configure_logging(self) -> None:
        """Send the log records of edgeconv to stderr, from the level that the verbosity asks for."""
        level = logging.ERROR if self.verbosity < 0 else logging.DEBUG if self.verbosity > 0 else logging.INFO
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_LogFormatter())
        logger = logging.getLogger("edgeconv")
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False

    def result(self, data: Any, *, text: str) -> None:
        """Print what the verb found.

        Args:
            data: for `--json`; anything that `to_plain` takes.
            text: for people.
        """
        print(json.dumps(to_plain(data), indent=2, allow_nan=False) if self.json else text)

    @contextmanager
    def progress(self, description: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Show progress on stderr while the block runs; nothing is shown when that is not a terminal, or with -q.

        Args:
            description: what is being done.
            total: number of steps, or None when it is not known.

        Yields:
            a function that is called with the number of steps done since its last call.
        """
        if self.verbosity < 0 or not sys.stderr.isatty():
            yield lambda _steps: None
            return
        from rich.console import Console as RichConsole
        from rich.progress import Progress

        with Progress(console=RichConsole(stderr=True), transient=True) as bar:
            task = bar.add_task(description, total=total)
            yield lambda steps: bar.advance(task, steps)


class _LogFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record)
        return f"{record.levelname.lower()}: {message}" if record.levelno >= logging.WARNING else message


def to_plain(value: Any) -> Any:
    """The value as JSON knows it: dataclasses become objects, arrays lists, NaN and infinities null, the rest text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "to_json"):
        return to_plain(value.to_json())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(to_plain(item) for item in value)
    if hasattr(value, "tolist"):  # numpy arrays and scalars, without importing numpy
        return to_plain(value.tolist())
    return str(value)


def format_table(rows: Sequence[Sequence[str]], header: Sequence[str] = ()) -> str:
    """Rows as left-aligned columns two spaces apart, under the header when one is given."""
    lines = [list(header), *map(list, rows)] if header else [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
