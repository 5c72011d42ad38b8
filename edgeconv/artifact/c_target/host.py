"""C sources built with this machine's compiler, behind the C interface of every other artifact."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeconv.artifact import layers
from edgeconv.artifact.c_target.extras import adapter_text
from edgeconv.artifact.c_target.text import ports_of
from edgeconv.artifact.link import CompiledKernel, kernel_sources, link
from edgeconv.artifact.sources import ModelSource
from edgeconv.artifact.store import Artifact
from edgeconv.errors import ToolError
from edgeconv.runtime.cpu_features import host_architecture

__all__ = ["STRICT", "compile_object", "host_library"]

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic")
"""Sources that are made here give no warning under these."""

_SYMBOL = "edge_main_generic"
_OPTIMIZE = ("-O2", "-fPIC", "-fno-stack-protector", "-fcf-protection=none", "-fno-asynchronous-unwind-tables")


def compile_object(source: Path, include: Path, output: Path, options: tuple[str, ...] = _OPTIMIZE) -> None:
    """Compile one file with gcc.

    Raises:
        ToolError: gcc is missing or refuses it.
    """
    command = ["gcc", *STRICT, *options, f"-I{include}", "-c", str(source), "-o", str(output)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ToolError("gcc is not installed", advice="apt-get install gcc libc6-dev") from error
    if done.returncode != 0:
        raise ToolError(f"gcc could not compile {source.name}:\n{done.stderr.strip()[-2000:]}")


@contextmanager
def host_library(artifact: Artifact) -> Iterator[Path]:
    """A shared library of the model's sources, as long as the block lasts; one that was loaded stays.

    Raises:
        ToolError: the compiler is missing or fails.
    """
    manifest = artifact.manifest
    program = artifact.program()
    with tempfile.TemporaryDirectory(prefix="edgeconv-") as name:
        folder = Path(name)
        adapter = folder / "adapter.c"
        ports = ports_of(manifest.inputs, manifest.outputs)
        adapter.write_text(adapter_text(manifest.name, ports, _SYMBOL), encoding="utf-8")
        include = artifact.path / "include"
        compile_object(artifact.library, include, folder / "model.o")
        compile_object(adapter, include, folder / "adapter.o")
        joined = folder / "joined.o"
        command = ["gcc", "-r", "-nostdlib", "-o", str(joined), str(folder / "model.o"), str(folder / "adapter.o")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ToolError(f"gcc could not join the model's objects:\n{done.stderr.strip()[-2000:]}")
        kernel = CompiledKernel("generic", _SYMBOL, joined.read_bytes(), bytes(64), manifest.scratch_bytes)
        model = ModelSource(
            name=manifest.name,
            inputs=manifest.inputs,
            outputs=manifest.outputs,
            kernels=kernel_sources([kernel]),
            scratch_bytes=manifest.scratch_bytes,
            scratch_alignment=manifest.scratch_alignment,
            macs=manifest.macs,
            ranges=layers.input_ranges(program),
        )
        library = folder / f"lib{manifest.name}.so"
        library.write_bytes(link(model, [kernel], host_architecture()).library)
        yield library
