"""The Verilated AXI wrapper from Python: register accesses, and streams fed cycle by cycle."""

from __future__ import annotations

import ctypes
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgeconv.hw.axi.build import axi_library
from edgeconv.hw.sim.library import load_library, simulation_error
from edgeconv.hw.sim.stream import feed_words
from edgeconv.hw.spec import ArrayConfig

__all__ = ["OKAY", "SLVERR", "SimulatedAxi"]

OKAY, SLVERR = 0, 2
"""Responses of AXI4-Lite."""
_FAILURES = {
    -1: "stopped at an assertion of its RTL",
    -2: "did not answer an access",
    -3: "broke a rule of AXI",
}


class SimulatedAxi:
    """The wrapper with its array.

    Args:
        seed: of when the other side's valid and ready come.

    Raises:
        ToolError: the simulation cannot be built.
    """

    def __init__(self, config: ArrayConfig | None = None, seed: int = 0) -> None:
        pointer, word, count = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int64
        functions = (
            ("new", pointer, (word,)),
            ("delete", None, (pointer,)),
            ("cycles", ctypes.c_uint64, (pointer,)),
            ("write", ctypes.c_int, (pointer, word, word, word)),
            ("read", ctypes.c_int, (pointer, word, ctypes.POINTER(word))),
            ("feed", count, (pointer, count, pointer, pointer, count)),
        )
        self._library = load_library(axi_library(config), "edge_axi_sim_", functions)
        self._handle = self._library.edge_axi_sim_new(seed)

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._library.edge_axi_sim_delete(self._handle)
            self._handle = None

    @property
    def cycles(self) -> int:
        """Of the clock since the start."""
        return int(self._library.edge_axi_sim_cycles(self._handle))

    def write(self, offset: int, value: int, strobe: int = 15) -> int:
        """Write a register; the response.

        Raises:
            DeviceError: no answer came, a rule of AXI was broken, or an assertion of the RTL failed.
        """
        return _checked(self._library.edge_axi_sim_write(self._handle, offset, value, strobe))

    def read(self, offset: int) -> int:
        """Read a register; errors are those of `write`."""
        value = ctypes.c_uint32()
        _checked(self._library.edge_axi_sim_read(self._handle, offset, ctypes.byref(value)))
        return value.value

    def feed(self, words: NDArray[np.uint32], most: int = 1 << 16) -> NDArray[np.uint64]:
        """Feed the sample stream, a word for each cycle; the words of the events that came out.

        Args and returns are those of `edgeconv.hw.sim.stream.feed_words`, errors those of `write`.
        """
        feed = partial(self._library.edge_axi_sim_feed, self._handle)
        return feed_words(lambda *given: _checked(feed(*given)), words, most)


def _checked(found: int) -> int:
    if found < 0:
        raise simulation_error(f"the simulated AXI wrapper {_FAILURES[found]}")
    return found
