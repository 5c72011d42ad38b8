"""The C text that is generated for one model: its description, its header and an example."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from edgeconv.artifact.manifest import StreamSettings, TensorInfo
from edgeconv.errors import UnsupportedModelError

__all__ = [
    "C_FOLDER",
    "C_TYPES",
    "ISA_NUMBERS",
    "KernelSource",
    "ModelSource",
    "example_text",
    "header_text",
    "identifier",
    "tensor_comment",
]

C_FOLDER = Path(__file__).parent / "c"
"""The fixed sources; edge.h is copied into every artifact."""

ISA_NUMBERS = {"generic": 1, "avx2": 2, "avx512vnni": 3, "neon": 4, "neon+dotprod": 5, "avxvnni": 6, "cuda": 7}
"""enum edge_isa of edge.h."""

_MOST_AXES = 8  # of edge_tensor in edge_model.h
C_TYPES = {
    "float32": "float",
    **{f"{sign}int{bits}": f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
"""By numpy's name."""


@dataclass(frozen=True)
class KernelSource:
    """Generated code for one instruction set, as the description refers to it.

    Attributes:
        isa: its name.
        symbol: the C function.
        weights: label of its blob; instruction sets with equal blobs share one.
        phases: of code that threads share, else 0.
    """

    isa: str
    symbol: str
    weights: str
    phases: int = 0


@dataclass(frozen=True)
class ModelSource:
    """Everything model.c tells the fixed sources about a model.

    Attributes:
        kernels: slowest first.
        ranges: for each input the least and greatest value that the model resolves.
        stream: defaults of `edge-run --stream`, or None where there is no such mode.
    """

    name: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    kernels: tuple[KernelSource, ...]
    scratch_bytes: int
    scratch_alignment: int
    macs: int
    ranges: tuple[tuple[float, float], ...]
    stream: StreamSettings | None = None

    def text(self) -> str:
        """The text of model.c.

        Raises:
            UnsupportedModelError: a tensor has more axes than the C interface describes.
        """
        weights = dict.fromkeys(kernel.weights for kernel in self.kernels)
        no_range = [(0.0, 0.0)] * len(self.outputs)
        lines = ['#include "edge_model.h"', ""]
        lines += [f"extern const uint8_t {label}[];" for label in weights]
        lines += [
            f"extern void {kernel.symbol}(const void *const *, void *const *, const uint8_t *, uint8_t *, "
            f"{'const edge_part *' if kernel.phases else 'int64_t'});"
            for kernel in self.kernels
        ]
        lines += ["", *_tensor_table("INPUTS", self.inputs, self.ranges)]
        lines += ["", *_tensor_table("OUTPUTS", self.outputs, no_range)]
        lines += ["", *_stream_lines(self.stream)]
        lines += ["", "static const edge_kernel KERNELS[] = {"]
        lines += [f'    {{{ISA_NUMBERS[k.isa]}, "{k.isa}", {_entries(k)}, {k.weights}}},' for k in self.kernels]
        counts = f"{len(self.inputs)}, {len(self.outputs)}, {len(self.kernels)}"
        sizes = f"{self.scratch_bytes}, {self.scratch_alignment}, {self.macs}, {'&STREAM' if self.stream else 'NULL'}"
        lines += [
            "};",
            "",
            f"const edge_model edge_this_model = {{{_quoted(self.name)}, {counts},",
            f"    INPUTS, OUTPUTS, KERNELS, {sizes}}};",
        ]
        return "\n".join(lines) + "\n"


def _tensor_table(label: str, tensors: Sequence[TensorInfo], ranges: Sequence[tuple[float, float]]) -> list[str]:
    lines = [f"static const edge_tensor {label}[] = {{"]
    for tensor, (low, high) in zip(tensors, ranges, strict=True):
        if len(tensor.shape) > _MOST_AXES:
            raise UnsupportedModelError(
                f"'{tensor.name}' has {len(tensor.shape)} axes", expected=f"at most {_MOST_AXES} axes"
            )
        kind, item = _kind_and_bytes(tensor.dtype)
        order = "|" if item == 1 else "<"
        bits = 8 * item if kind == "f" else int(tensor.type[1:])
        shape = ", ".join(map(str, tensor.shape)) or "1"
        lines.append(
            f'    {{{_quoted(tensor.name)}, "{tensor.type}", "{order}{kind}{item}", \'{kind}\', {item}, {bits}, '
            f"{len(tensor.shape)}, {{{shape}}}, {prod(tensor.shape)}, {low!r}, {high!r}}},"
        )
    return [*lines, "};"]


def _entries(kernel: KernelSource) -> str:
    return f"NULL, {kernel.symbol}, {kernel.phases}" if kernel.phases else f"{kernel.symbol}, NULL, 0"


def _stream_lines(stream: StreamSettings | None) -> list[str]:
    if stream is None:
        return []
    words = ", ".join(_quoted(word) for word in (stream.dtype, stream.byte_order, stream.record, stream.partial))
    numbers = f"{stream.channels}, {stream.window}, {stream.hop}, {int(stream.index)}"
    return [f"static const edge_stream STREAM = {{{words}, {numbers}}};"]


