"""AVX-512 with VNNI: the level x86-64-v4 and the dot products of bytes and words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import Builder, bind, const
from edgeconv.codegen.isa.base import NO_AUTO_VECTORIZER, Isa
from edgeconv.codegen.isa.vectors import shuffle
from edgeconv.codegen.isa.vnni import VnniBytes, VnniWords
from edgeconv.codegen.tir import Expr, tirx

__all__ = ["AVX512VNNI"]

_LANES = 16
# The saturating packs work inside each quarter of the register: their 32-bit pieces come out quarter by quarter.
_BYTES_ORDER = [4 * quarter + vector for vector in range(4) for quarter in range(4)]
_WORDS_ORDER = [2 * quarter + vector for vector in range(2) for quarter in range(4)]


@dataclass(frozen=True)
class _Avx512(Isa):
    def pack_bytes(self, vectors: Sequence[Expr]) -> Expr:
        a, b, c, d = vectors
        low = tirx.call_llvm_pure_intrin("int16x32", "llvm.x86.avx512.packssdw.512", a, b)
        high = tirx.call_llvm_pure_intrin("int16x32", "llvm.x86.avx512.packssdw.512", c, d)
        packed = _pack_unsigned(low, high)
        return tirx.reinterpret("uint8x64", shuffle([tirx.reinterpret("int32x16", packed)], _BYTES_ORDER))

    def pack_bits(self, vectors: Sequence[Expr]) -> Expr:
        """A negative upper half saturates to 0, so that bytes come out as words and are narrowed once more."""
        words = [tirx.reinterpret("int16x32", vector) for vector in vectors]
        low, high = (_pack_unsigned(a, b) for a, b in (words[:2], words[2:]))
        packed = _pack_unsigned(*(tirx.reinterpret("int16x32", half) for half in (low, high)))
        return tirx.reinterpret("uint8x64", shuffle([tirx.reinterpret("int32x16", packed)], _BYTES_ORDER))

    def pack_words(self, vectors: Sequence[Expr]) -> Expr:
        packed = tirx.call_llvm_pure_intrin("int16x32", "llvm.x86.avx512.packssdw.512", *vectors)
        return tirx.reinterpret("int16x32", shuffle([tirx.reinterpret("int64x8", packed)], _WORDS_ORDER))

    def nearest(self, floats: Expr) -> Expr:
        return tirx.call_llvm_pure_intrin("int32x16", "llvm.lrint.v16i32.v16f32", floats)

    def look_up_bytes(self, build: Builder, label: str, table: NDArray[np.uint8]) -> Callable[[Expr], Expr]:
        """Four registers hold the table as words, two entries in each; vpermt2w looks at two of them."""
        words = build.constant(label, table.view(np.int16))

        def entry(parts: list[Expr], indices: Expr) -> Expr:
            """Of uint16 indices, in the low bytes."""
            pairs = bind(tirx.reinterpret("int16x32", indices >> const(1, "uint16", 32)))
            halves = [
                tirx.call_llvm_pure_intrin("int16x32", "llvm.x86.avx512.vpermi2var.hi.512", low, pairs, high)
                for low, high in (parts[:2], parts[2:])
            ]
            both = tirx.Select(indices < const(128, "uint16", 32), halves[0], halves[1])
            shift = bind((indices & const(1, "uint16", 32)) << const(3, "uint16", 32))
            return (tirx.reinterpret("uint16x32", bind(both)) >> shift) & const(255, "uint16", 32)

        def entries(stored: Expr) -> Expr:
            parts = [bind(words.vload(start, 32)) for start in range(0, 128, 32)]
            pairs = bind(tirx.reinterpret("uint16x32", stored))
            even = entry(parts, bind(pairs & const(255, "uint16", 32)))
            odd = entry(parts, bind(pairs >> const(8, "uint16", 32)))
            return tirx.reinterpret("uint8x64", bind(even | (odd << const(8, "uint16", 32))))

        return entries

    def lookup(self, build: Builder, label: str, table: NDArray[np.int64]) -> Callable[[Expr], Expr]:
        """Two registers hold the table as words; vpermt2w looks at the lower words of the indices."""
        words = build.constant(label, table.astype(np.uint16).view(np.int16))
        halves = [bind(words.vload(start, 32)) for start in (0, 32)]

        def entries(indices: Expr) -> Expr:
            words = tirx.reinterpret("int16x32", indices)
            found = tirx.call_llvm_pure_intrin(
                "int16x32", "llvm.x86.avx512.vpermi2var.hi.512", halves[0], words, halves[1]
            )
            return tirx.reinterpret("int32x16", found) & const(0xFFFF, "int32", _LANES)

        return entries


def _pack_unsigned(a: Expr, b: Expr) -> Expr:
    return tirx.call_llvm_pure_intrin("uint8x64", "llvm.x86.avx512.packuswb.512", a, b)


AVX512VNNI = _Avx512(
    "avx512vnni",
    "x86_64-unknown-linux-gnu",
    "x86-64-v4",
    ("+avx512vnni",),
    NO_AUTO_VECTORIZER,
    lanes=_LANES,
    accumulators=24,
    has_fma=True,
    bits_sign=-1,
    lookup_steps=22,
    dots=(VnniBytes(lanes=_LANES), VnniWords(lanes=_LANES)),
)
