"""`edgeconv search`: architecture and bit widths together, by real costs; studies that can be resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeconv.cli.console import Console, format_table
from edgeconv.cli.formatting import readable_time
from edgeconv.cli.options import common_options, examples, ssh_option
from edgeconv.cli.search_finish import finish
from edgeconv.cli.search_live import LiveLine, without_result
from edgeconv.errors import UsageError

if TYPE_CHECKING:
    from edgeconv.search.session import Session


class _BeginOrContinue(click.Group):
    """`search NAME …` begins a study; `search show|resume|finish|export STUDY` work on one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            return "begin", self.commands["begin"], args
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return ["begin", "show", "resume", "finish", "export"]


@click.group(
    cls=_BeginOrContinue,
    subcommand_metavar="NAME|show|resume|finish|export [ARGS]...",
    epilog=examples(
        "edgeconv search pulse --objective time_resolution --objective mac_bits --evals 100 --workers 2",
        'edgeconv search pulse -t rpi4 --objective time_resolution --objective latency --constraint "model_bytes<20KB"',
        "edgeconv search ecg_mamba --config full --objective auprc --objective latency --evals 40",
        "edgeconv search show pulse.search",
        "edgeconv search resume pulse.search --evals 500",
        "edgeconv search finish pulse.search --point 7 --steps 500",
        "edgeconv search export pulse.search pulse-small.onnx --point 7 --steps 500",
    ),
)
def command() -> None:
    """Search a family of models for the networks of the best trade-offs: `edgeconv search NAME ...`.

    `search NAME` is short for `search begin NAME`.
    """


command.add_command(finish)


def _worker_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--evals", type=click.IntRange(1), default=300, show_default=True, help="Evaluations in all."),
        click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes here."),
        click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler, in place of processes here."),
        click.option("--deadline", type=float, default=600.0, show_default=True, help="Seconds for an evaluation."),
    ):
        function = option(function)
    return function


@command.command()
@click.argument("name")
@click.option("-t", "--target", default="cpu", show_default=True, help="Target that costs are for.")
@click.option("--objective", "objectives", multiple=True, required=True, metavar="METRIC", help="Repeat for each.")
@click.option("--constraint", "constraints", multiple=True, metavar="METRIC<BOUND", help='Such as "latency<5us".')
@click.option("--strategy", default="predictors", show_default=True, help="predictors, nsga2, random or grid.")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=N",
    help="Of the strategy, such as first=24 of predictors; repeat.",
)
@click.option(
    "--config", "configuration", default="", metavar="NAME", help="Recipe of the family; its first if not given."
)
@click.option("--supernet", type=click.Path(path_type=Path), help="Weights of a supernet trained before.")
@click.option("--supernet-steps", type=click.IntRange(1), default=8000, show_default=True)
@click.option(
    "--recipe-share",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.1,
    show_default=True,
    help="Without a supernet: share of its recipe's steps that each network is trained for.",
)
@click.option("--board", default="", metavar="[USER@]HOST", help="Measure latencies there, over ssh, and not here.")
@ssh_option
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder of the study; NAME.search if not given.")
@_worker_options
@common_options
def begin(
    console: Console,
    name: str,
    target: str,
    objectives: tuple[str, ...],
    constraints: tuple[str, ...],
    strategy: str,
    options: tuple[str, ...],
    configuration: str,
    supernet: Path | None,
    supernet_steps: int,
    recipe_share: float,
    board: str,
    ssh_options: tuple[str, ...],
    output: Path | None,
    **workers: Any,
) -> None:
    """Search the family NAME; a study that is there and was begun with the same settings is continued."""
    from edgeconv.search.session import Settings

    settings = Settings(
        name,
        target,
        objectives,
        constraints,
        strategy,
        dict(map(_option, options)),
        seed=console.seed,
        configuration=configuration,
        supernet_steps=supernet_steps,
        recipe_share=recipe_share,
        board=board,
        ssh_options=ssh_options,
    )
    _run(console, output or Path(f"{name}.search"), settings, supernet, **workers)


def _option(text: str) -> tuple[str, int | float]:
    name, _, number = text.partition("=")
    try:
        return name, int(number) if number.isdecimal() else float(number)
    except ValueError as error:
        raise UsageError(f"option '{text}'", expected="NAME=N, such as first=24") from error


