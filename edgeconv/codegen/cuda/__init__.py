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

__all__ = ["GeneratedCuda", "KernelLaunch", "generate_cuda", "generate_loops"]


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
        scratch_bytes: the arena of a sample.
        blob: what `weights` must point at.
        sections: name -> (offset, bytes) of each constant inside the blob.
        report: kernel by kernel, in execution order.
    """

    source: str
    launches: tuple[KernelLaunch, ...]
    threads: int
    samples: int
    scratch_bytes: int
    blob: bytes
    sections: Mapping[str, tuple[int, int]]
    report: tuple[KernelReport, ...]


def generate_cuda(
    program: Program, forms: Mapping[str, ProvedForms], *, fuse: bool = True, shape: Shape | None = None
) -> GeneratedCuda:
    """Generate CUDA source for a program.

    Args:
        forms: how each requant and add is computed, by output name.
        fuse: fuse requants into the operators before them; the results are the same bits either way.
        shape: of the kernels; chosen when None.

    Raises:
        ProgramError, UnsupportedModelError: a requant without proved form, or an operator without kernel.
        ToolError: TVM failed.
    """
    from edgeconv.codegen.blob import Blob
    from edgeconv.codegen.cuda.builder import arena_stride
    from edgeconv.codegen.cuda.emit import emit_device
    from edgeconv.codegen.cuda.source import cuda_source

    plan, shape = _planned(program, forms, fuse, shape)
    blob = Blob()
    launches, report = emit_device(plan, blob, shape, "edge_kernel")
    sequence = [
        KernelLaunch(launch.symbol, launch.blocks, number) for launch in launches for number in range(launch.numbers)
    ]
    return GeneratedCuda(
        source=cuda_source({launch.symbol: launch.function for launch in launches}),
        launches=tuple(sequence),
        threads=shape.threads,
        samples=shape.samples if shape.whole else 0,
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
) -> GeneratedCode:
    """Generate machine code for this kind of CPU, of the kernels that a GPU gets, their threads as loops.

    Args:
        forms, fuse, shape: as for `generate_cuda`.
        backwards: the last thread comes first.

    Raises:
        what `generate_cuda` raises.
    """
    from edgeconv.codegen.blob import Blob
    from edgeconv.codegen.compile_tir import compile_function
    from edgeconv.codegen.cuda.emit import emit_loops
    from edgeconv.codegen.isa.table import find_isa
    from edgeconv.runtime.cpu_features import host_architecture, supported_isas

    plan, shape = _planned(program, forms, fuse, shape)
    blob, symbol = Blob(), "edge_main_cuda"
    emitted = emit_loops(plan, blob, shape, symbol, backwards=backwards)
    with_fma = next((isa for isa in ("avx2", "neon") if isa in supported_isas()), "generic")
    code = compile_function(emitted.function, symbol, find_isa(with_fma, host_architecture()))
    return GeneratedCode("cuda", symbol, code, blob.bytes(), emitted.scratch_bytes, dict(blob.sections), emitted.report)


def _planned(program: Program, forms: Mapping[str, ProvedForms], fuse: bool, shape: Shape | None) -> tuple[Plan, Shape]:
    from edgeconv.codegen.cuda.kernels import load_all as load_own
    from edgeconv.codegen.cuda.shape import choose_shape
    from edgeconv.codegen.isa.cuda import CUDA
    from edgeconv.codegen.kernels import load_all
    from edgeconv.codegen.plan import make_plan

    load_all()
    load_own()
    plan = make_plan(program, forms, CUDA, fuse=fuse, bands=False)
    return plan, choose_shape(plan) if shape is None else shape
