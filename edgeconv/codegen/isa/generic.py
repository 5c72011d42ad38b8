"""Any 64-bit processor: scalar integers, whatever LLVM makes of them."""

from edgeconv.codegen.isa.base import Isa

GENERIC = Isa("generic", "x86_64-unknown-linux-gnu", "x86-64")
GENERIC_AARCH64 = Isa("generic", "aarch64-unknown-linux-gnu", "generic")
