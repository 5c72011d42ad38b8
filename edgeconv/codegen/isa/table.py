"""Instruction sets that code is generated for, by name."""

from edgeconv.codegen.isa.avx2 import AVX2
from edgeconv.codegen.isa.avx512vnni import AVX512VNNI
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.isa.generic import GENERIC

ISAS: dict[str, Isa] = {isa.name: isa for isa in (GENERIC, AVX2, AVX512VNNI)}
"""Slowest first."""

__all__ = ["ISAS"]
