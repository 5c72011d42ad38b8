"""What a kernel may ask of an instruction set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["NO_LOOP_VECTORIZER", "Dot", "Isa"]


class Dot(Protocol):
    """A dot product of short groups into int32 lanes: acc[lane] += Σ_i activation[i]·weight[lane, i], modulo 2³².

    Attributes:
        name: for reports.
        activation: stored element type of the activations.
        group: length of a group.
        wraps: whether an intermediate overflow of int32 is harmless; where not, the caller excludes it.
    """

    @property
    def name(self) -> str: ...

    @property
    def activation(self) -> str: ...

    @property
    def group(self) -> int: ...

    @property
    def wraps(self) -> bool: ...

    def activations(self, view: Any, offset: Any) -> Any:
        """The group at `offset` of a view, in every lane; binds it."""

    def weights(self, memory: Any, element: str, offset: Any) -> Any:
        """lanes × group weights at `offset` elements of type `element` (int8 or int16) of a memory; binds them."""

    def accumulate(self, acc: Any, activations: Any, weights: Any) -> Any:
        """One step."""


NO_LOOP_VECTORIZER = ("-vectorize-loops:bool=false",)
"""For instruction sets with masked stores. LLVM 22 vectorizes a loop of nine trips as eight and one, the one as a
masked store of a single lane, and turns a truncating one of these (64 to 32 bits) into a store of 64 bits: four bytes
beyond the end. Kernels for these instruction sets vectorize by themselves."""


@dataclass(frozen=True)
class Isa:
    """An instruction set as code generation sees it. This class alone is the scalar one: integers, one lane.

    Attributes:
        name: as in target files and artifacts.
        triple, cpu, attributes: what LLVM compiles for.
        lanes: 32-bit lanes of a vector; 1 where only scalar kernels are to be used.
        has_fma: fused multiply-add in float32 and float64. Without it requantizations use integers alone.
        llvm_options: command-line options of LLVM's passes.
        dots: dot products, by stored element type of the activations.
    """

    name: str
    triple: str
    cpu: str
    attributes: tuple[str, ...] = ()
    llvm_options: tuple[str, ...] = ()
    lanes: int = 1
    has_fma: bool = False
    dots: tuple[Dot, ...] = ()

    def dot(self, activation: str) -> Dot | None:
        """The dot product for activations of this stored type, or None."""
        return next((dot for dot in self.dots if dot.activation == activation), None)

    def pack_bytes(self, vectors: Sequence[Any]) -> Any:
        """Four int32 vectors, saturated to 0…255, as one vector of uint8 in the same order."""
        raise TypeError(f"{self.name} has no vectors")

    def pack_words(self, vectors: Sequence[Any]) -> Any:
        """Two int32 vectors, saturated to int16, as one vector in the same order."""
        raise TypeError(f"{self.name} has no vectors")
