"""`edgeconv train`: a family's network and its quantized twin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeconv.cli.console import Console, format_table
from edgeconv.cli.formatting import readable_time
from edgeconv.cli.options import common_options, examples
from edgeconv.errors import UsageError

if TYPE_CHECKING:
    from edgeconv.quantize.family import TrainingProgress
    from edgeconv.quantize.run import TrainReport


@click.command(
    epilog=examples(
        "edgeconv train pulse",
        "edgeconv train pulse --policy 4bit.toml --out pulse4 --seed 3",
        "edgeconv train pulse --config wide --out pulse-wide",
        "edgeconv train pulse --set pulses.snr_db=40 --set float_stage.steps=300",
        "edgeconv train pulse --out pulse4 --resume",
    )
)
@click.argument("name")
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    help="TOML file: bits of layers, kinds of scales; the rest is the recipe's.",
)
@click.option(
    "--config",
    "configs",
    multiple=True,
    metavar="NAME|FILE",
    help="A configuration of the family, or a TOML file of settings, or one of each.",
)
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="One setting; dots lead into tables.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder to write; the family's name.")
@click.option("--resume", is_flag=True, help="Go on with the training in the folder, whatever ended it.")
@common_options
def command(
    console: Console,
    name: str,
    policy: Path | None,
    configs: tuple[str, ...],
    assignments: tuple[str, ...],
    out: Path | None,
    resume: bool,
) -> None:
    """Train the network of the family NAME in float, then its quantized twin.

    Both are judged on data that no training has seen, exported and drawn. A training that was killed goes on with
    --resume and ends with the same bits. `edgeconv models NAME` shows the settings.
    """
    from edgeconv.quantize.policy import QuantPolicy
    from edgeconv.quantize.run import train_family
    from edgeconv.quantize.settings import read_assignments, read_settings

    files = [config for config in configs if Path(config).is_file()]
    names = [config for config in configs if config not in files]
    if len(files) > 1 or len(names) > 1:
        raise UsageError(f"--config {' --config '.join(configs)}", expected="one name and one file at most")
    settings = _merged(read_settings(files[0]) if files else {}, read_assignments(assignments))
    if policy:
        QuantPolicy.from_toml(policy)  # for messages that name the file
        settings = _merged(settings, {"policy": read_settings(policy)})
    given = click.get_current_context().get_parameter_source("seed")
    with console.progress(f"training {name}", 1000) as advance:
        shown = 0

        def progress(report: TrainingProgress) -> None:
            nonlocal shown
            now = 1000 * report.step // report.steps
            advance(now - shown)
            shown = now

        report = train_family(
            name,
            out or Path(name),
            configuration=names[0] if names else None,
            settings=settings,
            seed=None if given is click.core.ParameterSource.DEFAULT else console.seed,
            resume=resume,
            progress=progress,
        )
    console.result(report, text="\n".join(_text(report)))


def _merged(one: dict[str, object], other: dict[str, object]) -> dict[str, object]:
    """The values of both, tables merged; the other's where both have one."""
    merged = dict(one)
    for name, value in other.items():
        before = merged.get(name)
        merged[name] = _merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return merged


def _text(report: TrainReport) -> Iterator[str]:
    yield "stages: " + ", ".join(f"{stage} {readable_time(seconds)}" for stage, seconds in report.seconds.items())
    yield ""
    yield format_table(report.comparison.rows, header=report.comparison.header)
    yield from report.comparison.remarks
    yield ""
    yield "models: " + ", ".join(f"{path} ({dialect})" for dialect, path in report.models.items())
    if report.plots:
        yield "plots:  " + ", ".join(map(str, report.plots))
    yield from report.remarks
    yield f"next:   edgeconv compile {report.quantized}"