@command.command()
@click.argument("study", type=click.Path(path_type=Path))
@_worker_options
@common_options
def resume(console: Console, study: Path, **workers: Any) -> None:
    """Continue the search in the folder STUDY as if it had never stopped."""
    _run(console, study, None, None, **workers)


@command.command()
@click.argument("study", type=click.Path(path_type=Path))
@common_options
def show(console: Console, study: Path) -> None:
    """Show the front of the study in the folder STUDY, and write its reports again."""
    from edgeconv.search.session import read_session

    _finish(console, read_session(study))


@command.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--point", type=click.IntRange(0), default=0, show_default=True, help="Of the front, for .onnx.")
@click.option("--steps", type=click.IntRange(0), default=0, show_default=True, help="Of fine-tuning, for .onnx.")
@common_options
def export(console: Console, study: Path, output: Path, point: int, steps: int) -> None:
    """Write every evaluation of STUDY to OUTPUT (.csv, .parquet), or a network of its front (.onnx)."""
    if output.suffix == ".onnx":
        _export_winner(console, study, output, point, steps)
        return
    from edgeconv.search.export import export as write
    from edgeconv.search.session import STUDY
    from edgeconv.search.study import Study

    with Study(study / STUDY) as opened:
        records = opened.records()
    write(records, output)
    console.result({"file": output, "evaluations": len(records)}, text=f"{output}: {len(records)} evaluations")


def _export_winner(console: Console, study: Path, output: Path, point: int, steps: int) -> None:
    from edgeconv.search.problem import readable
    from edgeconv.search.session import read_session
    from edgeconv.search.winners import export_winner

    live = LiveLine(console)
    session = read_session(study)
    try:
        winner = export_winner(
            session,
            point,
            output,
            steps=steps,
            progress=lambda p: live.show(f"{p.stage}: step {p.step} of {p.steps}, loss {p.loss:.3g}"),
        )
    finally:
        live.end()
    units = {name: metric.unit for name, metric in session.settings.task().metrics.items()}
    lines = [f"{output}: {winner.text}"]
    for name, value in winner.metrics.items():
        before = f", {readable(winner.inherited[name], units[name])} before {steps} steps" if winner.steps else ""
        lines.append(f"{name}: {readable(value, units[name])}{before}")
    if steps and not winner.steps:
        lines.append(f"{steps} steps of fine-tuning made all of that worse, and were taken back")
    console.result(winner, text="\n".join(lines))


def _run(
    console: Console,
    folder: Path,
    settings: Any,
    supernet: Path | None,
    evals: int,
    workers: int,
    scheduler: str | None,
    deadline: float,
) -> None:
    from edgeconv.search.engines import Supervision
    from edgeconv.search.session import Workers, run_session

    live = LiveLine(console)
    try:
        session = run_session(
            folder,
            settings,
            evaluations=evals,
            workers=Workers(workers, scheduler, Supervision(deadline)),
            supernet=supernet,
            training=lambda p: live.show(f"supernet: step {p.step} of {p.steps}, loss {p.loss:.3g}"),
            progress=live.report,
            say=live.say,
        )
    finally:
        live.end()
    _finish(console, session)


def _finish(console: Console, session: Session) -> None:
    from edgeconv.search.problem import readable
    from edgeconv.search.reports import front_document, write_reports

    written = write_reports(session)
    document = front_document(session)
    metrics = session.problem.metrics
    rows = [
        (str(point["point"]), *(readable(point["metrics"][m.name], m.unit) for m in metrics), point["text"])
        for point in document["front"]
    ]
    table = format_table(rows, header=("point", *(m.name for m in metrics), "network"))
    without = without_result(document["ended_early"], document["failed"])
    took = f" in {readable_time(session.seconds)}" if session.seconds else ""
    files = ", ".join(path.name for path in written if path.parent == session.folder)
    text = (
        f"{table}\n\n{document['evaluations']} evaluations{without}{took}, hypervolume {document['hypervolume']:.4f}\n"
        f"written to {session.folder}: {files}, policies/"
    )
    console.result(document | {"files": written}, text=text)
