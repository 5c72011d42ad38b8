"""The host library of a GPU artifact: the C interface, the kernels' fat binary and the weights in one shared library.

It needs libc alone. CUDA's driver is loaded when the model is initialized, so the library can be linked and loaded
where there is none.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeconv.artifact.compilers import find_compiler
from edgeconv.artifact.sources import C_FOLDER, ModelSource
from edgeconv.errors import ToolError

if TYPE_CHECKING:
    from edgeconv.codegen.cuda import GeneratedCuda
    from edgeconv.codegen.cuda.image import Image

__all__ = ["CudaCode", "link_cuda"]

_SOURCES = ("edge_cuda.c", "edge_cuda_driver.c", "edge_cuda_image.c", "edge_inputs.c", "edge_python.c")
_EXPORTS = (
    "edge_init", "edge_run", "edge_check", "edge_strerror", "edge_isa_name", "edge_cuda_select", "edge_cuda_release",
    "edge_cuda_error", "edge_cuda_driver_version", "edge_cuda_needed_version", "edge_python_call", "edge_python_ready",
)  # fmt: skip
_OPTIONS = (
    "-std=gnu11", "-Os", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wl,-Bsymbolic", "-Wl,-s",
    "-Wl,--build-id=none", "-Wl,-z,noexecstack",
)  # fmt: skip


@dataclass(frozen=True)
class CudaCode:
    """Kernels and what they were made of.

    Attributes:
        generated: source, launches and weights.
        images: a fat binary, or an image for each architecture.
        compiler: its name and version, such as ("nvcc", (13, 0)).
        architectures: what the images hold code for.
    """

    generated: GeneratedCuda
    images: tuple[Image, ...]
    compiler: tuple[str, tuple[int, int]]
    architectures: tuple[str, ...]


def link_cuda(model: ModelSource, code: CudaCode, architecture: str) -> bytes:
    """The shared library for the CPU that the GPU belongs to.

    Raises:
        ToolError: the C compiler is missing or fails.
    """
    compiler = find_compiler(architecture)
    with tempfile.TemporaryDirectory(prefix="edgeconv-") as name:
        folder = Path(name)
        (folder / "model.c").write_text(model.text(), encoding="utf-8")
        (folder / "code.c").write_text(_code_text(code), encoding="utf-8")
        (folder / "exports.map").write_text(f"{{ global: {'; '.join(_EXPORTS)}; local: *; }};\n", encoding="utf-8")
        data = {"weights": code.generated.blob, **{f"image_{i}": image.data for i, image in enumerate(code.images)}}
        for label, content in data.items():
            (folder / f"{label}.bin").write_bytes(content)
        (folder / "data.S").write_text(_data_text(*data), encoding="utf-8")
        sources = ["model.c", "code.c", "data.S", *(str(C_FOLDER / source) for source in _SOURCES)]
        command = [compiler.gcc, *_OPTIONS, *compiler.options, "-Wl,--version-script=exports.map", f"-I{C_FOLDER}"]
        command += [*sources, "-o", "library.so", "-ldl", "-lpthread"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ToolError(
                f"{compiler.gcc} could not link the library:\n{done.stderr.strip()[-2000:]}",
                advice=f"`edgeconv doctor` checks the compilers; these must be installed whole: {compiler.packages}",
            )
        return (folder / "library.so").read_bytes()


def _data_text(*labels: str) -> str:
    lines = []
    for label in labels:
        symbol = f"edge_{label}"
        lines += ['.section .rodata, "a", %progbits', ".balign 64", f".globl {symbol}", f".hidden {symbol}"]
        lines += [f"{symbol}:", f'.incbin "{label}.bin"']
    return "\n".join([*lines, '.section .note.GNU-stack, "", %progbits\n'])


def _code_text(code: CudaCode) -> str:
    """code.c: what edge_cuda_model.h declares."""
    generated = code.generated
    launches = [f"    {{{json.dumps(k.symbol)}, {k.blocks}, {k.number}}}," for k in generated.launches]
    images = [f"    {{edge_image_{i}, {image.capability}, {int(image.ptx)}}}," for i, image in enumerate(code.images)]
    labels = ", ".join(f"edge_image_{i}[]" for i in range(len(images)))
    major, minor = code.compiler[1]
    numbers = (
        *("IMAGES", len(images), "edge_weights", len(generated.blob), "LAUNCHES"),
        *(len(generated.launches), generated.threads, generated.samples),
        *(0 if generated.samples else generated.scratch_bytes, generated.most_samples, 1000 * major + 10 * minor),
    )
    return "\n".join(
        [
            '#include "edge_cuda_model.h"',
            "",
            f'__attribute__((visibility("hidden"))) extern const uint8_t edge_weights[], {labels};',
            "",
            "static const edge_cuda_image IMAGES[] = {",
            *images,
            "};",
            "",
            "static const edge_cuda_launch LAUNCHES[] = {",
            *launches,
            "};",
            "",
            f"const edge_cuda_code edge_this_code = {{{', '.join(map(str, numbers))}}};",
            "",
        ]
    )
