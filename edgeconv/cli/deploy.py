"""`edgeconv deploy`: an artifact onto another machine, over ssh."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeconv.cli.console import Console, format_table
from edgeconv.cli.formatting import readable_bytes, readable_count, readable_time
from edgeconv.cli.options import common_options, examples, ssh_option, threads_option
from edgeconv.errors import UsageError

if TYPE_CHECKING:
    from edgeconv.deploy import DeployReport


@click.command(
    epilog=examples(
        "edgeconv deploy pulse.edge pi@raspberrypi.local",
        "edgeconv deploy pulse.edge pi@10.0.0.7:/opt/models/pulse.edge --keep-old -b 1 -b 256",
        'edgeconv deploy pulse.edge pi@raspberrypi.local --remove --ssh-option "-p 2222"',
        "edgeconv deploy pulse-board.edge --device serial:/dev/ttyUSB0",
    )
)
@click.argument("artifact", type=click.Path(path_type=Path))
@click.argument("destination", required=False)
@click.option("--device", metavar="serial:PORT", help="A board with an FPGA, instead of a machine.")
@click.option("-b", "--batch", "batches", type=click.IntRange(min=1), multiple=True, help="Samples in a call; repeat.")
@click.option("--rounds", type=click.IntRange(min=1), default=200, show_default=True, help="Readings of each time.")
@click.option("--keep-old", is_flag=True, help="Rename the artifact that is there to PATH.old.")
@click.option("--remove", "removes", is_flag=True, help="Remove the artifact from the machine instead.")
@ssh_option
@threads_option
@common_options
def command(
    console: Console,
    artifact: Path,
    destination: str | None,
    device: str | None,
    batches: tuple[int, ...],
    rounds: int,
    keep_old: bool,
    removes: bool,
    ssh_options: tuple[str, ...],
    threads: int,
) -> int:
    """Put ARTIFACT on the machine of DESTINATION, [user@]host or [user@]host:path.

    It is copied beside its place, checked, run on its golden samples with every instruction set of that machine, and
    only then renamed; the times of a call are measured last. The machine needs ssh, a shell and tar, no Python.
    Without a path it lies in the user's home under its own name. Exit code 1: the self-test found a difference, and
    nothing was replaced.

    With --device the artifact's bitstream goes into a board through openFPGALoader, then its network through the
    serial port, and a golden sample is run; without openFPGALoader the command is printed.
    """
    if (destination is None) == (device is None):
        raise UsageError("deploy needs one place", expected="a destination for ssh, or --device serial:PORT")
    if device is not None:
        _to_board(console, artifact, device)
        return 0
    assert destination is not None
    from edgeconv.deploy import Destination, deploy, remove

    where = Destination.parse(destination, artifact.resolve().name, ssh_options)
    if removes:
        was_there = remove(where)
        text = f"{where} is removed" if was_there else f"{where} was not there"
        console.result({"host": where.host, "path": where.path, "removed": was_there}, text=text)
        return 0
    report = deploy(artifact, where, batches=batches or (1,), rounds=rounds, threads=threads, keep_old=keep_old)
    console.result(report, text=_text(report))
    return 0 if report.passed else 1


def _to_board(console: Console, artifact: Path, device: str) -> None:
    from edgeconv.deploy.board import deploy_to_board

    report = deploy_to_board(artifact, device)
    done = f"{artifact} is on the board at {device}; its self-test found no difference"
    text = done if report.programmed else f"openFPGALoader is not installed. Where it is, run:\n  {report.command}"
    console.result(report, text=text)


def _text(report: DeployReport) -> str:
    machine = report.machine
    lines = [
        f"{report.host}: {machine.model or 'Linux'}, {machine.architecture}, {machine.cores} cores",
        "",
        *report.self_test,
    ]
    if not report.passed:
        return "\n".join([*lines, "", f"the self-test failed: {report.path} was not touched"])
    rows = [
        (
            timing.isa,
            str(timing.batch),
            readable_time(timing.median),
            f"{readable_time(timing.low)} … {readable_time(timing.high)}",
            readable_count(timing.samples_per_second),
        )
        for timing in report.timings
    ]
    table = format_table(rows, header=("code", "batch", "median", "5 % … 95 %", "samples/s"))
    place = f"{report.host}:{report.path}: {readable_bytes(report.bytes)} sent, {report.seconds:.1f} s"
    if report.replaced:
        place += f"; the artifact before it is {report.kept}" if report.kept else "; the artifact before it is replaced"
    return "\n".join([*lines, "", table, "", place])
