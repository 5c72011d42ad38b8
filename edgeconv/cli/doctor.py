"""`edgeconv doctor`: what this machine has and lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgeconv.cli.console import Console, format_table
from edgeconv.cli.options import common_options, examples

if TYPE_CHECKING:
    from edgeconv.doctor import Check, DoctorReport

EXIT_TOOL_MISSING = 4
_MARKS = {"ok": "ok", "missing": "--", "wrong": "!!"}


@click.command(
    epilog=examples(
        "edgeconv doctor",
        "edgeconv doctor --json",
    )
)
@common_options
def command(console: Console) -> int:
    """Check this machine: Python, packages, compilers, CPU.

    Every thing that is missing or of the wrong version is shown with what needs it and what to do. Ends with exit
    code 4 when something is missing that edgeconv cannot do without.
    """
    from edgeconv.doctor import examine

    report = examine()
    console.result(report, text=_text(report))
    return 0 if report.healthy else EXIT_TOOL_MISSING


def _text(report: DoctorReport) -> str:
    rows = [(check.area, _MARKS[check.status], check.name, _remark(check)) for check in report.checks]
    summary = "everything required is there" if report.healthy else "something required is missing: see above"
    return (
        f"{format_table(rows)}\n\n{summary}\n"
        f"instruction sets that run here: {', '.join(report.instruction_sets)} (target cpu takes the last)"
    )


def _remark(check: Check) -> str:
    if check.status == "ok":
        return check.found
    found = f"{check.found}; " if check.status == "wrong" else ""
    return f"{found}{check.advice} (for {check.needed_for})"
