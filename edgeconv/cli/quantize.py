"""`edgeconv quantize`: from a float ONNX model to a quantized one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeconv.cli.arguments import read_shapes
from edgeconv.cli.console import Console, format_table
from edgeconv.cli.formatting import readable_bytes, shorten
from edgeconv.cli.options import common_options, examples

if TYPE_CHECKING:
    from edgeconv.quantize.policy import QuantPolicy
    from edgeconv.quantize.ptq import QuantizeReport


@click.command(
    epilog=examples(
        "edgeconv quantize net.onnx -o net.q.onnx --calibration samples.npz",
        "edgeconv quantize net.onnx --calibration folder/ --method percentile --evaluate heldout.npz",
        "edgeconv quantize net.onnx --calibration samples.npy --policy bits.toml",
    )
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write; the model's name with .q.onnx.")
@click.option(
    "--calibration",
    metavar="DATA",
    help="Samples for the ranges of activations: .npz, .npy, a folder of them; or normal or uniform to draw them.",
)
@click.option(
    "--method",
    type=click.Choice(("mse", "percentile", "minmax")),
    help="How ranges are found.  [minmax, or mse below 8 bits]",
)
@click.option("--policy", "policy_file", type=click.Path(path_type=Path), help="TOML file: bits by layer, methods.")
@click.option("--bits", type=int, help="Bits of weights and activations, for what no rule of the policy says.")
@click.option("--symmetric", is_flag=True, help="Signed activations get signed integers and zero point 0.")
@click.option("--share-concat", is_flag=True, help="One grid for all parts of a concatenation: faster, coarser.")
@click.option("--no-bias-correction", is_flag=True, help="Leave the biases as they are.")
@click.option("--evaluate", metavar="DATA", help="Samples with targets: the metric of both models.")
@click.option(
    "--shape", "shapes", multiple=True, metavar="NAME=N", help="Extent of a symbolic dimension (not the batch)."
)
@common_options
def command(
    console: Console,
    model: Path,
    output: Path | None,
    calibration: str | None,
    method: str | None,
    policy_file: Path | None,
    bits: int | None,
    symmetric: bool,
    share_concat: bool,
    no_bias_correction: bool,
    evaluate: str | None,
    shapes: tuple[str, ...],
) -> None:
    """Quantize MODEL, a float ONNX file, after training.

    Batch normalizations go into the weights, ranges of activations are found on samples, and quantizers are put
    exactly where the integer program rounds. The result is a QDQ model that `edgeconv compile` and onnxruntime read.
    """
    from edgeconv.quantize.ptq import quantize_onnx

    with console.progress("quantizing") as advance:
        report = quantize_onnx(
            model,
            output,
            calibration=calibration,
            policy=_policy(policy_file, method, bits, symmetric),
            evaluation=evaluate,
            shapes=read_shapes(shapes),
            share_concat=share_concat,
            correct_bias=not no_bias_correction,
            seed=console.seed,
            progress=lambda _line: advance(1),
        )
    console.result(report, text="\n".join(_text(report)))


def _policy(file: Path | None, method: str | None, bits: int | None, symmetric: bool) -> QuantPolicy:
    """The policy of a file, or the default, with what the options say instead."""
    from edgeconv.quantize.policy import QuantPolicy

    usual = "mse" if bits is not None and bits < 8 else "minmax"  # measured: docs/quantize.md
    policy = QuantPolicy(calibration=usual) if file is None else QuantPolicy.from_toml(file)
    if method is not None:
        policy = replace(policy, calibration=method)
    if bits is not None:
        # Weights of 16 bits would leave the accumulators: --bits 16 means activations.
        policy = replace(policy, weight_bits=min(bits, 8), activation_bits=bits)
    return replace(policy, symmetric_activations=True) if symmetric else policy


def _text(report: QuantizeReport) -> Iterator[str]:
    weights = {row.layer: row for row in report.weights}
    header = ("layer", "quantized value", "weights", "SQNR dB", "activations", "range", "outside", "SQNR dB")
    rows = []
    for row in report.activations:
        own = weights.pop(row.layer, None)
        rows.append(
            (
                shorten(row.layer),
                row.op,
                "" if own is None else f"{own.bits} bits",
                "" if own is None else f"{own.sqnr_db:.1f}",
                f"{row.bits} bits",
                f"{row.lo:.4g} … {row.hi:.4g}",
                f"{100 * row.saturated:.2g} %" if row.saturated else "",
                "" if row.sqnr_db is None else f"{row.sqnr_db:.1f}",
            )
        )
    for own in weights.values():
        rows.append((shorten(own.layer), "", f"{own.bits} bits", f"{own.sqnr_db:.1f}", "", "", "", ""))
    for name, decibel in report.outputs.items():
        rows.append((shorten(name), "output", "", "", "float", "", "", f"{decibel:.1f}"))
    yield format_table(rows, header=header)
    if report.metrics:
        yield "\n" + format_table(
            [(old.name, _value(old.value, old.unit), _value(new.value, new.unit)) for old, new in report.metrics],
            header=("measure", "float", "quantized"),
        )
    yield f"\ncalibrated on {report.samples} samples: {report.calibration}"
    yield f"weights: {readable_bytes(report.float_bytes)} float, {readable_bytes(report.weight_bytes)} as integers"
    yield f"written to {report.path}\nnext: edgeconv compile {report.path} -o {report.path.name.split('.')[0]}.edge"


def _value(value: float, unit: str) -> str:
    return f"{value:.4g} {unit}".rstrip()
