"""`edgeconv targets`: what can be compiled for."""

from __future__ import annotations

import click

from edgeconv.cli.console import Console, format_table
from edgeconv.cli.options import common_options, examples
from edgeconv.errors import DeviceError
from edgeconv.targets import HOST_ALIAS, Target, host_target_name, list_targets, load_target


@click.command(
    epilog=examples(
        "edgeconv targets",
        "edgeconv targets rpi4",
        "edgeconv targets my-board.toml --json",
    )
)
@click.argument("name", required=False)
@common_options
def command(console: Console, name: str | None) -> None:
    """List the targets, or show one.

    NAME is a target's name, `cpu` for the target of this machine, or a TOML file: a file of one's own is checked
    by showing it.
    """
    if name is None:
        targets = list_targets()
        console.result(targets, text=_list_text(targets))
    else:
        target = load_target(name)
        console.result(target, text=_detail_text(target))


def _list_text(targets: tuple[Target, ...]) -> str:
    rows = [(target.name, target.family, _state(target), target.description) for target in targets]
    table = format_table(rows, header=("target", "family", "state", "description"))
    return f"{table}\n\n`{HOST_ALIAS}` is the target of the machine that compiles: {_host_text()}"


def _host_text() -> str:
    try:
        return f"here {host_target_name()}"
    except DeviceError as error:
        return error.problem


def _detail_text(target: Target) -> str:
    rows = [("target", target.name), ("state", _state(target)), ("file", str(target.path))]
    for key, value in target.to_json().items():
        if key == "isas":
            rows += [("instruction set", " ".join((isa.name, isa.cpu, *isa.features))) for isa in target.isas]
        elif key not in ("name", "available"):
            rows.append((key.replace("_", " "), ", ".join(value) if isinstance(value, list) else str(value)))
    return format_table(rows)


def _state(target: Target) -> str:
    return "works" if target.available else "not available yet"
