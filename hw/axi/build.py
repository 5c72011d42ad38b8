"""The simulation of the AXI wrapper: what it is made of."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from edgeconv.hw.export import FOLDER, package
from edgeconv.hw.sim.build import BOUNDS as ARRAY_BOUNDS
from edgeconv.hw.sim.build import SOURCES as ARRAY_SOURCES
from edgeconv.hw.sim.verilate import Simulation
from edgeconv.hw.soc.build import PORT_BOUNDS
from edgeconv.hw.spec import ArrayConfig

__all__ = ["axi_library", "axi_lint", "axi_sources"]

_PORT = ("soc_pkg.sv", "fifo.sv", "capture.sv", "feeder.sv", "array_port.sv")


def axi_sources() -> tuple[Path, ...]:
    """The RTL of `edge_axi` in the order of compilation, behind the generated package `edge_pkg.sv`."""
    return (
        *(FOLDER / "rtl" / name for name in ARRAY_SOURCES),
        *(FOLDER / "soc" / "rtl" / name for name in _PORT),
        FOLDER / "axi" / "rtl" / "edge_axi.sv",
    )


@cache
def axi_library(config: ArrayConfig | None = None) -> Path:
    """The simulation as a shared library; built when it is not in the cache yet.

    Raises:
        ToolError: verilator or g++ is missing or fails.
    """
    return _simulation(config).library()


def axi_lint(config: ArrayConfig | None = None) -> str:
    """What `verilator -Wall` says; empty where it says nothing.

    Raises:
        ToolError: verilator is missing.
    """
    return _simulation(config).lint()


def _simulation(config: ArrayConfig | None) -> Simulation:
    place = FOLDER / "axi"
    sources = (place / "shared_package.vlt", *axi_sources(), *ARRAY_BOUNDS, *PORT_BOUNDS)
    return Simulation("edge_axi", {"edge_pkg.sv": package(config)}, sources, place / "model.cpp")
