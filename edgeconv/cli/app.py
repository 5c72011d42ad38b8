"""From arguments to an exit code: verbs are found and imported here, and every error becomes a message.

Exit codes: 0 done, 1 a verification found a difference, 2 usage, 3 model not supported, 4 tool or device missing,
70 a fault in edgeconv itself, 130 interrupted. docs/errors.md explains them.
"""

from __future__ import annotations

import difflib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

import click

from edgeconv._version import __version__
from edgeconv.cli.console import Console
from edgeconv.cli.verbs import VERBS, verb_module
from edgeconv.errors import EdgeconvError, ToolError, UsageError

__all__ = ["run"]

EXIT_FAULT = 70  # EX_SOFTWARE of sysexits.h: outside 0..4, so that no script takes a fault for a result
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE

# Packages of the extras: the module that is missing -> the extra to install.
_EXTRA_OF_MODULE = {
    "torch": "train",
    "brevitas": "train",
    "onnxoptimizer": "train",
    "onnx_ir": "train",
    "pymoo": "search",
    "sklearn": "search",
    "dask": "search-cluster",
    "distributed": "search-cluster",
    "matplotlib": "report",
    "jinja2": "report",
    "wfdb": "data",
    "h5py": "data",
    "skfem": "data",
    "ai_edge_litert": "bench",
    "openvino": "bench",
}


class VerbGroup(click.Group):
    """A group that imports a verb's module when the verb is called and prints its help from a table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(verb_module(cmd_name)).command
        command.name = cmd_name
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            close = difflib.get_close_matches(args[0], VERBS, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise click.UsageError(f"No such verb '{args[0]}'.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=VerbGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    subcommand_metavar="VERB [ARGS]...",
    epilog="Exit codes: 0 done, 1 verification found a difference, 2 usage, 3 model not supported, "
    "4 tool or device missing.",
)
@click.version_option(__version__, prog_name="edgeconv")
def group() -> None:
    """Turn a quantized network into one integer program and run it bit for bit the same on every target."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; `arguments` are those of the process when None."""
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments), Console())
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) has gone. What is still buffered goes nowhere, or Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    return code


def _run(arguments: list[str], console: Console) -> int:
    try:
        return _invoke(arguments, console)
    except click.exceptions.Exit as request:
        return request.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        print("\nedgeconv: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        return _report(error, console)


def _invoke(arguments: list[str], console: Console) -> int:
    # Not click's own main(): that ends broken pipes with exit code 1, which here means a difference was found.
    with group.make_context("edgeconv", arguments, obj=console) as context:
        code = group.invoke(context)
    return code if isinstance(code, int) else 0


def _report(error: Exception, console: Console) -> int:
    """Print an error as a message for people, and as JSON when that was asked for; return the exit code."""
    if console.verbosity >= 2:
        traceback.print_exception(error)
    deliberate = _as_deliberate(error)
    if deliberate is None:
        print(
            f"edgeconv: fault in edgeconv itself: {type(error).__name__}: {error}\n"
            "  try: the same command with -vv, which prints where it happened, and report it",
            file=sys.stderr,
        )
        return EXIT_FAULT
    print(f"edgeconv: {deliberate}", file=sys.stderr)
    if console.json:
        description = {
            "type": type(deliberate).__name__,
            "problem": deliberate.problem,
            "expected": deliberate.expected,
            "advice": deliberate.advice,
            "exit_code": deliberate.exit_code,
        }
        print(json.dumps({"error": description}, indent=2), flush=True)
    return deliberate.exit_code


def _as_deliberate(error: Exception) -> EdgeconvError | None:
    """The error in edgeconv's own tree, or None when it is a fault."""
    if isinstance(error, EdgeconvError):
        return error
    if isinstance(error, ModuleNotFoundError):
        module = (error.name or "").split(".")[0]
        if module in _EXTRA_OF_MODULE:
            extra = _EXTRA_OF_MODULE[module]
            return ToolError(
                f"the Python package '{module}' is not installed", advice=f"pip install 'edgeconv[{extra}]'"
            )
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename is not None else ""
        return UsageError(f"{place}{error.strerror}")
    return None
