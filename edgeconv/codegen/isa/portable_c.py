"""C99 for any compiler: the integers of `generic`, one element at a time, and nothing that only LLVM knows."""

from edgeconv.codegen.isa.base import Isa

__all__ = ["PORTABLE_C"]

PORTABLE_C = Isa("c", "", "", plain=True)
"""No entry of `ISAS`: it becomes source (`codegen.c_source`), not machine code."""
