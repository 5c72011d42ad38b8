"""The dot products of VNNI, at 512 bits in the encoding of AVX-512 or at 256 bits in that of AVX."""

from __future__ import annotations

from dataclasses import dataclass

from edgeconv.codegen.builder import Memory, View, bind
from edgeconv.codegen.isa.base import Cost, Dot
from edgeconv.codegen.isa.vectors import broadcast_group, join_halves, load_weights
from edgeconv.codegen.tir import Expr, tirx

__all__ = ["VnniBytes", "VnniWords"]

_COST = Cost(step=0.5, latency=4)  # Zen 5 starts two a cycle, so does Cascade Lake; Zen 4 one


@dataclass(frozen=True)
class VnniBytes(Dot):
    """vpdpbusd: four unsigned bytes times four signed ones.

    Attributes:
        lanes: 16 or 8.
    """

    name: str = "vpdpbusd"
    activation: str = "uint8"
    group: int = 4
    wraps: bool = True
    takes_bytes: bool = True
    joins: bool = True
    cost: Cost = _COST
    lanes: int = 16

    def activations(self, view: View, offset: Expr) -> Expr:
        return broadcast_group(view, offset, 4, self.lanes, f"uint8x{4 * self.lanes}")

    def joined(self, low: Expr, high: Expr, upper: Expr) -> Expr:
        return join_halves(low, high, upper, self.lanes, f"uint8x{4 * self.lanes}")

    def weights(self, memory: Memory, element: str, offset: Expr) -> Expr:
        return bind(memory.load(element, offset, 4 * self.lanes))

    def accumulate(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        # Since LLVM 21 the operands are bytes, no longer 32-bit lanes.
        return _dot("vpdpbusd", self.lanes, acc, activations, weights)


@dataclass(frozen=True)
class VnniWords(Dot):
    """vpdpwssd: two signed words times two signed ones.

    Attributes:
        lanes: 16 or 8.
    """

    name: str = "vpdpwssd"
    activation: str = "int16"
    group: int = 2
    wraps: bool = True
    least_weight: int = -32767
    most_weight: int = 32767
    joins: bool = True
    cost: Cost = _COST
    lanes: int = 16

    def activations(self, view: View, offset: Expr) -> Expr:
        return broadcast_group(view, offset, 2, self.lanes, f"int16x{2 * self.lanes}")

    def joined(self, low: Expr, high: Expr, upper: Expr) -> Expr:
        return join_halves(low, high, upper, self.lanes, f"int16x{2 * self.lanes}")

    def weights(self, memory: Memory, element: str, offset: Expr) -> Expr:
        return load_weights(memory, element, offset, 2 * self.lanes)

    def accumulate(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        return _dot("vpdpwssd", self.lanes, acc, activations, weights)


def _dot(instruction: str, lanes: int, acc: Expr, activations: Expr, weights: Expr) -> Expr:
    # LLVM has one intrinsic of 256 bits for both encodings, and takes that of AVX where AVX-512 is off.
    name = f"llvm.x86.avx512.{instruction}.{32 * lanes}"
    return tirx.call_llvm_pure_intrin(f"int32x{lanes}", name, acc, activations, weights)
