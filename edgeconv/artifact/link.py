"""From object code and blobs to the shared library, which is edge-run as well.

With musl the library is linked with an entry point and the few functions of libc that edge-run uses: a shared object
that the kernel can also start, as libc.so.6 itself is. `edge-run` is then a link to it, and the weights are on disk
once. Without musl the library stands alone and edge-run is a second file, linked statically with glibc.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeconv.artifact.compilers import Compiler, find_compiler
from edgeconv.artifact.sources import C_FOLDER, KernelSource, ModelSource
from edgeconv.errors import ToolError

__all__ = ["CompiledKernel", "Linked", "link"]

_LIBRARY_SOURCES = ("edge_glue.c", "edge_inputs.c", "edge_team.c", "edge_python.c")
_PROGRAM_SOURCES = ("edge_io.c", "edge_checks.c", "edge_stream.c", "edge_threads.c", "edge_run_main.c")
_MEMORY_SOURCE = "edge_memory.c"
_ALLOCATOR_SOURCE = "edge_alloc.c"
_EXPORTS = (
    "edge_init", "edge_run", "edge_check", "edge_strerror", "edge_isa_name", "edge_python_call", "edge_python_ready",
    "edge_team_init", "edge_team_serve", "edge_team_helpers", "edge_team_stop",
)  # fmt: skip
# Sections apart, so that what nothing uses is left out; no unwinding tables and no stack protector, which need libc.
_COMPILE = (
    "-std=gnu11", "-Os", "-fPIC", "-fvisibility=hidden", "-ffunction-sections", "-fdata-sections",
    "-fno-asynchronous-unwind-tables", "-fno-stack-protector",
)  # fmt: skip
_SHARED = (
    "-shared", "-nostartfiles", "-nodefaultlibs", "-Wl,-Bsymbolic", "-Wl,--gc-sections", "-Wl,-s",
    "-Wl,--build-id=none", "-Wl,-z,noseparate-code", "-Wl,-z,norelro", "-Wl,-z,noexecstack", "-Wl,--hash-style=gnu",
)  # fmt: skip


@dataclass(frozen=True)
class CompiledKernel:
    """Generated code for one instruction set.

    Attributes:
        object_code: bytes of a relocatable object that defines `symbol`.
        blob: packed weights.
        scratch_bytes: working memory of one call.
        cpu: LLVM's name of the processor it was scheduled for; empty for that of the instruction set.
        phases: of code that several threads can run together, else 0 (`GeneratedCode.phases`).
    """

    isa: str
    symbol: str
    object_code: bytes
    blob: bytes
    scratch_bytes: int
    cpu: str = ""
    phases: int = 0


@dataclass(frozen=True)
class Linked:
    """The result of linking.

    Attributes:
        library: bytes of the shared library.
        executable: bytes of edge-run, or None where the library is edge-run.
        libc: "musl" or "glibc".
    """

    library: bytes
    executable: bytes | None
    libc: str


def link(model: ModelSource, kernels: Sequence[CompiledKernel], architecture: str) -> Linked:
    """Compile the C interface for a model and link it with generated code.

    Args:
        architecture: of the CPU that runs it, `x86_64` or `aarch64`.

    Raises:
        ToolError: the compiler is missing, or it fails (its message is included).
    """
    compiler = find_compiler(architecture)
    with tempfile.TemporaryDirectory(prefix="edgeconv-") as name:
        folder = Path(name)
        objects = _write_inputs(folder, model, kernels)
        if compiler.musl is not None:
            return _link_with_musl(folder, compiler, compiler.musl, objects)
        return _link_with_glibc(folder, compiler, objects)


def blob_labels(kernels: Sequence[CompiledKernel]) -> list[str]:
    """A label for the blob of each kernel; equal blobs have one label."""
    known: dict[bytes, str] = {}
    return [known.setdefault(kernel.blob, f"edge_weights_{len(known)}") for kernel in kernels]


def kernel_sources(kernels: Sequence[CompiledKernel]) -> tuple[KernelSource, ...]:
    """How model.c refers to the kernels."""
    labels = blob_labels(kernels)
    return tuple(KernelSource(k.isa, k.symbol, label, k.phases) for k, label in zip(kernels, labels, strict=True))


def _write_inputs(folder: Path, model: ModelSource, kernels: Sequence[CompiledKernel]) -> list[str]:
    """Write what the compiler reads; returns the files that are the model's own."""
    (folder / "model.c").write_text(model.text(), encoding="utf-8")
    (folder / "exports.map").write_text(f"{{ global: {'; '.join(_EXPORTS)}; local: *; }};\n", encoding="utf-8")
    assembly = []
    for label, kernel in dict(zip(blob_labels(kernels), kernels, strict=True)).items():
        (folder / f"{label}.bin").write_bytes(kernel.blob)
        assembly += [
            f'.section .rodata.{label}, "a", %progbits',
            ".balign 64",
            f".globl {label}",
            f".hidden {label}",
            f"{label}:",
            f'.incbin "{label}.bin"',
        ]
    (folder / "weights.S").write_text(
        "\n".join([*assembly, '.section .note.GNU-stack, "", %progbits\n']), encoding="utf-8"
    )
    for index, kernel in enumerate(kernels):
        (folder / f"kernel_{index}.o").write_bytes(kernel.object_code)
    return ["model.c", "weights.S", *(f"kernel_{index}.o" for index in range(len(kernels)))]


