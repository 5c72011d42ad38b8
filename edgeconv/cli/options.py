"""The options that every verb has."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable
from typing import Any

import click

from edgeconv.cli.console import Console

__all__ = ["common_options", "device_option", "examples", "ssh_option", "threads_option"]


def examples(*lines: str) -> str:
    """The end of a verb's help: command lines that a user may type."""
    return "\n  ".join(("\b\nExamples:", *lines))


threads_option = click.option(
    "--threads",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Threads that share a call; the results are the same.",
)


device_option = click.option(
    "--device",
    metavar="DEVICE",
    help="Where an artifact for the accelerator runs: sim, its RTL simulated; sim-soc, with processor and protocol; "
    "serial:PORT[@BAUD], a board.",
)


def _words(_context: click.Context, _parameter: click.Parameter, options: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for option in options for word in shlex.split(option))


ssh_option = click.option(
    "--ssh-option",
    "ssh_options",
    multiple=True,
    metavar="OPTION",
    callback=_words,
    help="For ssh, such as '-p 2222' or '-i KEY'.",
)
"""Hands over words, as ssh takes them."""


def common_options(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """Add `--json`, `-v`, `-q` and `--seed` to a verb and hand it the `Console` they make as its first argument."""

    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
    @click.option("-v", "--verbose", count=True, help="Say more on stderr; twice: with tracebacks.")
    @click.option("-q", "--quiet", is_flag=True, help="Say nothing on stderr but errors.")
    @click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all randomness.")
    @click.pass_obj
    @functools.wraps(function)
    def with_console(
        console: Console, /, *, as_json: bool, verbose: int, quiet: bool, seed: int, **arguments: Any
    ) -> int | None:
        # The console of the process is filled in, not replaced: error handling reads the same one.
        console.json, console.seed = as_json, seed
        console.verbosity = -1 if quiet else verbose
        console.configure_logging()
        return function(console, **arguments)

    return with_console
