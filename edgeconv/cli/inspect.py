"""`edgeconv inspect`: what an artifact or a model holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from edgeconv.cli.arguments import read_shapes
from edgeconv.cli.console import Console, format_table
from edgeconv.cli.formatting import layer_rows, readable_bytes, readable_count, tuning_text
from edgeconv.cli.options import common_options, examples


@click.command(
    epilog=examples(
        "edgeconv inspect pulse.edge",
        "edgeconv inspect pulse.edge --text",
        "edgeconv inspect model.onnx --shape length=4000",
    )
)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--text", is_flag=True, help="Print the integer program; long lists are abbreviated unless -v is given.")
@click.option("--shape", "shapes", multiple=True, metavar="NAME=N", help="Extent of a symbolic dimension of a model.")
@common_options
def command(console: Console, path: Path, text: bool, shapes: tuple[str, ...]) -> None:
    """Show what PATH holds: an artifact, or a quantized ONNX model as edgeconv lowers it.

    Prints inputs, outputs, layers with shapes, multiply-accumulates and forms of requantization, and memory. All
    hashes of an artifact are checked.
    """
    from edgeconv.artifact import is_artifact, read

    extents = read_shapes(shapes)
    if text:
        _print_program(console, path, extents)
    elif is_artifact(path) or path.is_dir() or path.suffix == ".edge":
        artifact = read(path)
        if artifact.manifest.family == "fpga":
            from edgeconv.cli.array import array_facts, array_text

            facts = array_facts(artifact)
            described = dataclasses.asdict(artifact.manifest) | {"array": facts}
            console.result(described, text=f"{_artifact_text(artifact)}\n\n{array_text(facts)}")
        else:
            console.result(artifact.manifest, text=_artifact_text(artifact))
    else:
        description = _describe_model(path, extents)
        console.result(description, text=_model_text(path, description))


def _print_program(console: Console, path: Path, shapes: Mapping[str, int]) -> None:
    from edgeconv.ir import to_text

    program = _program(path, shapes)
    abbreviated = to_text(program, abbreviate=console.verbosity < 1)
    console.result({"program": to_text(program)}, text=abbreviated.rstrip())


def _program(path: Path, shapes: Mapping[str, int]) -> Any:
    from edgeconv.artifact import is_artifact, read

    if is_artifact(path):
        return read(path).program()
    from edgeconv.importer import read_onnx
    from edgeconv.integer import lower

    return lower(read_onnx(path, shapes))


def _describe_model(path: Path, shapes: Mapping[str, int]) -> dict[str, Any]:
    from edgeconv.artifact import layers

    program = _program(path, shapes)
    described = layers.describe_layers(program)
    return {
        "inputs": layers.describe_inputs(program, {}),
        "outputs": layers.describe_outputs(program, {}),
        "layers": described,
        "macs": sum(layer.macs for layer in described),
        "weight_bytes": layers.weight_bytes(program),
    }


def _artifact_text(artifact: Any) -> str:
    manifest = artifact.manifest
    facts = [
        ("model", f"{manifest.name}, from {manifest.source.get('file', 'a program')}"),
        ("compiled by", f"edgeconv {manifest.edgeconv}, arithmetic {manifest.arithmetic}, C interface {manifest.abi}"),
        ("target", f"{manifest.target} ({manifest.triple})" if manifest.triple else manifest.target),
        ("work", f"{readable_count(manifest.macs)} MACs a sample"),
        ("memory", f"{readable_bytes(manifest.weight_bytes)} weights, {_arena(manifest)}"),
        ("on disk", f"{readable_bytes(artifact.size)} without golden/{_linked(manifest)}"),
    ]
    isas = [
        (isa.name, readable_bytes(isa.object_bytes), readable_bytes(isa.blob_bytes), readable_bytes(isa.scratch_bytes))
        for isa in manifest.isas
    ]
    return "\n\n".join(
        [
            format_table(facts),
            _tensor_table(manifest.inputs, manifest.outputs),
            format_table(layer_rows(manifest.layers), header=_LAYER_HEADER),
            format_table(isas, header=("instruction set", "code", "weights", "arena")),
            *([tuning_text(manifest.tuning)] if manifest.tuning else []),
        ]
    )


def _arena(manifest: Any) -> str:
    if manifest.family != "cuda":
        return f"{readable_bytes(manifest.scratch_bytes)} arena"
    # On a GPU each sample of a launch has its own, and the caller gives none.
    return f"{readable_bytes(_gpu_code(manifest).scratch_bytes)} arena for each sample on the GPU"


def _gpu_code(manifest: Any) -> Any:
    """What a GPU runs of an artifact; the loops beside it are the CPU's."""
    return next(isa for isa in manifest.isas if isa.name == "cuda")


def _linked(manifest: Any) -> str:
    if manifest.family == "cuda":
        compiler = next(f"{name} {version}" for name, version in manifest.toolchain.items() if name.startswith("nv"))
        return f", code for {', '.join(_gpu_code(manifest).features)} by {compiler}"
    if manifest.executable:
        return f", edge-run linked with {manifest.executable_libc}"
    return "" if manifest.family == "fpga" else ", C source"


_LAYER_HEADER = ("operator", "output", "shape", "MACs", "weights", "requantization")


def _tensor_table(inputs: Any, outputs: Any) -> str:
    rows = [
        (
            kind,
            tensor.name,
            f"{tensor.type}[{','.join(map(str, tensor.shape))}]",
            "" if tensor.scale is None else f"{tensor.scale[0]:.9g}" + (" …" if len(tensor.scale) > 1 else ""),
            "" if tensor.zero_point is None else str(tensor.zero_point),
            tensor.unit or "",
        )
        for kind, tensors in (("input", inputs), ("output", outputs))
        for tensor in tensors
    ]
    return format_table(rows, header=("", "name", "one sample", "scale", "zero point", "unit"))


def _model_text(path: Path, description: dict[str, Any]) -> str:
    work = f"{readable_count(description['macs'])} MACs a sample, {readable_bytes(description['weight_bytes'])} weights"
    rows = [row[:-1] for row in layer_rows(description["layers"])]
    return "\n\n".join(
        [
            f"{path}: {work}",
            _tensor_table(description["inputs"], description["outputs"]),
            format_table(rows, header=_LAYER_HEADER[:-1]),
        ]
    )
