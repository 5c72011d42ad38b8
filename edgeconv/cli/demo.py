"""`edgeconv demo`: the whole way, from simulated pulses to a verified artifact."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeconv.cli.console import Console, format_table
from edgeconv.cli.formatting import readable_time
from edgeconv.cli.options import common_options, examples

if TYPE_CHECKING:
    from edgeconv.demo import DemoResult

_DIFFERENT = 1


@click.command(epilog=examples("edgeconv demo", "edgeconv demo -o my-demo --seed 3"))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="Folder to write."
)
@click.option("--samples", default=10_000, show_default=True, help="Held-out samples to verify on.")
@common_options
def command(console: Console, output: Path, samples: int) -> int:
    """Simulate detector pulses, train a network on them, compile it for this machine and verify it.

    Takes a few minutes on two cores. Everything that is made stays in the output folder.
    """
    from edgeconv.demo import STAGES, run_demo

    scale = 100
    with console.progress("demo", len(STAGES) * scale) as advance:
        done = 0

        def progress(stage: str, share: float) -> None:
            nonlocal done
            now = int((STAGES.index(stage) + share) * scale)
            advance(now - done)
            done = now

        result = run_demo(output, seed=console.seed, samples=samples, progress=progress)
    console.result(result, text="\n".join(_text(result)))
    return 0 if result.verification.ok else _DIFFERENT


def _text(result: DemoResult) -> Iterator[str]:
    yield "stages: " + ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in result.seconds.items())
    yield ""
    yield format_table(result.comparison.rows, header=result.comparison.header)
    yield from result.comparison.remarks
    yield ""
    report = result.verification
    rows = [(c.peer, str(c.values), str(c.different), f"{c.largest:.3g}") for c in report.comparisons]
    yield f"verified on {report.samples} held-out samples; the reference against"
    yield format_table(rows, header=("", "values", "different", "largest difference"))
    yield f"certificates: {report.proved} channels checked again in {report.certificate_seconds * 1e3:.0f} ms"
    for problem in report.problems:
        yield f"PROBLEM  {problem}"
    yield ""
    timings = result.timings
    rows = []
    for timing in sorted(timings.timings, key=lambda timing: timing.batch):
        ratio = timings.speedup(timing)
        versus = "" if ratio is None else f"{ratio:.1f}×"
        rows.append((timing.subject, str(timing.batch), readable_time(timing.median), versus))
    yield format_table(rows, header=("way", "batch", "median of a call", "vs onnxruntime int8"))
    yield ""
    yield f"models:   {result.model} (QCDQ), {result.qonnx} (QONNX), {result.float_model}"
    yield f"artifact: {result.artifact}   try: edgeconv inspect {result.artifact}"
    yield "plots:    " + ", ".join(map(str, result.plots))
