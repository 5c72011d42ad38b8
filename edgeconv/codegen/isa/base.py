"""What a kernel may ask of an instruction set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NO_AUTO_VECTORIZER", "Cost", "Dot", "Isa"]


@dataclass(frozen=True)
class Cost:
    """Cycles of a dot product on the fastest core of its kind that was measured; only their proportions matter much.

    Attributes:
        step: one `accumulate`, many independent ones in flight.
        latency: from one step of an accumulator to its next.
        activations, weights: what `activations` and `weights` compute besides their loads.
    """

    step: float
    latency: float
    activations: float = 0.0
    weights: float = 0.0


@dataclass(frozen=True)
class Dot(ABC):
    """A dot product of short groups into int32 lanes: acc[lane] += Σ_i (activation[i] - offset)·weight[lane, i].

    The sum is modulo 2³².

    Attributes:
        name: for reports.
        activation: stored element type of the activations.
        group: length of a group.
        wraps: whether an intermediate overflow of int32 is harmless; where not, the caller excludes it.
        span: groups that one load of activations covers; 1 where the load puts a group into every lane.
        offset: what is taken off a stored activation before it is multiplied.
        least_weight, most_weight: the weights it is right for.
        parts: vectors that one accumulator consists of; `total` makes one of them.
        tile_blocks: blocks of a panel that a tile covers, where whole panels would have too many; 0 for whole panels.
        accumulators: most vectors of sums of a tile, where fewer than the instruction set's are better; else 0.
        takes_bytes: whether `from_bytes` works: activations may differ from lane to lane.
        products: of one output, in steps of group / products elements, that are added in 16 bits before they are
            widened: weights must be small enough for that (`long_products.sums_fit`).
        joins: whether `joined` works: a vector may serve two output positions, one in each half.
        swept_rows: output positions of the tiles that `sweep` is for; 0 where there is no such method.
        swept_groups: number of groups that `sweep` takes a multiple of.
        cost: for the choice of tiles; where None, tiles take all accumulators of the instruction set.
    """

    name: str
    activation: str
    group: int
    wraps: bool
    span: int = 1
    offset: int = 0
    least_weight: int = -128
    most_weight: int = 127
    parts: int = 1
    tile_blocks: int = 0
    accumulators: int = 0
    takes_bytes: bool = False
    products: int = 1
    joins: bool = False
    swept_rows: int = 0
    swept_groups: int = 1
    cost: Cost | None = None

    @abstractmethod
    def activations(self, view: Any, offset: Any) -> Any:
        """The `span` groups from `offset` of a view on; binds them. Reads whole vectors, so possibly past them."""

    def member(self, loaded: Any, index: int) -> Any:
        """Group `index` of what `activations` gave, as `accumulate` takes it; binds it."""
        return loaded

    def joined(self, low: Any, high: Any, upper: Any) -> Any:
        """Activations with the group of `low` in the lower half of the lanes and that of `high` in the upper half.

        Args:
            upper: int32 vector, all bits set in the upper half, none in the lower one.
        """
        raise TypeError(f"{self.name} does not join halves")

    def arranged(self, weights: NDArray[np.int64]) -> NDArray[np.int64]:
        """Weights (…, lanes, group) in the order of memory, in the same shape."""
        return weights

    def from_bytes(self, stored: Any) -> Any:
        """Four stored bytes for each lane, as `accumulate` takes them; binds them."""
        if not self.takes_bytes:
            raise TypeError(f"{self.name} takes one group for all lanes")
        return stored

    @abstractmethod
    def weights(self, memory: Any, element: str, offset: Any) -> Any:
        """lanes × group weights at `offset` elements of type `element` (int8 or int16) of a memory; binds them."""

    @abstractmethod
    def accumulate(self, acc: Any, activations: Any, weights: Any) -> Any:
        """One step; of a tuple of vectors, where an accumulator has several parts."""

    def sweep(
        self, build: Any, acc: Any, weights: Any, activations: Sequence[Any], groups: int, *, fresh: bool
    ) -> None:
        """Many steps of a tile of one block, by a loop that is scheduled by hand.

        May read 32 bytes past what it needs.

        Args:
            acc: address of the tile's sums, [row][part] vectors.
            weights: address of the first group's, [group][lane][group element].
            activations: addresses of the first group of each row.
            groups: how many.
            fresh: the sums hold nothing yet.
        """
        raise TypeError(f"{self.name} has no loop of its own")

    def total(self, parts: Any) -> Any:
        """The lanes' sums of the parts of an accumulator."""
        raise TypeError(f"{self.name} has accumulators of one part")


def _fitting(dots: Sequence[Dot], activations: Sequence[str], least_weight: int, most_weight: int) -> Dot | None:
    for dot in dots:
        if dot.activation in activations and dot.least_weight <= least_weight and most_weight <= dot.most_weight:
            return dot
    return None


