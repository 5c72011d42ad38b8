"""`edgeconv models`: the families that can be trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from edgeconv.cli.console import Console, format_table
from edgeconv.cli.options import common_options, examples

if TYPE_CHECKING:
    from edgeconv.quantize.family import ModelFamily


@click.command(epilog=examples("edgeconv models", "edgeconv models pulse --json"))
@click.argument("name", required=False)
@common_options
def command(console: Console, name: str | None) -> None:
    """List the families of models, or show the settings of the family NAME.

    A setting is changed by `edgeconv train NAME --set SETTING=VALUE`, several by a TOML file and --config.
    """
    from edgeconv.quantize.family import Configurable, find_family, list_families

    if name is None:
        families = list_families()
        console.result([_description(family) for family in families], text=_list_text(families))
        return
    family = find_family(name)
    settings = asdict(family.config)
    configurations = list(family.configurations) if isinstance(family, Configurable) else []
    rows = [(setting, _value_text(value)) for setting, value in _flat(settings)]
    lines = list(_description(family).items())
    if configurations:
        lines.append(("configurations", ", ".join(configurations)))
    card = format_table(lines)
    text = f"{card}\n\n{format_table(rows, header=('setting', 'default'))}"
    console.result(_description(family) | {"settings": settings, "configurations": configurations}, text=text)


def _description(family: ModelFamily) -> dict[str, str]:
    return {"name": family.name, "summary": family.summary, **asdict(family.card)}


def _list_text(families: tuple[ModelFamily, ...]) -> str:
    rows = [(f.name, f.card.data, f.card.size, f.card.metric, f.card.training) for f in families]
    return format_table(rows, header=("family", "data", "default network", "judged by", "training"))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _value_text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
