"""The options of streams: `run --stream` overrides, `compile --stream` records as defaults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from edgeconv.artifact.stream import BYTE_ORDERS, PARTIALS, RECORDS, STREAM_DTYPES
from edgeconv.cli.arguments import split_pair
from edgeconv.cli.console import Console
from edgeconv.errors import UsageError

if TYPE_CHECKING:
    from edgeconv.runtime.runner import Runner

__all__ = ["STREAM_OPTIONS", "read_stream_settings", "run", "stream_options"]

_COUNT = click.IntRange(min=1)
_WORDS = {"yes": True, "no": False}
STREAM_OPTIONS: dict[str, tuple[Any, str]] = {
    "dtype": (click.Choice(list(STREAM_DTYPES)), "Element type of the stream."),
    "byte_order": (click.Choice(BYTE_ORDERS), "Byte order of the stream."),
    "channels": (_COUNT, "Values of a point, one after the other."),
    "window": (_COUNT, "Points of a window."),
    "hop": (_COUNT, "Points from the start of a window to the start of the next."),
    "record": (click.Choice(RECORDS), "Form of a record."),
    "index": (click.Choice(list(_WORDS)), "A record begins with the index of its first point."),
    "partial": (click.Choice(PARTIALS), "Points after the last whole window: dropped, filled up, or an error."),
}
"""By field of StreamSettings: type and help."""


def stream_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `run --stream` to a verb; they arrive as one mapping `stream_settings`, or None."""
    for name, (kind, text) in reversed(STREAM_OPTIONS.items()):
        option = "--" + name.replace("_", "-")
        function = click.option(option, f"stream_{name}", type=kind, help=f"With --stream: {text}")(function)
    return click.option(
        "--stream", "is_stream", is_flag=True, help="Points without end from a pipe, cut into windows."
    )(function)


def read_stream_settings(items: Sequence[str]) -> dict[str, str | int | bool | None]:
    """Fields of StreamSettings from `--stream NAME=VALUE` options of `compile`."""
    settings: dict[str, str | int | bool | None] = {}
    for item in items:
        name, value = split_pair(item, "--stream")
        field = name.replace("-", "_")
        if field not in STREAM_OPTIONS:
            known = ", ".join(known.replace("_", "-") for known in STREAM_OPTIONS)
            raise UsageError(f"--stream {item}", expected=f"one of {known}")
        try:
            settings[field] = _plain(field, STREAM_OPTIONS[field][0].convert(value, None, None))
        except click.BadParameter as error:
            raise UsageError(f"--stream {item}: {error.message}") from error
    return settings


def _plain(field: str, value: Any) -> Any:
    return _WORDS[value] if field == "index" and value is not None else value


def run(console: Console, runner: Runner, source: str, sink: str, allow_nan: bool, options: dict[str, Any]) -> None:
    """`edgeconv run --stream`: records go to the sink, the summary (with --json) or a note to stderr."""
    import dataclasses
    import json
    import sys

    from edgeconv.artifact.stream import settings_for
    from edgeconv.runtime.stream import run_stream

    changes = {name: _plain(name, options[f"stream_{name}"]) for name in STREAM_OPTIONS}
    settings = settings_for(runner.inputs, runner.artifact.manifest.stream, changes)
    report = run_stream(runner, settings, source, sink, allow_nan=allow_nan)
    if console.json:
        # Standard output may be the sink.
        values = dataclasses.asdict(report) | {"points_per_s": report.points_per_second}
        print(json.dumps(values), file=sys.stderr)
    elif report.dropped and console.verbosity >= 0:
        print(f"edgeconv: {report.dropped} points after the last whole window are dropped", file=sys.stderr)
