"""`edgeconv verify`: artifact against reference, onnxruntime and the float model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeconv.cli.console import Console, format_table
from edgeconv.cli.options import common_options, device_option, examples

if TYPE_CHECKING:
    from edgeconv.verify import Comparison, VerifyReport

_DIFFERENT = 1


@click.command(
    epilog=examples(
        "edgeconv verify pulse.edge",
        "edgeconv verify pulse.edge --model pulse.onnx --samples 1000",
        "edgeconv verify pulse.edge --model pulse.onnx --float pulse_float.onnx --input heldout.npz",
    )
)
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--model", type=click.Path(path_type=Path), help="The ONNX file it was compiled from.")
@click.option("--float", "float_model", type=click.Path(path_type=Path), help="The float ONNX file (needs --model).")
@click.option("--input", "inputs", type=click.Path(path_type=Path), help=".npz or .npy with samples; random if absent.")
@click.option("--samples", default=64, show_default=True, help="Number of random samples.")
@click.option("--shape", "shapes", multiple=True, metavar="NAME=N", help="Value of a symbolic dimension of the model.")
@device_option
@common_options
def command(
    console: Console,
    artifact: Path,
    model: Path | None,
    float_model: Path | None,
    inputs: Path | None,
    samples: int,
    shapes: tuple[str, ...],
    device: str | None,
) -> int:
    """Check ARTIFACT against the reference and against everything else at hand.

    Always: the certificates are checked again without trusting the compiler, the golden data is computed again, and
    every instruction set that runs here is compared with the reference, bit for bit. With --model, program,
    certificates and library are derived again from the model, and onnxruntime is compared layer by layer, each
    difference with its cause. Differences to onnxruntime are reported and do not fail the verification; a difference
    between artifact and reference does: exit code 1.
    """
    from edgeconv.cli.arguments import read_samples, read_shapes
    from edgeconv.verify import verify

    data = None if inputs is None else read_samples(inputs, artifact)
    with console.progress("verifying") as advance:
        report = verify(
            artifact,
            model=model,
            float_model=float_model,
            inputs=data,
            samples=samples,
            seed=console.seed,
            shapes=read_shapes(shapes),
            progress=lambda _line: advance(1),
            device=device,
        )
    console.result(report.as_json(), text="\n".join(_text(report)))
    return 0 if report.ok else _DIFFERENT


def _text(report: VerifyReport) -> Iterator[str]:
    yield f"{report.artifact}: {report.samples} samples"
    if report.proved:
        yield f"certificates: {report.proved} channels checked again in {report.certificate_seconds * 1e3:.0f} ms"
    if report.comparisons:
        rows = [_row(comparison) for comparison in report.comparisons]
        yield "\n" + format_table(
            rows, header=("reference against", "output", "values", "different", "largest", "first")
        )
    if report.layers:
        yield "\nlayers (reference against onnxruntime, optimizations off):"
        with_sqnr = any(layer.sqnr_db is not None for layer in report.layers)
        header = (
            "layer",
            "ONNX node",
            "values",
            "different",
            "saturated",
            *(("SQNR dB",) if with_sqnr else ()),
            "causes",
        )
        yield format_table([_layer_row(layer, with_sqnr) for layer in report.layers], header=header)
    if report.metrics:
        yield "\nagainst the float model:"
        yield format_table([(m.name, f"{m.value:.4g} {m.unit}".rstrip()) for m in report.metrics])
    for note in report.notes:
        yield f"note: {note}"
    for problem in report.problems:
        yield f"PROBLEM  {problem}"
    yield "verified: artifact and reference agree bit for bit" if report.ok else "NOT verified"


def _row(comparison: Comparison) -> tuple[str, ...]:
    first = ""
    if comparison.first is not None and comparison.first_values is not None:
        mine, theirs = comparison.first_values
        first = f"{list(comparison.first)}: {mine:.9g}, {theirs:.9g}"
    values, different = str(comparison.values), str(comparison.different)
    return comparison.peer, comparison.output, values, different, f"{comparison.largest:.3g}", first


def _layer_row(layer: object, with_sqnr: bool) -> tuple[str, ...]:
    from edgeconv.verify import LayerComparison

    assert isinstance(layer, LayerComparison)
    causes = ", ".join(f"{count} {cause}" for cause, count in layer.causes.items())
    sqnr = ("" if layer.sqnr_db is None else f"{layer.sqnr_db:.1f}",) if with_sqnr else ()
    share = f"{100 * layer.saturated:.1f} %"
    return layer.operator, layer.origin, str(layer.values), str(layer.different), share, *sqnr, causes
