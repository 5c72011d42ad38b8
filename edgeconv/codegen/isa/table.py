"""Instruction sets that code is generated for, by name."""

from __future__ import annotations

from edgeconv.codegen.isa.avx2 import AVX2
from edgeconv.codegen.isa.avx512vnni import AVX512VNNI
from edgeconv.codegen.isa.avxvnni import AVXVNNI
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.isa.generic import GENERIC, GENERIC_AARCH64
from edgeconv.codegen.isa.neon import NEON, NEON_DOTPROD
from edgeconv.errors import TargetError

__all__ = ["ISAS", "find_isa"]

ISAS: dict[str, Isa] = {isa.name: isa for isa in (GENERIC, AVX2, AVXVNNI, AVX512VNNI, NEON, NEON_DOTPROD)}
"""Slowest first; `generic` as it is on x86."""
_OF_ANY_CPU = {isa.triple.split("-")[0]: isa for isa in (GENERIC, GENERIC_AARCH64)}


def find_isa(name: str, architecture: str | None = None, cpu: str | None = None) -> Isa:
    """An instruction set for a processor.

    Args:
        architecture: where `generic` is to run; x86_64 when None.
        cpu: LLVM's name of the processor that code is scheduled for; the instruction set's own when None. Features
            beyond the instruction set's stay switched off.

    Raises:
        TargetError: there is no such instruction set, or not on that architecture.
    """
    if name not in ISAS:
        raise TargetError(f"unknown instruction set {name!r}", expected=", ".join(ISAS))
    isa = _OF_ANY_CPU.get(architecture, ISAS[name]) if architecture and name == "generic" else ISAS[name]
    if architecture is not None and not isa.triple.startswith(f"{architecture}-"):
        raise TargetError(f"instruction set {name!r} on {architecture}", expected=isa.triple.split("-")[0])
    return isa if cpu is None else isa.for_cpu(cpu)
