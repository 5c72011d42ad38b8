"""`edgeconv bench`: how fast an artifact is on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeconv.cli.console import Console, format_table
from edgeconv.cli.formatting import readable_count, readable_time
from edgeconv.cli.options import common_options, device_option, examples, threads_option

if TYPE_CHECKING:
    from edgeconv.bench import ArrayBench, BenchReport, EmulatedBench


@click.command(
    epilog=examples(
        "edgeconv bench pulse.edge",
        "edgeconv bench pulse.edge --model pulse.onnx -b 1 -b 256",
        "edgeconv bench pulse-board.edge --device serial:/dev/ttyUSB0",
    )
)
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("-m", "--model", type=click.Path(path_type=Path), help="The int8 ONNX model, for onnxruntime beside it.")
@click.option("-b", "--batch", "batches", type=click.IntRange(min=1), multiple=True, help="Samples in a call; repeat.")
@click.option("--passes", type=click.IntRange(min=1), default=5, show_default=True, help="Turns of each way to run.")
@click.option("--isa", help="Instruction set; the fastest that this machine runs when left out.")
@threads_option
@device_option
@common_options
def command(
    console: Console,
    artifact: Path,
    model: Path | None,
    batches: tuple[int, ...],
    passes: int,
    isa: str | None,
    threads: int,
    device: str | None,
) -> None:
    """Measure ARTIFACT from Python and from C, warm; one thread, pinned to one core, unless --threads asks for more.

    Medians with the 5th and 95th percentile. The ways to run take turns in shuffled order, so with --model the
    comparison with onnxruntime is made in the same minute on the same core.

    An artifact for another architecture runs under emulation, where time means nothing: the instructions of one
    inference are counted instead. One for the accelerator is measured in the array's cycles, on --device.
    """
    from edgeconv.artifact import read
    from edgeconv.bench import bench, bench_array, count_instructions
    from edgeconv.runtime.cpu_features import host_architecture
    from edgeconv.runtime.ways import require_device

    manifest = read(artifact).manifest
    require_device(manifest, device)
    if manifest.family == "fpga":
        measured = bench_array(artifact, device, seed=console.seed)
        console.result(measured, text=_array_text(measured))
        return
    if manifest.architecture != host_architecture():
        counted = count_instructions(artifact, isa)
        console.result(counted, text=_counts_text(counted))
        return
    sizes = batches or (1, 256)
    turns = passes * len(sizes) * (4 if model else 3)
    with console.progress("measuring", turns) as advance:
        report = bench(
            artifact,
            model=model,
            batches=sizes,
            passes=passes,
            isa=isa,
            threads=threads,
            seed=console.seed,
            progress=advance,
        )
    console.result(report, text=_text(report))


def _counts_text(report: EmulatedBench) -> str:
    rows = [
        (count.isa, count.cpu, f"{count.instructions:,}", f"{report.macs / count.instructions:.1f}")
        for count in report.counts
    ]
    table = format_table(rows, header=("instruction set", "emulated CPU", "instructions", "MACs each"))
    return (
        f"{table}\n\n{readable_count(report.macs)} MACs a sample; instructions that one inference retires under qemu, "
        "its reading and\nwriting included. Time was not measured: under emulation it says nothing about a board."
    )


def _array_text(report: ArrayBench) -> str:
    counted = f"{report.cycles} cycles a sample, counted by the array on {report.device} for {report.samples} samples"
    lines = [
        f"{counted}; {report.use:.0%} of {report.multipliers} multipliers",
        f"{report.samples_per_second:,.0f} samples/s at {report.clock_mhz:g} MHz, the clock of the target",
    ]
    if report.bytes_sent:
        rates = ", ".join(f"{rate:,.0f} at {baud:,} baud" for baud, rate in report.serial_samples_per_second.items())
        lines.append(
            f"over the serial line: {report.bytes_sent:.0f} bytes to the board and {report.bytes_received:.0f} back a "
            f"sample, so at most {rates}"
        )
    if report.measured_samples_per_second is not None:
        lines.append(f"measured over {report.device}: {report.measured_samples_per_second:,.1f} samples/s")
    return "\n".join(lines)


def _text(report: BenchReport) -> str:
    rows = []
    for timing in sorted(report.timings, key=lambda timing: timing.batch):
        share, speedup = report.share_of_peak(timing), report.speedup(timing)
        rows.append(
            (
                timing.subject,
                str(timing.batch),
                readable_time(timing.median),
                f"{readable_time(timing.low)} … {readable_time(timing.high)}",
                readable_count(timing.samples_per_second),
                "" if share is None else f"{share:.0%}",
                "" if speedup is None else f"{speedup:.1f}×",
            )
        )
    header = ("way", "batch", "median", "5 % … 95 %", "samples/s", "of peak", "vs onnxruntime")
    code = report.isa + (f", {report.threads} threads" if report.threads > 1 else "")
    peak = f"; int8 peak of one core {readable_count(report.peak)} MAC/s, measured" if report.peak else ""
    core = f", core {report.core}" if report.core is not None else ""
    lines = [
        format_table(rows, header=header),
        "",
        f"{report.cpu}, {code}{core}, load {report.load:.1f}; {readable_count(report.macs)} MACs a sample{peak}",
    ]
    return "\n".join([*lines, *report.notes])
