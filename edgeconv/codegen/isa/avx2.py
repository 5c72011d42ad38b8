"""AVX2 with FMA: the level x86-64-v3."""

from edgeconv.codegen.isa.base import Isa

AVX2 = Isa("avx2", "x86_64-unknown-linux-gnu", "x86-64-v3", has_fma=True)
