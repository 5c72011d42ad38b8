"""The command line: one file per verb; a verb parses, calls one function of the library, prints.

How a verb is added (docs/development.md has the long form):

1. Write `edgeconv/cli/<verb>.py` with a `click` command named `command`, decorated with `common_options` below the
   arguments of its own. It takes the `Console` as its first argument and returns its exit code, or None for 0.
   Options with a dash are in the module of the same name with an underscore.
2. Add its row, name and one line of help, to `VERBS` in edgeconv/cli/verbs.py. A verb is listed when it works.

    @click.command()
    @click.argument("artifact", type=click.Path(path_type=Path))
    @common_options
    def command(console: Console, artifact: Path) -> int | None:
        \"""Check an artifact against the reference interpreter.\"""
        from edgeconv.verify import verify

        report = verify(artifact, seed=console.seed)
        console.result(report, text=report.table())
        return 0 if report.equal else 1

Heavy imports stand inside the function, so that `edgeconv <verb> --help` stays fast. Errors are raised as
EdgeconvError and never caught in a verb; edgeconv/cli/app.py prints them and chooses the exit code.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; `arguments` are those of the process when None."""
    from edgeconv.cli.app import run

    return run(arguments)
