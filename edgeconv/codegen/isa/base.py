"""What a kernel may ask of an instruction set."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Isa"]


@dataclass(frozen=True)
class Isa:
    """An instruction set as code generation sees it. This class alone is the scalar one: integers, one lane.

    Attributes:
        name: as in target files and artifacts.
        triple, cpu, attributes: what LLVM compiles for.
        lanes: 32-bit lanes of a vector; 1 where only scalar kernels are to be used.
        has_fma: fused multiply-add in float32 and float64. Without it requantizations use integers alone.
    """

    name: str
    triple: str
    cpu: str
    attributes: tuple[str, ...] = ()
    lanes: int = 1
    has_fma: bool = False
