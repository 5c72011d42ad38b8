"""AVX-VNNI: 256-bit dot products of bytes and words, in the encoding of AVX (Alder Lake, Zen 5 and later)."""

from __future__ import annotations

from edgeconv.codegen.isa.avx2 import VectorsOf256
from edgeconv.codegen.isa.base import NO_AUTO_VECTORIZER
from edgeconv.codegen.isa.vnni import VnniBytes, VnniWords

__all__ = ["AVXVNNI"]

_LANES = 8

AVXVNNI = VectorsOf256(
    "avxvnni",
    "x86_64-unknown-linux-gnu",
    "x86-64-v3",
    ("+avxvnni",),
    NO_AUTO_VECTORIZER,
    lanes=_LANES,
    accumulators=12,
    has_fma=True,
    bits_sign=-1,
    lookup_steps=36,
    dots=(VnniBytes(lanes=_LANES, tile_blocks=3), VnniWords(lanes=_LANES, tile_blocks=3)),
)
