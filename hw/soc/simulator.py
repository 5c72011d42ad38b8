"""The Verilated system from Python: its serial line is a transport, its sample port takes what a test bench feeds."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.hw.sim.library import load_library, simulation_error
from edgeconv.hw.sim.stream import feed_words
from edgeconv.hw.soc.build import SIMULATED_CPU_HZ, SIMULATED_DIVIDER, soc_library
from edgeconv.hw.soc.firmware import firmware_words
from edgeconv.hw.spec import ArrayConfig

__all__ = ["Clocks", "SimulatedSoc"]

_MOST_BYTES = 4096


@dataclass(frozen=True)
class Clocks:
    """Half periods of the processor's and the array's clock, in one unit.

    The array counts its own cycles, so its clock may be slow beside the processor's, which simulates faster.
    """

    cpu: int = 1
    array: int = 8


class SimulatedSoc:
    """A system with its firmware; a `Transport`, whose seconds are those of the simulated processor's timer.

    Args:
        firmware: words of the processor's memory, the project's own where none are given.

    Raises:
        ToolError: the simulation or the firmware cannot be built.
    """

    name = "the simulated system"

    def __init__(
        self, config: ArrayConfig | None = None, clocks: Clocks | None = None, firmware: Path | None = None
    ) -> None:
        pointer, count, long = ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint64
        functions = (
            ("new", pointer, (ctypes.c_char_p, *(ctypes.c_uint32,) * 3)),
            ("delete", None, (pointer,)),
            ("clocks", None, (pointer, *(ctypes.c_uint32,) * 2)),
            ("cycles", long, (pointer, ctypes.c_int)),
            ("unsent", count, (pointer,)),
            ("write", None, (pointer, ctypes.c_char_p, count)),
            ("read", count, (pointer, pointer, count, long)),
            ("feed", count, (pointer, count, pointer, pointer, count)),
        )
        self._library = load_library(soc_library(config), "edge_soc_", functions)
        chosen = clocks or Clocks()
        words = str(firmware or firmware_words()).encode()
        self._handle = self._library.edge_soc_new(words, chosen.cpu, chosen.array, SIMULATED_DIVIDER)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """End the simulation."""
        if getattr(self, "_handle", None):
            self._library.edge_soc_delete(self._handle)
            self._handle = None

    def set_clocks(self, clocks: Clocks) -> None:
        """Change the clocks from the next edges on."""
        self._library.edge_soc_clocks(self._handle, clocks.cpu, clocks.array)

    @property
    def cpu_cycles(self) -> int:
        """Of the processor's clock since the start."""
        return int(self._library.edge_soc_cycles(self._handle, 0))

    @property
    def array_cycles(self) -> int:
        """Of the array's clock since the start."""
        return int(self._library.edge_soc_cycles(self._handle, 1))

    @property
    def sending(self) -> bool:
        """Bytes are still on their way to the system."""
        return bool(self._library.edge_soc_unsent(self._handle))

    def write(self, data: bytes) -> None:
        """Send bytes to the system."""
        self._library.edge_soc_write(self._handle, data, len(data))

    def read(self, seconds: float) -> bytes:
        """Let the system run until it has sent something.

        Raises:
            DeviceError: an assertion of the RTL failed.
        """
        data = ctypes.create_string_buffer(_MOST_BYTES)
        count = self._library.edge_soc_read(self._handle, data, _MOST_BYTES, int(seconds * SIMULATED_CPU_HZ))
        return data.raw[: _checked(count)]

    def feed(self, words: NDArray[np.uint32], most: int = 1 << 16) -> NDArray[np.uint64]:
        """Feed the sample port, a word for each cycle of the array's clock; the words of the events that came out.

        Args and returns are those of `edgeconv.hw.sim.stream.feed_words`, errors those of `read`.
        """
        feed = partial(self._library.edge_soc_feed, self._handle)
        return feed_words(lambda *given: _checked(feed(*given)), words, most)


def _checked(count: int) -> int:
    if count < 0:
        raise simulation_error("the simulated system stopped at an assertion of its RTL")
    return count
