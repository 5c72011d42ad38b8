"""`edgeconv compile`: from ONNX to an artifact."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeconv.cli.arguments import read_shapes, split_pair
from edgeconv.cli.console import Console, format_table
from edgeconv.cli.formatting import layer_rows, readable_bytes, readable_count, tuning_text
from edgeconv.cli.options import common_options, examples
from edgeconv.cli.streams import read_stream_settings

if TYPE_CHECKING:
    from edgeconv.api import CompileReport, Progress, TuneProgress

_STAGE_TEXTS = {
    "read": "reading the model",
    "lower": "lowering to integers",
    "prove": "proving every rounding",
    "tune": "measuring blockings",
    "generate": "generating code",
    "golden": "running the reference on golden samples",
    "write": "linking and writing",
    "check": "comparing the code with the reference",
}


@click.command(
    epilog=examples(
        "edgeconv compile pulse.onnx",
        "edgeconv compile pulse.onnx --target rpi4 -o pulse-pi.edge",
        "edgeconv compile depth.onnx --target cuda --shape height=128 --shape width=416",
        "edgeconv compile pulse.onnx --tune --unit time=ns --stream dtype=i16 --stream hop=64",
    )
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-t", "--target", default="cpu", show_default=True, help="Name of a target, or a target file.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder to write; the model's name with .edge.")
@click.option(
    "--shape", "shapes", multiple=True, metavar="NAME=N", help="Extent of a symbolic dimension (not the batch)."
)
@click.option(
    "--unit", "units", multiple=True, metavar="TENSOR=UNIT", help="Unit of an input's or output's real values."
)
@click.option(
    "--stream",
    "stream",
    multiple=True,
    metavar="NAME=VALUE",
    help="A default of `run --stream`: dtype, byte-order, channels, window, hop, record, index, partial.",
)
@click.option("--no-fuse", is_flag=True, help="Keep every operator apart, to look for a fault: same bits, slower.")
@click.option(
    "--one-thread", is_flag=True, help="No call is shared by threads; large images by bands of rows, in less memory."
)
@click.option(
    "--tune", is_flag=True, help="Measure on this machine which blockings of the kernels are fastest: same bits."
)
@common_options
def command(
    console: Console,
    model: Path,
    target: str,
    output: Path | None,
    shapes: tuple[str, ...],
    units: tuple[str, ...],
    stream: tuple[str, ...],
    no_fuse: bool,
    one_thread: bool,
    tune: bool,
) -> None:
    """Compile MODEL, a quantized ONNX file, into an artifact.

    Every rounding step is proved, and the code is compared with the reference on random samples before the artifact
    is put in place; an artifact that is already there is replaced in one step, anything else is left alone.
    """
    from edgeconv.api import compile_model

    with _tune_progress(console) as tuned:
        report = compile_model(
            model,
            target,
            output,
            shapes=read_shapes(shapes),
            units=dict(split_pair(item, "--unit") for item in units),
            stream=read_stream_settings(stream),
            fuse=not no_fuse,
            one_thread=one_thread,
            tune=tune,
            seed=console.seed,
            progress=_progress(console),
            tune_progress=tuned,
        )
    console.result(report, text=_text(report))


def _progress(console: Console) -> Progress | None:
    """A line on stderr as each stage begins; nothing with -q or where stderr is not a terminal, unless -v asks."""
    if console.verbosity < 0 or (not sys.stderr.isatty() and console.verbosity == 0):
        return None

    def show(stage: str, index: int, count: int) -> None:
        print(f"[{index + 1}/{count}] {_STAGE_TEXTS[stage]}", file=sys.stderr, flush=True)

    return show


@contextmanager
def _tune_progress(console: Console) -> Iterator[TuneProgress]:
    """A bar while blockings are measured, from the first of their steps to the last."""
    with ExitStack() as bar:
        advances: list[Callable[[int], None]] = []

        def show(done: int, total: int) -> None:
            if not advances:
                advances.append(bar.enter_context(console.progress("measuring blockings", total)))
            advances[0](1)
            if done == total:
                bar.close()

        yield show


def _text(report: CompileReport) -> str:
    manifest = report.artifact.manifest
    table = format_table(
        layer_rows(manifest.layers, _kernel_names(report)),
        header=("operator", "output", "shape", "MACs", "weights", "kernel", "requantization"),
    )
    isas = format_table(
        [(isa.name, readable_bytes(isa.object_bytes), readable_bytes(isa.blob_bytes), readable_bytes(isa.scratch_bytes))
         for isa in manifest.isas],
        header=("instruction set", "code", "weights", "arena"),
    )  # fmt: skip
    tuning = f"{tuning_text(manifest.tuning)}\n\n" if manifest.tuning else ""
    tested = ", ".join(report.tested_isas) or "none that this machine runs"
    seconds = sum(report.seconds.values())
    return (
        f"{table}\n\n{isas}\n\n{tuning}"
        f"{report.path}: {readable_bytes(report.artifact.size)}, {readable_count(manifest.macs)} MACs a sample, "
        f"target {manifest.target}, {seconds:.1f} s\n"
        f"equal to the reference on {_golden_count(report)} golden samples: {tested}"
    )


def _golden_count(report: CompileReport) -> int:
    inputs, _ = report.artifact.golden()
    return len(next(iter(inputs.values())))


def _kernel_names(report: CompileReport) -> dict[str, str]:
    """Kernel by output tensor, for the fastest instruction set."""
    fastest = list(report.kernels.values())[-1]
    return {kernel.output: f"{kernel.kernel} {kernel.detail}".strip() for kernel in fastest}
