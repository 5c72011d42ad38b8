"""AVX-512 with VNNI: the level x86-64-v4 and the dot products of bytes and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeconv.codegen.builder import Memory, View, bind
from edgeconv.codegen.isa.base import NO_LOOP_VECTORIZER, Cost, Dot, Isa
from edgeconv.codegen.isa.vectors import broadcast_group, join_halves, load_weights, shuffle
from edgeconv.codegen.tir import Expr, tirx

__all__ = ["AVX512VNNI"]

_LANES = 16
_COST = Cost(step=0.5, latency=4)  # Zen 5 starts two a cycle, so does Cascade Lake; Zen 4 one
# The saturating packs work inside each quarter of the register: their 32-bit pieces come out quarter by quarter.
_BYTES_ORDER = [4 * quarter + vector for vector in range(4) for quarter in range(4)]
_WORDS_ORDER = [2 * quarter + vector for vector in range(2) for quarter in range(4)]


@dataclass(frozen=True)
class _ByteDot(Dot):
    """vpdpbusd: four unsigned bytes times four signed ones."""

    name: str = "vpdpbusd"
    activation: str = "uint8"
    group: int = 4
    wraps: bool = True
    joins: bool = True
    cost: Cost = _COST

    def activations(self, view: View, offset: Expr) -> Expr:
        return broadcast_group(view, offset, 4, _LANES, "uint8x64")

    def joined(self, low: Expr, high: Expr) -> Expr:
        return join_halves(low, high, _LANES, "uint8x64")

    def weights(self, memory: Memory, element: str, offset: Expr) -> Expr:
        return bind(memory.load(element, offset, 64))

    def accumulate(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        # Since LLVM 21 the operands are bytes, no longer 32-bit lanes.
        return tirx.call_llvm_pure_intrin("int32x16", "llvm.x86.avx512.vpdpbusd.512", acc, activations, weights)


@dataclass(frozen=True)
class _WordDot(Dot):
    """vpdpwssd: two signed words times two signed ones."""

    name: str = "vpdpwssd"
    activation: str = "int16"
    group: int = 2
    wraps: bool = True
    least_weight: int = -32767
    most_weight: int = 32767
    joins: bool = True
    cost: Cost = _COST

    def activations(self, view: View, offset: Expr) -> Expr:
        return broadcast_group(view, offset, 2, _LANES, "int16x32")

    def joined(self, low: Expr, high: Expr) -> Expr:
        return join_halves(low, high, _LANES, "int16x32")

    def weights(self, memory: Memory, element: str, offset: Expr) -> Expr:
        return load_weights(memory, element, offset, 32)

    def accumulate(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        return tirx.call_llvm_pure_intrin("int32x16", "llvm.x86.avx512.vpdpwssd.512", acc, activations, weights)


@dataclass(frozen=True)
class _Avx512(Isa):
    def pack_bytes(self, vectors: Sequence[Expr]) -> Expr:
        a, b, c, d = vectors
        low = tirx.call_llvm_pure_intrin("int16x32", "llvm.x86.avx512.packssdw.512", a, b)
        high = tirx.call_llvm_pure_intrin("int16x32", "llvm.x86.avx512.packssdw.512", c, d)
        packed = tirx.call_llvm_pure_intrin("uint8x64", "llvm.x86.avx512.packuswb.512", low, high)
        return tirx.reinterpret("uint8x64", shuffle([tirx.reinterpret("int32x16", packed)], _BYTES_ORDER))

    def pack_words(self, vectors: Sequence[Expr]) -> Expr:
        packed = tirx.call_llvm_pure_intrin("int16x32", "llvm.x86.avx512.packssdw.512", *vectors)
        return tirx.reinterpret("int16x32", shuffle([tirx.reinterpret("int64x8", packed)], _WORDS_ORDER))


AVX512VNNI = _Avx512(
    "avx512vnni",
    "x86_64-unknown-linux-gnu",
    "x86-64-v4",
    ("+avx512vnni",),
    NO_LOOP_VECTORIZER,
    lanes=_LANES,
    accumulators=24,
    has_fma=True,
    dots=(_ByteDot(), _WordDot()),
)
