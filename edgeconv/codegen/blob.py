"""The weight blob: every constant of the generated code in one 64-byte-aligned run of bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALIGNMENT", "Blob", "narrowed", "wrapped"]

ALIGNMENT = 64
"""Bytes: a cache line and the widest vector register."""


class Blob:
    """Collects arrays; equal arrays are stored once. `sections` records what lies where, for verification."""

    def __init__(self) -> None:
        self.sections: dict[str, tuple[int, int]] = {}
        self._parts: list[bytes] = []
        self._size = 0
        self._known: dict[bytes, int] = {}

    def add(self, name: str, array: NDArray[np.generic]) -> int:
        """Store an array and return its offset in bytes, a multiple of 64.

        Args:
            name: of the section; made unique by a number where it is taken.
        """
        data = np.ascontiguousarray(array).tobytes()
        offset = self._known.get(data)
        if offset is None:
            offset = self._size
            padded = data + bytes(-len(data) % ALIGNMENT)
            self._parts.append(padded)
            self._size += len(padded)
            self._known[data] = offset
        unique, count = name, 1
        while unique in self.sections and self.sections[unique] != (offset, len(data)):
            count += 1
            unique = f"{name}#{count}"
        self.sections[unique] = (offset, len(data))
        return offset

    def bytes(self) -> bytes:
        """The blob, with a vector of zeros at its end, so that a vector load of the last constants stays inside."""
        return b"".join(self._parts) + bytes(ALIGNMENT)


def narrowed(array: NDArray[np.signedinteger]) -> NDArray[np.signedinteger]:
    """The same integers in the narrowest signed type that holds them all."""
    lo, hi = int(array.min(initial=0)), int(array.max(initial=0))
    bits = next(bits for bits in (8, 16, 32, 64) if -(1 << bits - 1) <= lo and hi < 1 << bits - 1)
    return array.astype(f"int{bits}")


def wrapped(array: NDArray[np.integer]) -> NDArray[np.int32]:
    """The same integers modulo 2³², which is how sums of dot products are added up."""
    return (array.astype(np.int64) & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
