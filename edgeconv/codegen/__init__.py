"""Program to machine code: fused steps, planned arena, packed weights, TIR, LLVM object code.

`generate` is the one entry. TVM is imported when it is called, not before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeconv.codegen.blob import Blob
    from edgeconv.codegen.choices import Choices
    from edgeconv.codegen.emit import KernelReport
    from edgeconv.ir import Program
    from edgeconv.ir.forms import ProvedForms

__all__ = ["GeneratedCode", "generate"]


@dataclass(frozen=True)
class GeneratedCode:
    """What was generated for one instruction set.

    Attributes:
        isa: name of the instruction set.
        symbol: void symbol(const void *const *in, void *const *out, const uint8_t *weights, uint8_t *scratch,
            int64_t n), the only global function of the object besides weak ones. User arrays hold n samples each, one
            after the other, row-major in the container of their type, at any alignment.
        object_bytes: an ELF object without undefined symbols.
        blob: what `weights` must point at, 64-byte-aligned.
        scratch_bytes: what `scratch` must offer, 64-byte-aligned.
        sections: name -> (offset, bytes) of each constant inside the blob.
        report: kernel by kernel, in execution order.
        phases: of code that threads share, which takes `const edge_part *` (edge_model.h) in the place of n; else 0.
    """

    isa: str
    symbol: str
    object_bytes: bytes
    blob: bytes
    scratch_bytes: int
    sections: Mapping[str, tuple[int, int]]
    report: tuple[KernelReport, ...]
    phases: int = 0


def generate(
    program: Program,
    forms: Mapping[str, ProvedForms],
    isa: str,
    *,
    fuse: bool = True,
    blob: Blob | None = None,
    architecture: str | None = None,
    cpu: str | None = None,
    shared: bool = False,
    choices: Choices | None = None,
) -> GeneratedCode:
    """Generate code for a program.

    Args:
        forms: how each requant and add is computed, by output name.
        isa: name of an instruction set; it need not be one that this machine runs.
        fuse: fuse requants into the operators before them; the results are the same bits either way.
        blob: constants of instruction sets generated before, to be added to: equal ones are then stored once. What
            the blob holds at last serves all of them.
        architecture, cpu: as for `edgeconv.codegen.isa.table.find_isa`.
        shared: several threads can run the code together, see `phases`.
        choices: answers the kernels' questions about their blockings; the cycle models' picks when None.

    Raises:
        TargetError: unknown instruction set.
        ProgramError, UnsupportedModelError: a requant without proved form, or an operator without kernel.
        ToolError: TVM failed.
    """
    from edgeconv.codegen.isa.table import find_isa

    machine = find_isa(isa, architecture, cpu)
    from edgeconv.codegen.blob import Blob as NewBlob
    from edgeconv.codegen.compile_tir import compile_function
    from edgeconv.codegen.emit import emit_function
    from edgeconv.codegen.kernels import load_all
    from edgeconv.codegen.plan import make_plan

    load_all()
    plan = make_plan(program, forms, machine, fuse=fuse, bands=not shared)
    blob, symbol = NewBlob() if blob is None else blob, f"edge_main_{isa.replace('+', '_')}"
    emitted = emit_function(plan, blob, machine, symbol, shared=shared, choices=choices)
    code = compile_function(emitted.function, symbol, machine)
    sections = dict(blob.sections)
    return GeneratedCode(
        isa, symbol, code, blob.bytes(), emitted.scratch_bytes, sections, emitted.report, emitted.phases
    )
