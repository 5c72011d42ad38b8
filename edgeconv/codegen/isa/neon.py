"""Advanced SIMD of 64-bit Arm: vectors of 128 bits, with and without the dot product of Armv8.2.

The arena holds bytes unsigned, and Arm multiplies signed bytes by signed ones. One exclusive-or with 128 makes the
sixteen bytes of a load signed, which lowers each by 128 (`Dot.offset`). Loads cover several groups; the instructions
(or a dup) pick the group out of the register, which costs less than a load with broadcast for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import Builder, Memory, View, bind, const
from edgeconv.codegen.isa.base import Dot, Isa
from edgeconv.codegen.isa.neon_sweep import BLOCK, POSITIONS, sweep_function, sweep_name
from edgeconv.codegen.isa.vectors import load_weights, shuffle
from edgeconv.codegen.tir import Expr, T, tirx

__all__ = ["NEON", "NEON_DOTPROD"]

_LANES = 4
_LOW, _HIGH = range(8), range(8, 16)
_IN_ORDER = ("cortex-a34", "cortex-a35", "cortex-a53")


def _signed_bytes(view: View, offset: Expr) -> Expr:
    """Sixteen stored bytes, each less 128."""
    return _signed(view.vload(offset, 16))


def _signed(stored: Expr) -> Expr:
    return bind(tirx.reinterpret("int8x16", stored ^ const(128, "uint8", 16)))


@dataclass(frozen=True)
class _ByteDot(Dot):
    """sdot: four signed bytes times four signed ones; the activations are one lane of a register."""

    name: str = "sdot"
    activation: str = "uint8"
    group: int = 4
    wraps: bool = True
    span: int = 4
    offset: int = 128
    takes_bytes: bool = True

    def activations(self, view: View, offset: Expr) -> Expr:
        return _signed_bytes(view, offset)

    def from_bytes(self, stored: Expr) -> Expr:
        return _signed(stored)

    def member(self, loaded: Expr, index: int) -> Expr:
        lane = shuffle([tirx.reinterpret("int32x4", loaded)], [index] * _LANES)
        return bind(tirx.reinterpret("int8x16", lane))

    def weights(self, memory: Memory, element: str, offset: Expr) -> Expr:
        return bind(memory.load(element, offset, 16))

    def accumulate(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        return tirx.call_llvm_pure_intrin("int32x4", "llvm.aarch64.neon.sdot.v4i32.v16i8", acc, weights, activations)


@dataclass(frozen=True)
class _PairDot(Dot):
    """smull, smlal2 and sadalp: two products of bytes are added in 16 bits, then pairs of sums in 32 bits.

    128·127·2 fits 16 bits, 128·128·2 does not. The first two bytes of each lane's group come first in memory, then the
    other two, so that the two long products add up what belongs to one lane.
    """

    name: str = "smull, smlal, sadalp"
    activation: str = "uint8"
    group: int = 4
    wraps: bool = False
    span: int = 4
    offset: int = 128
    least_weight: int = -127

    def activations(self, view: View, offset: Expr) -> Expr:
        return _signed_bytes(view, offset)

    def member(self, loaded: Expr, index: int) -> Expr:
        places = [4 * index + 2 * half + byte for half in range(2) for _ in range(4) for byte in range(2)]
        table = tirx.Shuffle([tirx.const(place, "uint8") for place in places], list(range(16)))
        return bind(tirx.call_llvm_pure_intrin("int8x16", "llvm.aarch64.neon.tbl1.v16i8", loaded, table))

    def arranged(self, weights: NDArray[np.int64]) -> NDArray[np.int64]:
        halves = weights.reshape(*weights.shape[:-1], 2, 2)
        return halves.swapaxes(-3, -2).reshape(weights.shape)

    def weights(self, memory: Memory, element: str, offset: Expr) -> Expr:
        return bind(memory.load(element, offset, 16))

    def accumulate(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        return _add_pairs(acc, _long_product(activations, weights, _LOW) + _long_product(activations, weights, _HIGH))


@dataclass(frozen=True)
class _SingleDot(_PairDot):
    """The same for weights of -128: sums of two products of 16 bits go to 32 bits one by one."""

    name: str = "smull, sadalp"
    least_weight: int = -128

    def accumulate(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        for half in (_LOW, _HIGH):
            acc = _add_pairs(acc, _long_product(activations, weights, half))
        return acc


def _long_product(a: Expr, b: Expr, half: range) -> Expr:
    return tirx.call_llvm_pure_intrin(
        "int16x8", "llvm.aarch64.neon.smull.v8i16", shuffle([a], half), shuffle([b], half)
    )


def _add_neighbours(a: Expr, b: Expr) -> Expr:
    return tirx.call_llvm_pure_intrin("int32x4", "llvm.aarch64.neon.addp.v4i32", a, b)


def _add_pairs(acc: Expr, products: Expr) -> Expr:
    return acc + tirx.call_llvm_pure_intrin("int32x4", "llvm.aarch64.neon.saddlp.v4i32.v8i16", products)


@dataclass(frozen=True)
class _LongDot(Dot):
    """Long products of 16 bytes of taps of one output, `products` of them added in 16 bits before one sadalp.

    The part of an accumulator that belongs to an output channel holds four sums, each of every fourth pair of taps;
    pairwise additions make one vector of four parts at the end. So neither activations nor weights are rearranged, and
    with activations made signed beforehand nothing stands between the loads and the products.
    """

    activation: str = "int8"
    group: int = 16
    wraps: bool = False
    offset: int = 128
    parts: int = _LANES
    tile_blocks: int = 1

    def activations(self, view: View, offset: Expr) -> tuple[Expr, ...]:
        return tuple(bind(view.vload(offset + first, 16)) for first in range(0, self.group, 16))

    def weights(self, memory: Memory, element: str, offset: Expr) -> tuple[tuple[Expr, ...], ...]:
        places = [offset + lane * self.group for lane in range(_LANES)]
        return tuple(
            tuple(bind(memory.load(element, place + first, 16)) for first in range(0, self.group, 16))
            for place in places
        )

    def accumulate(
        self, acc: tuple[Expr, ...], activations: tuple[Expr, ...], weights: tuple[tuple[Expr, ...], ...]
    ) -> tuple[Expr, ...]:
        sums = []
        for part, vectors in zip(acc, weights, strict=True):
            pairs = zip(activations, vectors, strict=True)
            first, *others = [_long_product(a, w, half) for a, w in pairs for half in (_LOW, _HIGH)]
            for product in others:
                first = first + product
            sums.append(_add_pairs(part, first))
        return tuple(sums)

    def total(self, parts: tuple[Expr, ...]) -> Expr:
        a, b, c, d = parts
        return _add_neighbours(bind(_add_neighbours(a, b)), bind(_add_neighbours(c, d)))


@dataclass(frozen=True)
class _SweptDot(_LongDot):
    """Two products, which weights of 8 bits allow; whole tiles by a loop that is scheduled by hand (`neon_sweep`)."""

    name: str = "smull, smlal2, sadalp"
    products: int = 2
    accumulators: int = _LANES * POSITIONS
    swept_rows: int = POSITIONS
    swept_groups: int = BLOCK

    def sweep(
        self, build: Builder, acc: Expr, weights: Expr, activations: Sequence[Expr], groups: int, *, fresh: bool
    ) -> None:
        name = sweep_name(groups, fresh=fresh)
        build.llvm_functions[name] = sweep_function(groups, fresh=fresh)
        T.evaluate(tirx.call_extern("void", name, acc, weights, *activations))


# A tile of three positions leaves registers for as many long products as the latency of an in-order core asks for.
_FOURS = _LongDot("smull, 3 smlal, sadalp", group=32, products=4, accumulators=12)
_SWEPT = _SweptDot()


@dataclass(frozen=True)
class _WordDot(Dot):
    """smlal with a lane: one signed word times another."""

    name: str = "smlal"
    activation: str = "int16"
    group: int = 1
    wraps: bool = False
    span: int = 8
    least_weight: int = -32768
    most_weight: int = 32767

    def activations(self, view: View, offset: Expr) -> Expr:
        return bind(view.vload(offset, 8))

    def member(self, loaded: Expr, index: int) -> Expr:
        return bind(shuffle([loaded], [index] * _LANES))

    def weights(self, memory: Memory, element: str, offset: Expr) -> Expr:
        return load_weights(memory, element, offset, _LANES)

    def accumulate(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        return acc + _word_product(weights, activations)


def _word_product(a: Expr, b: Expr) -> Expr:
    return tirx.call_llvm_pure_intrin("int32x4", "llvm.aarch64.neon.smull.v4i32", a, b)


@dataclass(frozen=True)
class _Neon(Isa):
    def for_cpu(self, cpu: str) -> Isa:
        """Out of order, the loads and lookups of short groups cost nothing, and their tiles are larger."""
        long_dots = tuple(dot for dot in self.long_dots if cpu in _IN_ORDER or not dot.swept_rows)
        return replace(self, cpu=cpu, long_dots=long_dots)

    def pack_bytes(self, vectors: Sequence[Expr]) -> Expr:
        return self._narrow([self.pack_words(vectors[:2]), self.pack_words(vectors[2:])])

    def pack_bits(self, vectors: Sequence[Expr]) -> Expr:
        """uzp1 takes the lower halves of two vectors."""
        words = [tirx.reinterpret("int16x8", vector) for vector in vectors]
        return self._narrow([bind(shuffle(pair, range(0, 16, 2))) for pair in (words[:2], words[2:])])

    def _narrow(self, words: Sequence[Expr]) -> Expr:
        halves = [tirx.call_llvm_pure_intrin("uint8x8", "llvm.aarch64.neon.sqxtun.v8i8", half) for half in words]
        return shuffle([bind(half) for half in halves], range(16))

    def pack_words(self, vectors: Sequence[Expr]) -> Expr:
        halves = [tirx.call_llvm_pure_intrin("int16x4", "llvm.aarch64.neon.sqxtn.v4i16", v) for v in vectors]
        return shuffle([bind(half) for half in halves], range(8))

    def look_up_bytes(self, build: Builder, label: str, table: NDArray[np.uint8]) -> Callable[[Expr], Expr]:
        """tbl and tbx look up in four registers, a quarter of the table, and leave what is beyond them."""
        view = build.constant(label, table)

        def entries(stored: Expr) -> Expr:
            found: Expr = None
            for first in range(0, 256, 64):
                quarter = [bind(view.vload(first + part, 16)) for part in range(0, 64, 16)]
                indices = bind(stored - const(first, "uint8", 16)) if first else stored
                if found is None:
                    name, operands = "tbl4", [*quarter, indices]
                else:
                    name, operands = "tbx4", [found, *quarter, indices]
                found = bind(tirx.call_llvm_pure_intrin("uint8x16", f"llvm.aarch64.neon.{name}.v16i8", *operands))
            return found

        return entries

    def nearest(self, floats: Expr) -> Expr:
        return tirx.call_llvm_pure_intrin("int32x4", "llvm.aarch64.neon.fcvtns.v4i32.v4f32", floats)

    def multiply_words(self, a: Expr, b: Expr) -> Expr:
        return _word_product(a, b)


NEON = _Neon(
    "neon",
    "aarch64-unknown-linux-gnu",
    "cortex-a53",
    lanes=_LANES,
    accumulators=16,
    panel_blocks=4,
    has_fma=True,
    bits_sign=1,
    lookup_steps=7,
    multiplies_words=True,
    dots=(_PairDot(), _SingleDot(), _WordDot()),
    long_dots=(_FOURS, _SWEPT),
)
NEON_DOTPROD = _Neon(
    "neon+dotprod",
    "aarch64-unknown-linux-gnu",
    "cortex-a76",
    ("+dotprod",),
    lanes=_LANES,
    accumulators=16,
    panel_blocks=4,
    has_fma=True,
    bits_sign=1,
    lookup_steps=7,
    multiplies_words=True,
    dots=(_ByteDot(), _WordDot()),
)