def _sources(*names: str) -> list[str]:
    return [str(C_FOLDER / name) for name in names]


def _link_with_musl(folder: Path, compiler: Compiler, musl: str, objects: list[str]) -> Linked:
    sources = [*objects, *_sources(*_LIBRARY_SOURCES, *_PROGRAM_SOURCES, _ALLOCATOR_SOURCE)]
    start = ["-Wl,-e,_start", "-l:rcrt1.o", "-l:libc.a", "-lgcc"]
    arguments = [*_SHARED, "-Wl,--version-script=exports.map", *sources, *start]
    _compile(folder, compiler, musl, arguments, "library.so")
    return Linked((folder / "library.so").read_bytes(), None, "musl")


def _link_with_glibc(folder: Path, compiler: Compiler, objects: list[str]) -> Linked:
    sources = [*objects, *_sources(*_LIBRARY_SOURCES, _MEMORY_SOURCE)]
    arguments = [*_SHARED, "-Wl,--version-script=exports.map", *sources, "-lgcc"]
    _compile(folder, compiler, compiler.gcc, arguments, "library.so")
    program = [*objects, *_sources("edge_glue.c", "edge_inputs.c", "edge_team.c", *_PROGRAM_SOURCES)]
    _compile(folder, compiler, compiler.gcc, ["-static", "-Wl,--gc-sections", "-Wl,-s", *program], "edge-run")
    return Linked((folder / "library.so").read_bytes(), (folder / "edge-run").read_bytes(), "glibc")


def _compile(folder: Path, compiler: Compiler, command: str, arguments: list[str], output: str) -> None:
    whole = [command, *_COMPILE, *compiler.options, f"-I{C_FOLDER}", "-I.", *arguments, "-o", output]
    done = subprocess.run(whole, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolError(
            f"{command} could not link the library:\n{done.stderr.strip()[-2000:]}",
            advice=f"`edgeconv doctor` checks the compilers; these must be installed whole: {compiler.packages}",
        )
    if _has_undefined_symbols(compiler, folder / output):
        raise ToolError(f"{command} left symbols undefined in {output}")


def _has_undefined_symbols(compiler: Compiler, path: Path) -> bool:
    """Whether the library needs a symbol from elsewhere; weak ones, which may be absent, do not count."""
    done = subprocess.run([compiler.nm, "-D", "-u", str(path)], capture_output=True, text=True, check=False)
    return any(line.split()[:1] == ["U"] for line in done.stdout.splitlines())
