"""A line that damages what goes over it."""

from __future__ import annotations

import numpy as np

from edgeconv import reference
from edgeconv.hw.host import Board, Transport
from edgeconv.hw.soc.simulator import SimulatedSoc
from tests.hw.running import compile_for_array
from tests.hw.test_refusals import half, program

__all__ = ["KINDS", "FaultyLine", "run_until"]

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


def run_until(faults: int, seed: int, rate: float, batch: int, attempts: int) -> tuple[Board, FaultyLine, int]:
    """Run a small network on the simulated system over a bad line until so many faults happened; nothing may differ.

    Returns:
        the board, its line, and the samples that were run.
    """
    whole = program(half("x"))
    image = compile_for_array(whole).image
    rng = np.random.default_rng(seed)
    line = FaultyLine(SimulatedSoc(), rng, rate)
    board = Board(line, seconds=0.15, attempts=attempts)
    board.load(image)
    done = 0
    while sum(line.faults.values()) < faults:
        inputs = {"x": rng.integers(0, 256, (batch, 1, 4, 6)).astype(np.uint8)}
        found = board.run(inputs)
        np.testing.assert_array_equal(found.outputs["q"], reference.run(whole, inputs)["q"])
        assert (found.cycles == image.cycles).all()
        done += batch
    return board, line, done
