"""Writing an artifact: program, certificates, library, headers, golden samples, manifest."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv._version import __version__
from edgeconv.artifact import layers
from edgeconv.artifact.link import CompiledKernel, Linked, kernel_sources, link
from edgeconv.artifact.manifest import (
    ABI_VERSION,
    FORMAT_VERSION,
    MANIFEST_NAME,
    CompiledIsa,
    Manifest,
    StreamSettings,
    Tuning,
    render_manifest,
)
from edgeconv.artifact.sources import C_FOLDER, ModelSource, example_text, header_text, identifier
from edgeconv.artifact.store import GOLDEN_FOLDER, Artifact, certificate_name, file_entries, publish
from edgeconv.artifact.stream import default_settings, settings_for
from edgeconv.integer import POLICY_OF_ISA, Certificate
from edgeconv.ir import ARITHMETIC_VERSION, Program
from edgeconv.ir.storage import save_program
from edgeconv.runtime.cpu_features import INSTRUCTION_SETS

__all__ = ["Contents", "make_manifest", "model_source", "seal", "write", "write_common"]

SCRATCH_ALIGNMENT = 64
_DEVICE_RUNTIME = Path(__file__).parent / "edge_runtime.py"
"""Runs an artifact with ctypes and numpy alone; copied as it is."""


@dataclass(frozen=True)
class Contents:
    """What an artifact is made of.

    Attributes:
        name: of the model; it becomes part of file names.
        target, triple: what it is compiled for.
        family, settings: of the target.
        certificates: by policy.
        kernels: generated code, slowest instruction set first; none where the artifact is C source.
        golden_inputs, golden_outputs: arrays (n, *shape) by name, for the self-test.
        source: "file" and "sha256" of the model.
        units: of real values, by tensor name.
        fused: whether requantizations were fused into the operators before them.
        one_thread: whether no call can be shared by threads.
        tuning: blockings that were measured, or None.
        toolchain: names and versions of what made the code.
        stream: defaults of `run --stream`, by field, where they are not those of `default_settings`.
    """

    name: str
    target: str
    triple: str
    program: Program
    certificates: Mapping[str, Certificate]
    kernels: tuple[CompiledKernel, ...]
    golden_inputs: Mapping[str, NDArray[np.generic]]
    golden_outputs: Mapping[str, NDArray[np.generic]]
    source: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    fused: bool = True
    one_thread: bool = False
    tuning: Tuning | None = None
    toolchain: Mapping[str, str] = field(default_factory=dict)
    family: str = "cpu"
    settings: Mapping[str, Any] = field(default_factory=dict)
    stream: Mapping[str, str | int | bool | None] = field(default_factory=dict)


def write(contents: Contents, output: Path, check: Callable[[Artifact], None] | None = None) -> Artifact:
    """Link the library and write the artifact; what was at `output` is replaced in one step, if it was an artifact.

    Args:
        check: called with the finished artifact while it still lies beside its place; where it raises, nothing is
            put in place.

    Raises:
        UsageError: `output` is something else than an artifact, or cannot be written (disk full, for instance).
        ToolError: the C compiler is missing or fails.
    """
    model = model_source(contents)
    linked = link(model, contents.kernels, contents.triple.split("-")[0])
    with publish(output) as folder:
        library = _write_library(folder, model.name, linked)
        _write_headers(folder, model, contents, library)
        shutil.copyfile(_DEVICE_RUNTIME, folder / _DEVICE_RUNTIME.name)
        write_common(folder, contents)
        manifest = make_manifest(
            contents,
            folder,
            library=library,
            executable="edge-run",
            executable_libc=linked.libc,
            scratch=(model.scratch_bytes, model.scratch_alignment),
            isas=tuple(map(_compiled_isa, contents.kernels)),
        )
        seal(folder, manifest, check)
    return Artifact(output, manifest)


def seal(folder: Path, manifest: Manifest, check: Callable[[Artifact], None] | None) -> None:
    """End an artifact that is being written: its manifest, then the caller's check of it.

    Args:
        folder: where everything else is in place.
    """
    (folder / MANIFEST_NAME).write_text(render_manifest(manifest), encoding="utf-8")
    if check is not None:
        check(Artifact(folder, manifest))


def write_common(folder: Path, contents: Contents) -> None:
    """Write what artifacts of all families have: program, certificates, golden samples."""
    save_program(contents.program, folder)
    for policy, certificate in contents.certificates.items():
        text = certificate.to_json().encode("utf-8")
        # No time stamp: equal certificates give equal bytes.
        (folder / certificate_name(policy)).write_bytes(gzip.compress(text, 9, mtime=0))
    _write_golden(folder / GOLDEN_FOLDER, contents)


def model_source(contents: Contents) -> ModelSource:
    """The description of the model that its C sources are made of."""
    program = contents.program
    inputs = layers.describe_inputs(program, contents.units)
    return ModelSource(
        name=identifier(contents.name),
        inputs=inputs,
        outputs=layers.describe_outputs(program, contents.units),
        kernels=kernel_sources(contents.kernels),
        # A multiple of the alignment: threads have theirs one behind the other.
        scratch_bytes=_aligned(max(kernel.scratch_bytes for kernel in contents.kernels)),
        scratch_alignment=SCRATCH_ALIGNMENT,
        macs=sum(layers.macs_of(program, operator) for operator in program.operators),
        ranges=layers.input_ranges(program),
        stream=_stream_settings(contents),
    )


def _stream_settings(contents: Contents) -> StreamSettings | None:
    inputs = layers.describe_inputs(contents.program, contents.units)
    usual = default_settings(inputs)
    return settings_for(inputs, usual, contents.stream) if contents.stream else usual


def _aligned(size: int) -> int:
    return -(-size // SCRATCH_ALIGNMENT) * SCRATCH_ALIGNMENT


def _write_library(folder: Path, name: str, linked: Linked) -> str:
    library = f"lib/lib{name}.so"
    (folder / "lib").mkdir()
    path = folder / library
    path.write_bytes(linked.library)
    path.chmod(0o755)
    program = folder / "edge-run"
    if linked.executable is None:
        os.symlink(library, program)
    else:
        program.write_bytes(linked.executable)
        program.chmod(0o755)
    return library


def _write_headers(folder: Path, model: ModelSource, contents: Contents, library: str) -> None:
    include = folder / "include"
    include.mkdir()
    shutil.copyfile(C_FOLDER / "edge.h", include / "edge.h")
    isas = [kernel.isa for kernel in contents.kernels]
    header = header_text(model, isas, layers.weight_bytes(contents.program), ARITHMETIC_VERSION, __version__)
    (include / f"{model.name}.h").write_text(header, encoding="utf-8")
    (include / "example.c").write_text(example_text(model, library), encoding="utf-8")


def _write_golden(folder: Path, contents: Contents) -> None:
    folder.mkdir()
    for kind, names, arrays in (
        ("input", tuple(contents.program.inputs), contents.golden_inputs),
        ("output", contents.program.outputs, contents.golden_outputs),
    ):
        for index, name in enumerate(names):
            np.save(folder / f"{kind}-{index}.npy", np.ascontiguousarray(arrays[name]), allow_pickle=False)


def _compiled_isa(kernel: CompiledKernel) -> CompiledIsa:
    return CompiledIsa(
        kernel.isa,
        POLICY_OF_ISA[kernel.isa].name,
        tuple(sorted(INSTRUCTION_SETS[kernel.isa].features)),
        len(kernel.object_code),
        len(kernel.blob),
        kernel.scratch_bytes,
        hashlib.sha256(kernel.blob).hexdigest(),
        kernel.cpu,
    )


def make_manifest(
    contents: Contents,
    folder: Path,
    *,
    library: str,
    executable: str,
    executable_libc: str,
    scratch: tuple[int, int],
    isas: tuple[CompiledIsa, ...],
) -> Manifest:
    """The manifest of a folder that holds everything else.

    Args:
        scratch: bytes and alignment.
    """
    program = contents.program
    forms = {policy: certificate.forms for policy, certificate in contents.certificates.items()}
    return Manifest(
        format=FORMAT_VERSION,
        arithmetic=ARITHMETIC_VERSION,
        abi=ABI_VERSION,
        edgeconv=__version__,
        name=identifier(contents.name),
        target=contents.target,
        triple=contents.triple,
        library=library,
        executable=executable,
        executable_libc=executable_libc,
        scratch_bytes=scratch[0],
        scratch_alignment=scratch[1],
        weight_bytes=layers.weight_bytes(program),
        macs=sum(layers.macs_of(program, operator) for operator in program.operators),
        inputs=layers.describe_inputs(program, contents.units),
        outputs=layers.describe_outputs(program, contents.units),
        isas=isas,
        layers=layers.describe_layers(program, forms),
        source=dict(contents.source),
        fused=contents.fused,
        one_thread=contents.one_thread,
        tuning=contents.tuning,
        toolchain=dict(contents.toolchain),
        family=contents.family,
        settings=dict(contents.settings),
        stream=_stream_settings(contents),
        files=file_entries(folder),
    )
