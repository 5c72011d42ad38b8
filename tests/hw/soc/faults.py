"""A line that damages what goes over it."""

from __future__ import annotations

import numpy as np

from edgeconv.hw.host import Transport

__all__ = ["KINDS", "FaultyLine"]

KINDS = ("flip", "drop", "truncate", "behead", "insert", "repeat", "lose", "swap", "zero")


class FaultyLine:
    """A `Transport` around another one, with faults in both directions.

    Attributes:
        faults: how often each kind was done.
        rate: share of the pieces that are damaged.
    """

    def __init__(self, line: Transport, rng: np.random.Generator, rate: float) -> None:
        self._line, self._rng, self.rate = line, rng, rate
        self.name = line.name
        self.faults = dict.fromkeys(KINDS, 0)

    def write(self, data: bytes) -> None:
        """Send bytes, perhaps others."""
        self._line.write(self._damaged(data))

    def read(self, seconds: float) -> bytes:
        """What came, or something else."""
        return self._damaged(self._line.read(seconds))

    def close(self) -> None:
        """Let go of the line."""
        self._line.close()

    def _damaged(self, data: bytes) -> bytes:
        while data and self._rng.random() < self.rate:
            kind = KINDS[int(self._rng.integers(len(KINDS)))]
            data = self._apply(kind, bytearray(data))
            self.faults[kind] += 1
        return data

    def _apply(self, kind: str, data: bytearray) -> bytes:
        at = int(self._rng.integers(len(data)))
        span = int(self._rng.integers(1, 9))
        if kind == "flip":
            data[at] ^= 1 << int(self._rng.integers(8))
        elif kind == "drop":
            del data[at : at + span]
        elif kind == "truncate":
            del data[at:]
        elif kind == "behead":
            del data[:at]
        elif kind == "insert":
            data[at:at] = self._rng.bytes(span)
        elif kind == "repeat":
            data[at:at] = data[at : at + 5 * span]
        elif kind == "swap":
            other = int(self._rng.integers(len(data)))
            data[at], data[other] = data[other], data[at]
        elif kind == "zero":
            data[at] = 0
        else:
            data.clear()
        return bytes(data)
