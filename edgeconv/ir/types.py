"""Element types and tensor types of the integer program."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from edgeconv.errors import ProgramError

_NAME = re.compile(r"([iu])(\d+)")
_SIGNED_WIDTHS = range(2, 65)
_UNSIGNED_WIDTHS = range(1, 33)


@dataclass(frozen=True)
class DType:
    """An integer type `i2`…`i64`, `u1`…`u32`, or `f32` (only at the two ends of a program).

    In memory a value occupies the next container of 8, 16, 32 or 64 bits (`container`).
    """

    name: str

    def __post_init__(self) -> None:
        if self.name == "f32":
            return
        match = _NAME.fullmatch(self.name)
        widths = _SIGNED_WIDTHS if self.name[:1] == "i" else _UNSIGNED_WIDTHS
        if match is None or int(match[2]) not in widths:
            raise ProgramError(f"unknown element type {self.name!r}", expected="i2…i64, u1…u32 or f32")

    def __str__(self) -> str:
        return self.name

    @property
    def is_float(self) -> bool:
        return self.name == "f32"

    @property
    def signed(self) -> bool:
        return self.name[0] != "u"

    @cached_property
    def bits(self) -> int:
        """Width in bits of the value (not of its container)."""
        return int(self.name[1:])

    @property
    def lo(self) -> int:
        """Smallest integer of the type."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def hi(self) -> int:
        """Largest integer of the type."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @cached_property
    def container(self) -> np.dtype[np.generic]:
        """The numpy dtype that holds one value in memory."""
        if self.is_float:
            return np.dtype(np.float32)
        width = next(width for width in (8, 16, 32, 64) if width >= self.bits)
        return np.dtype(f"{'int' if self.signed else 'uint'}{width}")

    def holds(self, lo: int, hi: int) -> bool:
        """Whether every integer of [lo, hi] is a value of this type."""
        return not self.is_float and self.lo <= lo and hi <= self.hi


@cache
def dtype(name: str) -> DType:
    """The type called `name`; equal names give the same object."""
    return DType(name)


def smallest_dtype(lo: int, hi: int) -> DType:
    """The narrowest type that holds [lo, hi]: unsigned where lo >= 0, else signed."""
    if lo >= 0:
        return dtype(f"u{max(1, hi.bit_length())}")
    return dtype(f"i{max(2, 1 + max(max(hi, 0).bit_length(), (-lo - 1).bit_length()))}")


@dataclass(frozen=True)
class TensorType:
    """Shape and element type. The shape is that of one sample, a leading batch axis of 1 included."""

    shape: tuple[int, ...]
    dtype: DType

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"

    @property
    def size(self) -> int:
        """Number of elements."""
        size = 1
        for extent in self.shape:
            size *= extent
        return size
