"""Program to CUDA: kernels of the same plan, packing and forms as the CPU's, for the threads of a GPU.

`generate_cuda` gives CUDA C++ source, which `nvcc` compiles; `generate_loops` gives machine code for a CPU of the very
same kernels, with loops in the places of threads, to compare with the reference where there is no GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeconv.codegen import GeneratedCode

if TYPE_CHECKING:
    from edgeconv.codegen.cuda.shape import Shape
    from edgeconv.codegen.emit import KernelReport
    from edgeconv.codegen.plan import Plan
    from edgeconv.ir import Program
    from edgeconv.ir.forms import ProvedForms

__all__ = ["FIRST_KERNEL", "GeneratedCuda", "KernelLaunch", "generate_cuda", "generate_loops"]

FIRST_KERNEL = 'extern "C" __global__'
"""Where the kernels begin in a source, behind the prelude."""


@dataclass(frozen=True)
class KernelLaunch:
    """One launch in the sequence that computes the program.

    Attributes:
        symbol: of the kernel: void symbol(inputs…, outputs…, weights, scratch, int32_t n, int32_t number).
        blocks: of the grid for each sample, its y; 0 where a block takes several samples.
        number: the kernel's last argument.
    """

    symbol: str
    blocks: int
    number: int


@dataclass(frozen=True)
class GeneratedCuda:
    """A program for a GPU.

    Attributes:
        source: CUDA C++ of all kernels, with no header but its own prelude.
        launches: in the order in which they run.
        threads: of a block.
        samples: that a block takes, where the whole network is one kernel; else 0, and a launch takes any number of
            samples, with `scratch_bytes` of global memory for each.
        most_samples: of one launch.
        scratch_bytes: the arena of a sample.
        blob: what `weights` must point at.
        sections: name -> (offset, bytes) of each constant inside the blob.
        report: kernel by kernel, in execution order.
    """

    source: str
    launches: tuple[KernelLaunch, ...]
    threads: int
    samples: int
    most_samples: int
    scratch_bytes: int
    blob: bytes
    sections: Mapping[str, tuple[int, int]]
    report: tuple[KernelReport, ...]


def generate_cuda(
    program: Program,
    forms: Mapping[str, ProvedForms],
    *,
    fuse: bool = True,
    shape: Shape | None = None,
    symbol: str = "edge_kernel",
) -> GeneratedCuda:
    """Generate CUDA source for a program.

    Args:
        forms: how each requant and add is computed, by output name.
        fuse: fuse requants into the operators before them; the results are the same bits either way.
        shape: of the kernels; chosen when None.
        symbol: of the kernel; where there are several, a number follows it.

    Raises:
        ProgramError, UnsupportedModelError: a requant without proved form, or an operator without kernel.
        ToolError: TVM failed.
    """
    from edgeconv.codegen.blob import Blob
    from edgeconv.codegen.cuda.builder import arena_stride
    from edgeconv.codegen.cuda.emit import emit_device
    from edgeconv.codegen.cuda.shape import most_samples
    from edgeconv.codegen.cuda.source import cuda_source

    plan = _planned(program, forms, fuse)
    blob, chosen = Blob(), _shaped(plan, shape)
    emitted = emit_device(plan, blob, chosen, symbol, 0)
    if emitted.temporary_bytes:
        reserved, blob = _reserve(plan, emitted.temporary_bytes), Blob()
        chosen = _shaped(plan, shape)
        emitted = emit_device(plan, blob, chosen, symbol, reserved)
    launches, report, shape = emitted.launches, emitted.report, chosen
    sequence = [
        KernelLaunch(launch.symbol, launch.blocks, number) for launch in launches for number in range(launch.numbers)
    ]
    return GeneratedCuda(
        source=cuda_source({launch.symbol: launch.function for launch in launches}),
        launches=tuple(sequence),
        threads=shape.threads,
        samples=shape.samples if shape.whole else 0,
        most_samples=most_samples(plan, shape),
        scratch_bytes=arena_stride(plan),
        blob=blob.bytes(),
        sections=dict(blob.sections),
        report=report,
    )


def generate_loops(
    program: Program,
    forms: Mapping[str, ProvedForms],
    *,
    fuse: bool = True,
    shape: Shape | None = None,
    backwards: bool = False,
    architecture: str | None = None,
) -> GeneratedCode:
    """Generate machine code for a CPU with FMA, of the kernels that a GPU gets, their threads as loops.

    Args:
        forms, fuse, shape: as for `generate_cuda`.
        backwards: the last thread comes first.
        architecture: of the CPU: x86_64 (with AVX2) or aarch64; this machine's when None.

    Raises:
        what `generate_cuda` raises.
    """
    from edgeconv.codegen.blob import Blob
    from edgeconv.codegen.compile_tir import compile_function
    from edgeconv.codegen.cuda.emit import emit_loops
    from edgeconv.codegen.isa.table import find_isa
    from edgeconv.runtime.cpu_features import host_architecture

    plan, symbol = _planned(program, forms, fuse), "edge_main_cuda"
    blob = Blob()
    emitted, needed = emit_loops(plan, blob, _shaped(plan, shape), symbol, 0, backwards=backwards)
    if needed:
        reserved, blob = _reserve(plan, needed), Blob()
        emitted, _ = emit_loops(plan, blob, _shaped(plan, shape), symbol, reserved, backwards=backwards)
    architecture = architecture or host_architecture()
    machine = find_isa("neon" if architecture == "aarch64" else "avx2", architecture)
    code = compile_function(emitted.function, symbol, machine)
    return GeneratedCode("cuda", symbol, code, blob.bytes(), emitted.scratch_bytes, dict(blob.sections), emitted.report)


def _planned(program: Program, forms: Mapping[str, ProvedForms], fuse: bool) -> Plan:
    from edgeconv.codegen.cuda.kernels import load_all as load_own
    from edgeconv.codegen.isa.cuda import CUDA
    from edgeconv.codegen.kernels import load_all
    from edgeconv.codegen.plan import make_plan

    load_all()
    load_own()
    return make_plan(program, forms, CUDA, fuse=fuse, bands=False)


def _shaped(plan: Plan, shape: Shape | None) -> Shape:
    from edgeconv.codegen.cuda.shape import choose_shape

    return choose_shape(plan) if shape is None else shape


def _reserve(plan: Plan, temporary_bytes: int) -> int:
    """Make the arena longer by what steps ask for, which is known only once they are emitted; what was reserved."""
    plan.arena_bytes += temporary_bytes
    return temporary_bytes
