"""`edgeconv search finish`: networks of a front, ready for use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeconv.cli.console import Console, format_table
from edgeconv.cli.options import common_options, examples
from edgeconv.cli.search_live import LiveLine

if TYPE_CHECKING:
    from edgeconv.quantize.family import TrainingProgress
    from edgeconv.search.finish import Finished
    from edgeconv.search.session import Session

_FAILED = 1


@click.command(
    epilog=examples(
        "edgeconv search finish pulse.search",
        "edgeconv search finish pulse.search --own --point 3 --point 7 --steps 2000",
    )
)
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--point", "points", type=click.IntRange(0), multiple=True, help="Of the front; repeat. All if none.")
@click.option("--own", is_flag=True, help="And the family's own network, of 8 bits, to compare them with.")
@click.option(
    "--steps",
    type=click.IntRange(0),
    help="Of training: of fine-tuning (500 if not given), or without a supernet of the recipe (all of its steps).",
)
@click.option("--samples", type=click.IntRange(1), default=64, show_default=True, help="To verify with.")
@common_options
def finish(console: Console, study: Path, points: tuple[int, ...], own: bool, steps: int | None, samples: int) -> int:
    """Train on, export, compile, verify and measure networks of the front of STUDY.

    Each gets a folder under STUDY/winners with the model and the artifact. What is finished already is kept: a run
    that was stopped goes on where it was. The exit code is 1 where a network fails; the others are finished.
    """
    from edgeconv.search.finish import finish_winners
    from edgeconv.search.session import read_session

    live = LiveLine(console)
    session = read_session(study)
    wanted = (len(set(points)) or len(session.front)) + own
    done: list[Finished] = []

    def training(point: str) -> Callable[[TrainingProgress], None]:
        where = f"point {point} ({len(done) + 1} of {wanted})"
        return lambda p: live.show(f"{where}: {p.stage}, step {p.step} of {p.steps}, loss {p.loss:.3g}")

    try:
        for finished in finish_winners(session, points, own=own, steps=steps, samples=samples, training=training):
            done.append(finished)
            live.end()
            outcome = f"failed: {finished.reason}" if finished.reason else "ready"
            live.say(f"point {finished.point} ({len(done)} of {wanted}) {outcome}")
    finally:
        live.end()
    console.result({"target": session.settings.target, "winners": done}, text=_table(session, done))
    return _FAILED if any(finished.reason for finished in done) else 0


def _table(session: Session, done: Sequence[Finished]) -> str:
    from edgeconv.search.costs import COSTS
    from edgeconv.search.problem import readable
    from edgeconv.search.task import metrics_of

    known = metrics_of(session.settings.task())
    names = list(dict.fromkeys(name for finished in done for name in finished.metrics))
    rows = []
    for finished in done:
        row = [finished.point]
        for name in names:
            if name not in finished.metrics:
                row.append("")
                continue
            now = readable(finished.metrics[name], known[name].unit)
            judged = name not in COSTS and name in finished.inherited and finished.steps > 0
            row.append(f"{readable(finished.inherited[name], known[name].unit)} → {now}" if judged else now)
        equal = f"{finished.compared} values equal" if finished.compared else "does not run here"
        rows.append([*row, "failed" if finished.reason else equal, "" if finished.reason else finished.folder])
    header = ["point", *names, "verified", f"model and artifact for {session.settings.target}"]
    return format_table(rows, header=header)
