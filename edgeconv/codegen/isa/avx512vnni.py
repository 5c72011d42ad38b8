"""AVX-512 with VNNI: the level x86-64-v4 and the dot product of bytes."""

from edgeconv.codegen.isa.base import Isa

AVX512VNNI = Isa("avx512vnni", "x86_64-unknown-linux-gnu", "x86-64-v4", ("+avx512vnni",), has_fma=True)
