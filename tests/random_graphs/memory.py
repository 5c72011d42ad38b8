"""Memory whose every neighbour is watched: inaccessible pages around it, known bytes in the gaps between."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np
from numpy.typing import NDArray

_libc = ctypes.CDLL(None, use_errno=True)
_PROT_NONE = 0
_CANARY = 0xC5
_GUARD = 1 << 20  # bytes on either side: a whole row that goes astray must not leap over them into other memory


class Guarded:
    """`size` bytes between inaccessible pages, shared with forked processes.

    The bytes end exactly at the page behind them, or begin exactly at the page before them; what is left of the
    accessible pages holds canaries. Shared, so that a child process can write what its parent reads.

    Args:
        at_start: begin at the page before rather than end at the page behind.
        odd: leave this many bytes between the array and that page, so that its address has any alignment.
    """

    def __init__(self, size: int, *, at_start: bool = False, odd: int = 0) -> None:
        page = mmap.PAGESIZE
        span = max(1, -(-(size + odd) // page)) * page
        self._map = mmap.mmap(-1, span + 2 * _GUARD)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        start = base + _GUARD
        for guard in (base, start + span):
            if _libc.mprotect(ctypes.c_void_p(guard), ctypes.c_size_t(_GUARD), _PROT_NONE):
                raise OSError(ctypes.get_errno(), "mprotect")
        first = odd if at_start else span - size - odd
        self.address = start + first
        open_pages = np.frombuffer((ctypes.c_uint8 * span).from_address(start), np.uint8)
        open_pages[:] = _CANARY
        self._gaps = (open_pages[:first], open_pages[first + size :])
        self.bytes: NDArray[np.uint8] = open_pages[first : first + size]

    @property
    def intact(self) -> bool:
        """Whether every canary is still there."""
        return all(bool((gap == _CANARY).all()) for gap in self._gaps)

    @staticmethod
    def aligned(size: int) -> Guarded:
        """`size` bytes that start at a multiple of 64, as close to the page behind them as that allows."""
        return Guarded(size, odd=-size % 64)
