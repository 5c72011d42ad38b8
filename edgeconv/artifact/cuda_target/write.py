"""Writing an artifact for NVIDIA GPUs, and checking that its kernels are those that the program gives.

Beside the host library lies a second one, `…_loops.so`: the same kernels for this kind of CPU, with loops in the places
of threads. It is what a machine without a GPU compares with the reference.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeconv._version import __version__
from edgeconv.artifact import layers
from edgeconv.artifact.backend import CodeOptions, Difference
from edgeconv.artifact.cuda_target.link import CudaCode, link_cuda
from edgeconv.artifact.link import CompiledKernel, link
from edgeconv.artifact.manifest import CompiledIsa
from edgeconv.artifact.sources import C_FOLDER, example_text, header_text
from edgeconv.artifact.store import Artifact, publish
from edgeconv.artifact.write import Contents, make_manifest, model_source, seal, write_common
from edgeconv.integer import POLICY_OF_ISA, Certificate
from edgeconv.ir import ARITHMETIC_VERSION, Program
from edgeconv.runtime.cpu_features import INSTRUCTION_SETS

if TYPE_CHECKING:
    from edgeconv.codegen import GeneratedCode
    from edgeconv.codegen.emit import KernelReport
    from edgeconv.targets import Target

__all__ = ["BACKEND", "KERNELS", "LOOPS_PROGRAM", "loops_library"]

KERNELS = "src/kernels.cu"
"""The source of the kernels, for people and for `verify`."""
LOOPS_PROGRAM = "lib/edge-run-loops"
"""The loops as a program, where their library is none: what an emulator runs."""
_ISA, _LOOPS = "cuda", "loops"
_DEVICE_RUNTIME = Path(__file__).parents[1] / "edge_runtime.py"


@dataclass(frozen=True)
class Generated:
    """Kernels for GPUs, and as loops for a CPU.

    Attributes:
        loops_isa: instruction set of that CPU.
    """

    cuda: CudaCode
    loops: GeneratedCode
    loops_isa: str


class CudaBackend:
    """Kernels in a fat binary inside a host library; implements `Backend`."""

    def require(self, program: Program) -> None:
        """Every operator has a kernel."""

    def generate(
        self, program: Program, certificates: Mapping[str, Certificate], target: Target, options: CodeOptions
    ) -> Generated:
        """CUDA source through nvcc or NVRTC, and the loops.

        Raises:
            ToolError: both are missing; says what to install.
        """
        from edgeconv.codegen.cuda import generate_cuda, generate_loops
        from edgeconv.codegen.cuda.compilers import find_cuda_compiler

        compiler = find_cuda_compiler()
        forms = certificates[POLICY_OF_ISA[_ISA].name].forms
        generated = generate_cuda(program, forms, fuse=options.fuse)
        images = compiler.images(generated.source, target.architectures)
        architecture = target.architecture or ""
        loops = generate_loops(program, forms, fuse=options.fuse, architecture=architecture)
        code = CudaCode(generated, images, (compiler.name, compiler.version), target.architectures)
        return Generated(code, loops, _loops_isa(architecture))

    def reports(self, code: Generated) -> Mapping[str, tuple[KernelReport, ...]]:
        """What was generated for each step."""
        return {_LOOPS: code.loops.report, _ISA: code.cuda.generated.report}

    def write(
        self, contents: Contents, code: Generated, output: Path, check: Callable[[Artifact], None] | None = None
    ) -> Artifact:
        """Link both libraries and write the artifact.

        Raises:
            ToolError: the C compiler is missing or fails.
        """
        architecture = contents.triple.split("-")[0]
        kernel = _loops_kernel(code)
        model = model_source(dataclasses.replace(contents, kernels=(kernel,)))
        gpu_model = dataclasses.replace(model, kernels=(), scratch_bytes=0, scratch_alignment=1)
        library = f"lib/lib{model.name}.so"
        with publish(output) as folder:
            for name in ("lib", "include", "src"):
                (folder / name).mkdir()
            (folder / library).write_bytes(link_cuda(gpu_model, code.cuda, architecture))
            loops = link(model, [kernel], architecture)
            (folder / loops_library(library)).write_bytes(loops.library)
            if loops.executable is not None:
                (folder / LOOPS_PROGRAM).write_bytes(loops.executable)
                (folder / LOOPS_PROGRAM).chmod(0o755)
            (folder / KERNELS).write_text(code.cuda.generated.source, encoding="utf-8")
            for name in ("edge.h", "edge_cuda.h"):
                shutil.copyfile(C_FOLDER / name, folder / "include" / name)
            weights = layers.weight_bytes(contents.program)
            header = header_text(gpu_model, [_ISA], weights, ARITHMETIC_VERSION, __version__)
            (folder / "include" / f"{model.name}.h").write_text(header, encoding="utf-8")
            (folder / "include" / "example.c").write_text(example_text(gpu_model, library), encoding="utf-8")
            shutil.copyfile(_DEVICE_RUNTIME, folder / _DEVICE_RUNTIME.name)
            write_common(folder, contents)
            compiler, version = code.cuda.compiler
            toolchain = {**contents.toolchain, compiler: ".".join(map(str, version))}
            manifest = make_manifest(
                dataclasses.replace(contents, toolchain=toolchain),
                folder,
                library=library,
                executable="",
                executable_libc="",
                scratch=(0, 1),
                isas=_compiled_isas(code),
            )
            seal(folder, manifest, check)
        return Artifact(output, manifest)

    def differences(
        self, artifact: Artifact, program: Program, certificates: Mapping[str, Certificate], notes: list[str]
    ) -> Iterator[Difference]:
        """Generate the kernels again and compare their source and the weights in the library."""
        from edgeconv.codegen.cuda import generate_cuda

        manifest = artifact.manifest
        forms = certificates[POLICY_OF_ISA[_ISA].name].forms
        generated = generate_cuda(program, forms, fuse=manifest.fused)
        found = (artifact.path / KERNELS).read_text(encoding="utf-8")
        if found != generated.source:
            yield KERNELS, "other kernels", "those that the model gives"
        if generated.blob not in artifact.library.read_bytes():
            yield manifest.library, "other weights", "those that the model gives"
        notes.append(f"{manifest.library}: weights and the kernels' source are compared, the machine code is not")


BACKEND = CudaBackend()


def loops_library(library: str) -> str:
    """The path of the library of loops, given that of the host library."""
    return library.removesuffix(".so") + "_loops.so"


def _loops_isa(architecture: str) -> str:
    return "neon" if architecture == "aarch64" else "avx2"


def _loops_kernel(code: Generated) -> CompiledKernel:
    loops = code.loops
    return CompiledKernel(code.loops_isa, loops.symbol, loops.object_bytes, loops.blob, loops.scratch_bytes)


def _compiled_isas(code: Generated) -> tuple[CompiledIsa, ...]:
    """The instruction sets, slowest first."""
    policy, generated = POLICY_OF_ISA[_ISA].name, code.cuda.generated
    needed = tuple(sorted(INSTRUCTION_SETS[code.loops_isa].features))
    loops = code.loops
    return tuple(
        CompiledIsa(name, policy, features, size, len(blob), scratch, hashlib.sha256(blob).hexdigest())
        for name, features, size, blob, scratch in (
            (_LOOPS, needed, len(loops.object_bytes), loops.blob, loops.scratch_bytes),
            (
                _ISA,
                code.cuda.architectures,
                sum(len(image.data) for image in code.cuda.images),
                generated.blob,
                generated.scratch_bytes,
            ),
        )
    )