def _kind_and_bytes(dtype: str) -> tuple[str, int]:
    return dtype[0], int(re.sub(r"\D", "", dtype)) // 8


def _quoted(text: str) -> str:
    """A C string literal; JSON's escapes are C's for what names hold, once everything else is plain ASCII."""
    plain = "".join(c if c.isprintable() and ord(c) < 127 and c != "?" else "_" for c in text)
    return json.dumps(plain)


def identifier(text: str) -> str:
    """The text as part of a C identifier and of a file name."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")
    return name if name and not name[0].isdigit() else f"model_{name}".rstrip("_")


def header_text(model: ModelSource, isa_names: Sequence[str], weight_bytes: int, arithmetic: int, edgeconv: str) -> str:
    """The text of include/<model>.h."""
    guard = f"EDGE_MODEL_{model.name.upper()}_H"
    lines = [
        f"/* The model '{model.name}', compiled by edgeconv {edgeconv} (arithmetic version {arithmetic}).",
        " *",
        f" * Instruction sets: {', '.join(isa_names)}; the fastest one that the CPU runs is chosen by edge_init.",
        f" * {model.macs} multiply-accumulates a sample, {weight_bytes} bytes of weights. The calls are in edge.h. */",
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
        '#include "edge.h"',
        "",
        f"#define EDGE_SCRATCH_BYTES {model.scratch_bytes}",
        f"#define EDGE_SCRATCH_ALIGNMENT {model.scratch_alignment}",
        "",
        f"#define EDGE_INPUT_COUNT {len(model.inputs)}",
        f"#define EDGE_OUTPUT_COUNT {len(model.outputs)}",
    ]
    for kind, tensors in (("INPUT", model.inputs), ("OUTPUT", model.outputs)):
        for index, tensor in enumerate(tensors):
            lines += ["", *tensor_comment(kind, index, tensor)]
            lines += [
                f"typedef {C_TYPES[tensor.dtype]} edge_{kind.lower()}_{index}_type;",
                f"#define EDGE_{kind}_{index}_ELEMENTS {prod(tensor.shape)}",
                f"#define EDGE_{kind}_{index}_BYTES {prod(tensor.shape) * _kind_and_bytes(tensor.dtype)[1]}",
            ]
    return "\n".join([*lines, "", "#endif"]) + "\n"


def tensor_comment(kind: str, index: int, tensor: TensorInfo) -> list[str]:
    """A comment that describes an input or output."""
    shape = " x ".join(map(str, tensor.shape)) or "a single value"
    unit = f" in {tensor.unit}" if tensor.unit else ""
    lines = [f"/* {kind.lower()} {index}, {_quoted(tensor.name)}: {tensor.type}, {shape}{unit}"]
    if tensor.scale is not None:
        scales = tensor.scale[0] if len(tensor.scale) == 1 else f"{tensor.scale[0]} ({len(tensor.scale)} channels)"
        zero = f", zero point {tensor.zero_point}" if tensor.zero_point is not None else ""
        lines.append(f" * scale {scales}{zero}")
    lines[-1] += " */"
    return lines


def example_text(model: ModelSource, library: str) -> str:
    """The text of include/example.c: one call on samples of zeros."""
    buffers, pointers = [], {}
    for kind, tensors in (("input", model.inputs), ("output", model.outputs)):
        for index in range(len(tensors)):
            size = f"N * EDGE_{kind.upper()}_{index}_ELEMENTS"
            buffers.append(f"static edge_{kind}_{index}_type {kind}_{index}[{size}];")
        pointers[kind] = ", ".join(f"{kind}_{index}" for index in range(len(tensors)))
    link = library.removeprefix("lib/lib").removesuffix(".so")
    value = "(double)output_0[i]"
    return f"""/* How to call the model '{model.name}' from C. In the folder above:
 *
 *     cc -Iinclude include/example.c -Llib -l{link} -Wl,-rpath,"$PWD/lib" -o example && ./example
 */
#include <stdio.h>

#include "{model.name}.h"

enum {{ N = 4 }}; /* samples in one call */

{chr(10).join(buffers)}
static _Alignas(EDGE_SCRATCH_ALIGNMENT) unsigned char scratch[EDGE_SCRATCH_BYTES + 1];

int main(void) {{
    const void *in[] = {{{pointers["input"]}}};
    void *out[] = {{{pointers["output"]}}};
    edge_ctx ctx = EDGE_CTX_INIT;
    int status = edge_init(&ctx);
    if (status == EDGE_OK) status = edge_run(&ctx, in, out, scratch, N);
    if (status != EDGE_OK) {{
        fprintf(stderr, "%s\\n", edge_strerror(status));
        return 1;
    }}
    printf("instruction set %s, output 0 of the first sample:", edge_isa_name(ctx.isa));
    for (int i = 0; i < EDGE_OUTPUT_0_ELEMENTS && i < 8; i++) printf(" %.9g", {value});
    printf("\\n");
    return 0;
}}
"""