NO_AUTO_VECTORIZER = ("-vectorize-loops:bool=false", "-vectorize-slp:bool=false")
"""For instruction sets with masked stores, for which LLVM 22 makes wrong code of what it vectorizes by itself. A loop
of nine trips becomes eight and one, the one a masked store of a single lane, and a truncating one of these (64 to 32
bits) a store of 64 bits: four bytes beyond the end. Straight-line integers (kernels/float_bits.py) become vectors that
give other numbers. Kernels for these instruction sets vectorize by themselves."""


@dataclass(frozen=True)
class Isa:
    """An instruction set as code generation sees it. This class alone is the scalar one: integers, one lane.

    Attributes:
        name: as in target files and artifacts.
        triple, cpu, attributes: what LLVM compiles for.
        lanes: 32-bit lanes of a vector; 1 where only scalar kernels are to be used.
        accumulators: most vectors of sums that a register tile holds: enough to hide the latency of a dot product and
            to use what was loaded often; the other registers hold operands.
        panel_blocks: most vectors of output channels that a tile spans.
        has_fma: fused multiply-add in float32 and float64. Without it requantizations use integers alone.
        llvm_options: command-line options of LLVM's passes.
        lookup_steps: instructions of `look_up_bytes` for a vector.
        multiplies_words: `multiply_words` and an addition are one instruction.
        dots: dot products; of those that fit activations and weights the first is taken.
        plain: C source, with no vectors of elements, and with weights of its own, in the order of the program.
        gpu: many threads, each with scalars of its own (edgeconv.codegen.cuda).
        dense_dots: such that convolutions prefer, even if uint8 activations have to be widened first.
        bits_sign: of the float32 sums whose bits `pack_bits` takes; 0 where there is no such method.
        long_dots: such of several `products` in 16 bits, for panels of small weights; signed activations are int8.
    """

    name: str
    triple: str
    cpu: str
    attributes: tuple[str, ...] = ()
    llvm_options: tuple[str, ...] = ()
    lanes: int = 1
    accumulators: int = 8
    panel_blocks: int = 16
    has_fma: bool = False
    lookup_steps: int = 0
    multiplies_words: bool = False
    dots: tuple[Dot, ...] = ()
    plain: bool = False
    gpu: bool = False
    dense_dots: tuple[Dot, ...] = ()
    long_dots: tuple[Dot, ...] = ()
    bits_sign: int = 0

    def for_cpu(self, cpu: str) -> Isa:
        """The same, scheduled for a processor by LLVM's name of it."""
        return replace(self, cpu=cpu)

    def dot(self, activation: str, least_weight: int, most_weight: int) -> Dot | None:
        """The dot product for activations of this stored type and weights in this range, or None."""
        return _fitting(self.dots, (activation,), least_weight, most_weight)

    def dense_dot(self, activation: str, least_weight: int, most_weight: int) -> Dot | None:
        """The one for dense kernels, which may take int16 where `activation` is uint8, or None."""
        accepted = (activation, "int16") if activation == "uint8" else (activation,)
        return _fitting(self.dense_dots, accepted, least_weight, most_weight)

    def pack_bytes(self, vectors: Sequence[Any]) -> Any:
        """Four int32 vectors, saturated to 0…255, as one vector of uint8 in the same order."""
        raise TypeError(f"{self.name} has no vectors")

    def pack_bits(self, vectors: Sequence[Any]) -> Any:
        """Like `pack_bytes` for int32 vectors of which only the lower 16 bits count, as a signed number.

        The upper ones are those of a float32 of the sign `bits_sign`.
        """
        raise TypeError(f"{self.name} has no vectors")

    def pack_words(self, vectors: Sequence[Any]) -> Any:
        """Two int32 vectors, saturated to int16, as one vector in the same order."""
        raise TypeError(f"{self.name} has no vectors")

    def lookup(self, build: Any, label: str, table: NDArray[np.int64]) -> Callable[[Any], Any]:
        """What gives the entries of a table of 64, all in [0, 2¹⁶), for an int32 vector of indices.

        Bits of an index above the lowest six do not count.

        Args:
            label: of the constant.
        """
        view = build.constant(label, table.astype(np.int32))
        return lambda indices: view.gather(indices & (len(table) - 1), self.lanes)

    def look_up_bytes(self, build: Any, label: str, table: NDArray[np.uint8]) -> Callable[[Any], Any]:
        """What gives the entries of a table of 256 for a vector of 4·lanes bytes.

        Args:
            label: of the constants.
        """
        raise TypeError(f"{self.name} has no vectors")

    def nearest(self, floats: Any) -> Any:
        """float32 vector of magnitudes below 2²² rounded to int32, half-even (the entry point sees to the mode)."""
        raise TypeError(f"{self.name} has no vectors")

    def multiply_words(self, a: Any, b: Any) -> Any:
        """Products of two int16 vectors of `lanes` lanes, as int32."""
        raise TypeError(f"{self.name} has no products of words")
