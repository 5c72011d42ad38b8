"""AVX2 with FMA: the level x86-64-v3.

The dot product of bytes is two of words, of the even and of the odd bytes: vpmaddubsw, which would take bytes as they
are, saturates. Groups of four bytes are those of AVX-512 VNNI, so that both read the same packed weights. Dense kernels
widen their activations beforehand, which leaves nothing to do for a group but to widen its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import Builder, Memory, View, bind, const
from edgeconv.codegen.isa.base import NO_AUTO_VECTORIZER, Cost, Dot, Isa
from edgeconv.codegen.isa.vectors import broadcast_group, join_halves, load_weights, shuffle
from edgeconv.codegen.tir import Expr, tirx

__all__ = ["AVX2", "VectorsOf256", "WordDot"]

_LANES = 8
_BYTES_COST = Cost(step=1, latency=2, activations=0.5, weights=0.75)  # two multiplications and four others a cycle
_HALVES_COST = Cost(step=1, latency=1, weights=0.5)
_WORDS_COST = Cost(step=0.5, latency=1, weights=0.25)
# The saturating packs work inside each half of the register: their pieces come out half by half.
_BYTES_ORDER = [4 * half + vector for vector in range(4) for half in range(2)]
_WORDS_ORDER = [2 * half + vector for vector in range(2) for half in range(2)]


@dataclass(frozen=True)
class _ByteDot(Dot):
    """vpmaddwd on even and on odd bytes; 255·128·2 fits a lane, and TVM tells LLVM that additions do not wrap."""

    name: str = "vpmaddwd × 2"
    activation: str = "uint8"
    group: int = 4
    wraps: bool = False
    takes_bytes: bool = True
    joins: bool = True
    cost: Cost = _BYTES_COST

    def activations(self, view: View, offset: Expr) -> Expr:
        return broadcast_group(view, offset, 4, _LANES, "uint8x32")

    def joined(self, low: Expr, high: Expr, upper: Expr) -> Expr:
        return join_halves(low, high, upper, _LANES, "uint8x32")

    def weights(self, memory: Memory, element: str, offset: Expr) -> Expr:
        return bind(memory.load(element, offset, 32))

    def accumulate(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        eight = const(8, "int16", 16)
        x = tirx.reinterpret("uint16x16", activations)
        w = tirx.reinterpret("int16x16", weights)
        even = tirx.reinterpret("int16x16", x & const(255, "uint16", 16))
        odd = tirx.reinterpret("int16x16", x >> const(8, "uint16", 16))
        return acc + _multiply_words(even, (w << eight) >> eight) + _multiply_words(odd, w >> eight)


def _multiply_words(a: Expr, b: Expr) -> Expr:
    return tirx.call_llvm_pure_intrin("int32x8", "llvm.x86.avx2.pmadd.wd", a, b)


@dataclass(frozen=True)
class _HalvesDot(Dot):
    """vpmaddwd on four words and as many widened bytes a lane: two sums a lane, added up at the end by vphaddd.

    The parts of an accumulator hold the lower and the upper four lanes. With a block for two positions each part has
    its own. A tile is one block wide, so that the weights are widened for as many positions as there are registers.
    """

    name: str = "vpmaddwd"
    activation: str = "int16"
    group: int = 4
    wraps: bool = False
    parts: int = 2
    tile_blocks: int = 1
    joins: bool = True
    cost: Cost = _HALVES_COST

    def activations(self, view: View, offset: Expr) -> Expr:
        words = tirx.reinterpret("int64", view.vload(offset, 4))
        loaded = bind(tirx.reinterpret("int16x16", tirx.Broadcast(words, 4)))
        return loaded, loaded

    def joined(self, low: tuple[Expr, Expr], high: tuple[Expr, Expr], upper: Expr) -> tuple[Expr, Expr]:
        return low[0], high[1]

    def weights(self, memory: Memory, element: str, offset: Expr) -> tuple[Expr, Expr]:
        return load_weights(memory, element, offset, 16), load_weights(memory, element, offset + 16, 16)

    def accumulate(
        self, acc: tuple[Expr, Expr], activations: tuple[Expr, Expr], weights: tuple[Expr, Expr]
    ) -> tuple[Expr, ...]:
        return tuple(part + _multiply_words(x, w) for part, x, w in zip(acc, activations, weights, strict=True))

    def total(self, parts: tuple[Expr, Expr]) -> Expr:
        added = tirx.call_llvm_pure_intrin("int32x8", "llvm.x86.avx2.phadd.d", *parts)
        return tirx.reinterpret("int32x8", shuffle([tirx.reinterpret("int64x4", added)], _WORDS_ORDER))


@dataclass(frozen=True)
class WordDot(Dot):
    """vpmaddwd and an addition; the sum of two products cannot overflow unless both words are -32768 twice."""

    name: str = "vpmaddwd"
    activation: str = "int16"
    group: int = 2
    wraps: bool = False
    least_weight: int = -32767
    most_weight: int = 32767
    joins: bool = True
    cost: Cost = _WORDS_COST

    def activations(self, view: View, offset: Expr) -> Expr:
        return broadcast_group(view, offset, 2, _LANES, "int16x16")

    def joined(self, low: Expr, high: Expr, upper: Expr) -> Expr:
        return join_halves(low, high, upper, _LANES, "int16x16")

    def weights(self, memory: Memory, element: str, offset: Expr) -> Expr:
        return load_weights(memory, element, offset, 16)

    def accumulate(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        return acc + _multiply_words(activations, weights)


def _pack_unsigned(a: Expr, b: Expr) -> Expr:
    return tirx.call_llvm_pure_intrin("uint8x32", "llvm.x86.avx2.packuswb", a, b)


@dataclass(frozen=True)
class VectorsOf256(Isa):
    """What instruction sets with 256-bit vectors share."""

    def pack_bytes(self, vectors: Sequence[Expr]) -> Expr:
        a, b, c, d = vectors
        low = tirx.call_llvm_pure_intrin("int16x16", "llvm.x86.avx2.packssdw", a, b)
        high = tirx.call_llvm_pure_intrin("int16x16", "llvm.x86.avx2.packssdw", c, d)
        packed = _pack_unsigned(low, high)
        return tirx.reinterpret("uint8x32", shuffle([tirx.reinterpret("int32x8", packed)], _BYTES_ORDER))

    def pack_bits(self, vectors: Sequence[Expr]) -> Expr:
        """A negative upper half saturates to 0, so that bytes come out as words and are narrowed once more."""
        words = [tirx.reinterpret("int16x16", vector) for vector in vectors]
        low, high = (_pack_unsigned(a, b) for a, b in (words[:2], words[2:]))
        packed = _pack_unsigned(*(tirx.reinterpret("int16x16", half) for half in (low, high)))
        return tirx.reinterpret("uint8x32", shuffle([tirx.reinterpret("int32x8", packed)], _BYTES_ORDER))

    def look_up_bytes(self, build: Builder, label: str, table: NDArray[np.uint8]) -> Callable[[Expr], Expr]:
        """vpshufb looks up the low half of an index in each sixteenth of the table, blends choose by the high half."""
        rows = build.constant(label, np.tile(table.reshape(16, 16), 2))

        def entries(stored: Expr) -> Expr:
            low = bind(tirx.reinterpret("int8x32", stored & const(15, "uint8", 32)))
            words = bind(tirx.reinterpret("uint16x16", stored))
            # Bits 4 to 7 where a blend looks: at the top of their bytes.
            moved = [bind(tirx.reinterpret("int8x32", words << const(3 - bit, "uint16", 16))) for bit in range(4)]

            def chosen(first: int, bit: int) -> Expr:
                """Of the sixteenths from `first` on, 2^bit of them."""
                if bit == 0:
                    row = tirx.reinterpret("int8x32", rows.vload(32 * first, 32))
                    return bind(tirx.call_llvm_pure_intrin("int8x32", "llvm.x86.avx2.pshuf.b", row, low))
                below, above = chosen(first, bit - 1), chosen(first + (1 << (bit - 1)), bit - 1)
                return bind(tirx.Select(moved[bit - 1] < const(0, "int8", 32), above, below))

            return tirx.reinterpret("uint8x32", chosen(0, 4))

        return entries

    def nearest(self, floats: Expr) -> Expr:
        return tirx.call_llvm_pure_intrin("int32x8", "llvm.x86.avx.cvt.ps2dq.256", floats)

    def pack_words(self, vectors: Sequence[Expr]) -> Expr:
        packed = tirx.call_llvm_pure_intrin("int16x16", "llvm.x86.avx2.packssdw", *vectors)
        return tirx.reinterpret("int16x16", shuffle([tirx.reinterpret("int64x4", packed)], _WORDS_ORDER))


AVX2 = VectorsOf256(
    "avx2",
    "x86_64-unknown-linux-gnu",
    "x86-64-v3",
    llvm_options=NO_AUTO_VECTORIZER,
    lanes=_LANES,
    accumulators=12,
    has_fma=True,
    bits_sign=-1,
    lookup_steps=36,
    dots=(_ByteDot(), WordDot()),
    dense_dots=(_HalvesDot(),),
)
