"""Program to portable C99: one function per step, constants as arrays. `generate_source` is the one entry.

The kernels are those of every instruction set, seen through `isa.portable_c`; TVM's C generator prints them. What is
generated here are bodies and constants: `edgeconv.artifact.c_target` makes files of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edgeconv.codegen.emit import KernelReport
    from edgeconv.ir import Program
    from edgeconv.ir.forms import ProvedForms

__all__ = ["MEMBERS", "GeneratedSource", "SourceConstant", "SourceStep", "generate_source"]

MEMBERS = {
    "uint8": "u8",
    "int8": "i8",
    "uint16": "u16",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "float32": "f32",
}
"""Members of the scratch union, by element type."""


@dataclass(frozen=True)
class SourceConstant:
    """A constant array of the source: its name and elements, one-dimensional (float32 as the integers of its bits)."""

    name: str
    array: NDArray[np.generic]


@dataclass(frozen=True)
class SourceStep:
    """One function of the source.

    Attributes:
        name: of the function.
        comment: what it computes, and which ONNX node it came from.
        body: its statements.
        inputs, outputs: the user's arrays that it touches, by index; `uses_scratch`: whether it touches the scratch.
    """

    name: str
    comment: str
    body: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    uses_scratch: bool


@dataclass(frozen=True)
class GeneratedSource:
    """A program as C.

    Attributes:
        steps: in execution order.
        constants: as the steps need them, equal ones once.
        helpers: C text of the functions that the steps call.
        members: element types of the scratch union, such as "uint8".
        scratch_bytes: its size, a multiple of eight.
        report: kernel by kernel.
    """

    steps: tuple[SourceStep, ...]
    constants: tuple[SourceConstant, ...]
    helpers: tuple[str, ...]
    members: tuple[str, ...]
    scratch_bytes: int
    report: tuple[KernelReport, ...]

    @property
    def constant_bytes(self) -> int:
        """Bytes of all constants."""
        return sum(constant.array.nbytes for constant in self.constants)


def generate_source(program: Program, forms: Mapping[str, ProvedForms], *, fuse: bool = True) -> GeneratedSource:
    """Generate C99 for a program, one sample a call, integers only.

    Args:
        forms: how each requant and add is computed, by output name; integer forms, or such as have one.
        fuse: fuse requants into the operators before them; the results are the same bits either way.

    Raises:
        ProgramError, UnsupportedModelError: a requant without proved form, or an operator without kernel.
        ToolError: TVM failed.
    """
    from edgeconv.codegen.c_source.builder import CBuilder
    from edgeconv.codegen.c_source.lower import HELPERS
    from edgeconv.codegen.c_source.steps import emit_steps
    from edgeconv.codegen.isa.portable_c import PORTABLE_C
    from edgeconv.codegen.kernels import load_all
    from edgeconv.codegen.plan import make_plan

    load_all()
    plan = make_plan(program, forms, PORTABLE_C, fuse=fuse, bands=False)
    build = CBuilder(plan)
    steps, report = emit_steps(build)
    text = "".join(step.body for step in steps)
    used = [element for element, member in MEMBERS.items() if f"scratch->{member}[" in text]
    size = plan.arena_bytes + build.temporary_bytes
    return GeneratedSource(
        steps=tuple(steps),
        constants=tuple(SourceConstant(name, c.array) for c, name in build.named_constants() if _occurs(name, text)),
        helpers=tuple(code for name, code in HELPERS.items() if _occurs(name, text)),
        members=tuple(used or ["uint8"]),
        scratch_bytes=-(-max(size, 1) // 8) * 8,
        report=tuple(report),
    )


def _occurs(name: str, text: str) -> bool:
    return re.search(rf"\b{name}\b", text) is not None
