"""Where tensors lie: views of buffers, and the places of buffers in the activation memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Buffer", "View", "channels_last", "code_offset", "place"]

ALIGNMENT = 8
"""Buffers begin at whole words, so that inputs are written in words that touch nothing else."""


@dataclass(eq=False)
class Buffer:
    """Consecutive bytes of the activation memory.

    Attributes:
        name: of the tensor it was made for.
        size: in bytes.
        first, last: indices of the first pass that writes it (-1 for inputs) and of the last that reads it.
        base: its address, once it has one.
    """

    name: str
    size: int
    first: int
    last: int
    base: int = -1


@dataclass(frozen=True, eq=False)
class View:
    """A tensor in memory: each element's byte in a buffer.

    A byte holds the integer as an unsigned one: `offset` is added to it. Tensors of more than 8 bits have two planes,
    the high byte first, `plane_stride` bytes apart.

    Attributes:
        index: byte of each element, in the shape of the tensor.
        lo, hi: least and greatest integer of its type.
    """

    buffer: Buffer
    index: NDArray[np.int64]
    lo: int
    hi: int
    planes: int = 1
    plane_stride: int = 0
    offset: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "offset", code_offset(self.lo))

    def moved(self, index: NDArray[np.int64]) -> View:
        """The same bytes under another index: what movements of integers are."""
        return View(self.buffer, index, self.lo, self.hi, self.planes, self.plane_stride)


def code_offset(lo: int) -> int:
    """What is added to the integers of a type, whose least is `lo`, to make them unsigned."""
    return max(0, -lo)


def channels_last(shape: Sequence[int]) -> NDArray[np.int64]:
    """Bytes of a new tensor (1, C, spatial…): channels of a position stand together."""
    if len(shape) < 3:
        return np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)
    moved = (shape[0], *shape[2:], shape[1])
    return np.moveaxis(np.arange(int(np.prod(shape)), dtype=np.int64).reshape(moved), -1, 1)


def place(buffers: Sequence[Buffer]) -> int:
    """Give every buffer an address such that no two that live at the same time overlap; the bytes that are needed.

    Large ones first, each at the lowest address that is free during its life.
    """
    placed: list[Buffer] = []
    for buffer in sorted(buffers, key=lambda each: (-each.size, each.first)):
        others = [each for each in placed if each.first <= buffer.last and buffer.first <= each.last]
        base = 0
        for other in sorted(others, key=lambda each: each.base):
            if base + buffer.size <= other.base:
                break
            base = max(base, _aligned(other.base + other.size))
        buffer.base = base
        placed.append(buffer)
    return max((_aligned(buffer.base + buffer.size) for buffer in placed), default=0)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
