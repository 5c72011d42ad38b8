"""`edgeconv run`: an artifact on arrays in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeconv.cli import streams
from edgeconv.cli.console import Console, format_table
from edgeconv.cli.options import common_options, device_option, examples, threads_option
from edgeconv.errors import UsageError


@click.command(
    epilog=examples(
        "edgeconv run pulse.edge -i pulses.npy -o results.npz",
        "edgeconv run pulse.edge -i pulses.npy --isa avx2 --threads 2",
        "edgeconv run pulse-board.edge -i pulses.npy --device sim",
        "cat /dev/adc0 | edgeconv run pulse.edge --stream --record text",
    )
)
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option(
    "-i", "--input", "source", help="A .npz keyed by input names, a .npy for a single input, or -; a raw stream."
)
@click.option(
    "-o", "--output", "sink", help="A .npz, a .npy for a single output, or - (.npy); a summary when left out."
)
@click.option("--isa", help="Instruction set; the fastest that this machine runs when left out.")
@threads_option
@device_option
@click.option("--allow-nan", is_flag=True, help="NaN in an input gives the zero point; otherwise it is refused.")
@streams.stream_options
@common_options
def command(
    console: Console,
    artifact: Path,
    source: str | None,
    sink: str | None,
    isa: str | None,
    threads: int,
    device: str | None,
    allow_nan: bool,
    is_stream: bool,
    **stream: Any,
) -> None:
    """Run ARTIFACT on the samples of a file, or on a stream of points.

    For an input of shape (1, 1, 128) arrays of shape (N, 1, 128) and (N, 1, 1, 128) mean N samples. Without an output
    file the outputs' shapes, ranges and first values are printed. With --stream raw points are read, from standard
    input unless -i names a file, and a record is written for every window, to standard output unless -o does; what an
    option leaves out is in the artifact.
    """
    if not is_stream and any(value is not None for value in stream.values()):
        raise UsageError("an option of --stream without --stream")
    if source is None and not is_stream:
        raise UsageError("no input", expected="-i FILE")
    from edgeconv.runtime.files import read_inputs, refuse_nan, write_outputs
    from edgeconv.runtime.runner import load

    runner = load(artifact, isa, threads, device)
    if is_stream or source is None:
        streams.run(console, runner, source or "-", sink or "-", allow_nan, stream)
        return
    inputs = read_inputs(source, runner.inputs)
    if not allow_nan:
        refuse_nan(inputs)
    results = runner(inputs)
    outputs = results if isinstance(results, dict) else {runner.outputs[0].name: results}
    if sink is not None:
        write_outputs(sink, outputs)
    if sink == "-":
        return
    summary = {
        name: {
            "dtype": str(array.dtype),
            "shape": array.shape,
            "min": array.min().item() if array.size else None,
            "max": array.max().item() if array.size else None,
            "first": array.reshape(-1)[:8].tolist(),
        }
        for name, array in outputs.items()
    }
    rows = [
        (
            name,
            f"{entry['dtype']} {entry['shape']}",
            f"{entry['min']:.6g} … {entry['max']:.6g}",
            _values(entry["first"]),
        )
        for name, entry in summary.items()
        if entry["min"] is not None
    ]
    text = format_table(rows, header=("output", "array", "range", "first values")) if rows else "no samples"
    if sink is not None:
        text = f"{text}\n\nwritten to {sink}"
    console.result({"isa": runner.isa, "output_file": sink, "outputs": summary}, text=text)


def _values(values: object) -> str:
    assert isinstance(values, list)
    return " ".join(f"{value:.6g}" for value in values)
