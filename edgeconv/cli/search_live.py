"""What a search tells while it runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from edgeconv.cli.console import Console
from edgeconv.cli.formatting import readable_time

if TYPE_CHECKING:
    from edgeconv.search.loop import Report

__all__ = ["LiveLine", "without_result"]


class LiveLine:
    """One line on a terminal that is written over; without one a line for each round, and none with -q."""

    def __init__(self, console: Console) -> None:
        self._quiet = console.verbosity < 0
        self._terminal = sys.stderr.isatty()
        self._round = -1
        self._reasons: set[str] = set()

    def say(self, text: str) -> None:
        """A line that stays."""
        if not self._quiet:
            print(text, file=sys.stderr, flush=True)

    def show(self, text: str) -> None:
        """What the line says now, on a terminal alone."""
        if not self._quiet and self._terminal:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    def report(self, report: Report) -> None:
        """How far a search is; the reason of a failure once."""
        first_line = report.reason.partition("\n")[0]
        if first_line and first_line not in self._reasons:
            self._reasons.add(first_line)
            self.end()
            self.say(f"failed: {first_line}")
        left = "" if report.left is None else f", {readable_time(report.left)} left"
        without = without_result(report.ended_early, report.failed)
        text = (
            f"{report.done} of {report.total}{without}, round {report.round}: {len(report.front)} on the front, "
            f"hypervolume {report.hypervolume:.4f}{left}"
        )
        if self._terminal:
            self.show(text)
        elif report.round != self._round or report.done == report.total:
            self._round = report.round
            self.say(text)

    def end(self) -> None:
        """Clear the line."""
        if self._terminal and not self._quiet:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def without_result(ended_early: int, failed: int) -> str:
    """How many evaluations have no result, and why; empty where all have."""
    counted = ((ended_early, "beyond a constraint and not judged"), (failed, "failed"))
    return "".join(f", {count} {what}" for count, what in counted if count)
