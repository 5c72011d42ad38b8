"""AVX-VNNI: 256-bit dot products of bytes and words, in the encoding of AVX (Alder Lake, Zen 5 and later)."""

from __future__ import annotations

from dataclasses import dataclass

from edgeconv.codegen.builder import Memory, View, bind
from edgeconv.codegen.isa.avx2 import VectorsOf256
from edgeconv.codegen.isa.base import NO_LOOP_VECTORIZER, Cost, Dot
from edgeconv.codegen.isa.vectors import broadcast_group, join_halves, load_weights
from edgeconv.codegen.tir import Expr, tirx

__all__ = ["AVXVNNI"]

_LANES = 8
_COST = Cost(step=0.5, latency=4)


@dataclass(frozen=True)
class _ByteDot(Dot):
    """vpdpbusd: four unsigned bytes times four signed ones."""

    name: str = "vpdpbusd"
    activation: str = "uint8"
    group: int = 4
    wraps: bool = True
    tile_blocks: int = 3
    joins: bool = True
    cost: Cost = _COST

    def activations(self, view: View, offset: Expr) -> Expr:
        return broadcast_group(view, offset, 4, _LANES, "uint8x32")

    def joined(self, low: Expr, high: Expr) -> Expr:
        return join_halves(low, high, _LANES, "uint8x32")

    def weights(self, memory: Memory, element: str, offset: Expr) -> Expr:
        return bind(memory.load(element, offset, 32))

    def accumulate(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        # LLVM has one intrinsic for both encodings, and takes that of AVX where AVX-512 is off.
        return tirx.call_llvm_pure_intrin("int32x8", "llvm.x86.avx512.vpdpbusd.256", acc, activations, weights)


@dataclass(frozen=True)
class _WordDot(Dot):
    """vpdpwssd: two signed words times two signed ones."""

    name: str = "vpdpwssd"
    activation: str = "int16"
    group: int = 2
    wraps: bool = True
    least_weight: int = -32767
    most_weight: int = 32767
    tile_blocks: int = 3
    joins: bool = True
    cost: Cost = _COST

    def activations(self, view: View, offset: Expr) -> Expr:
        return broadcast_group(view, offset, 2, _LANES, "int16x16")

    def joined(self, low: Expr, high: Expr) -> Expr:
        return join_halves(low, high, _LANES, "int16x16")

    def weights(self, memory: Memory, element: str, offset: Expr) -> Expr:
        return load_weights(memory, element, offset, 16)

    def accumulate(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        return tirx.call_llvm_pure_intrin("int32x8", "llvm.x86.avx512.vpdpwssd.256", acc, activations, weights)


AVXVNNI = VectorsOf256(
    "avxvnni",
    "x86_64-unknown-linux-gnu",
    "x86-64-v3",
    ("+avxvnni",),
    NO_LOOP_VECTORIZER,
    lanes=_LANES,
    accumulators=12,
    has_fma=True,
    dots=(_ByteDot(), _WordDot()),
)
