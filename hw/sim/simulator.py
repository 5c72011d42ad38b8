"""The Verilated accelerator from Python."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.hw.compiler.image import ArrayRun, NetworkImage
from edgeconv.hw.sim.build import build_library
from edgeconv.hw.sim.library import load_library, simulation_error
from edgeconv.hw.spec import LANES

__all__ = ["SimulatedArray"]

_ENDLESS = 10
"""A network that takes so many times its cycles has hung."""


class SimulatedArray:
    """An accelerator with a network in its memories.

    Args:
        units: simulate every arithmetic unit, not the fast twin (hw/rtl/half_twin.sv): same bits and cycles, slower.
        library: another simulation with the same interface, such as that of a netlist.

    Raises:
        ToolError: the simulation cannot be built.
        DeviceError: an assertion of the RTL failed as the network was loaded.
    """

    def __init__(self, image: NetworkImage, units: bool = False, library: Path | None = None) -> None:
        self.image = image
        pointer, count = ctypes.c_void_p, ctypes.c_int64
        run = (*(pointer, count, count, pointer, pointer), *(count, pointer, pointer, ctypes.c_uint64))
        functions = (
            ("new", pointer, ()),
            ("delete", None, (pointer,)),
            ("load", ctypes.c_int, (pointer, count, *(pointer,) * 3)),
            ("run", ctypes.c_int, run),
        )
        self._library = load_library(library or build_library(image.config, units), "edge_sim_", functions)
        self._handle = self._library.edge_sim_new()
        columns = [np.ascontiguousarray(image.writes[name]) for name in ("select", "address", "data")]
        _check(self._library.edge_sim_load(self._handle, len(image.writes), *(each.ctypes.data for each in columns)))

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._library.edge_sim_delete(self._handle)
            self._handle = None

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> ArrayRun:
        """Run samples one after the other.

        Args:
            inputs: integers (n, *shape) by name, of what the array reads.

        Raises:
            DeviceError: a network did not end, or an assertion of the RTL failed.
        """
        places, words = self.image.input_words(inputs)
        samples = len(words)
        results = np.empty((samples, self.image.result_words * LANES), np.int32)
        cycles = np.empty(samples, np.uint32)
        status: int = self._library.edge_sim_run(
            self._handle,
            samples,
            len(places),
            places.ctypes.data,
            words.ctypes.data,
            self.image.result_words,
            results.ctypes.data,
            cycles.ctypes.data,
            self.image.cycles * _ENDLESS + 1000,
        )
        _check(status)
        return ArrayRun(self.image.output_arrays(results), cycles)


def _check(status: int) -> None:
    if status != 0:
        reasons = {1: "did not end in time", 2: "stopped at an assertion of its RTL"}
        raise simulation_error(f"the simulated accelerator {reasons[status]}")
