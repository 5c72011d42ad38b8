"""The simulation of the whole system: what it is made of."""

from __future__ import annotations

from functools import cache
from importlib import util
from pathlib import Path

from edgeconv.errors import ToolError
from edgeconv.hw.export import FOLDER, package
from edgeconv.hw.sim.build import BOUNDS as ARRAY_BOUNDS
from edgeconv.hw.sim.build import SOURCES as ARRAY_SOURCES
from edgeconv.hw.sim.verilate import Simulation
from edgeconv.hw.spec import ArrayConfig

__all__ = [
    "PORT_BOUNDS",
    "SIMULATED_CPU_HZ",
    "SIMULATED_DIVIDER",
    "SOURCES",
    "processor_source",
    "soc_library",
    "soc_lint",
]

SOURCES = (
    "soc_pkg.sv",
    "fifo.sv",
    "uart.sv",
    "crossing.sv",
    "cpu_ram.sv",
    "system_registers.sv",
    "capture.sv",
    "feeder.sv",
    "array_port.sv",
    "soc.sv",
)
"""RTL below hw/soc/rtl in the order of compilation, behind the accelerator's and the processor's."""
PORT_BOUNDS = tuple(FOLDER / "soc" / "bounds" / f"{name}_bounds.sv" for name in ("fifo", "capture", "feeder"))
"""Assertions about queues, windows and events, which every simulation of a sample port has behind that RTL."""
SIMULATED_CPU_HZ = 1_000_000
"""What the simulated processor takes its clock for: the firmware's time-outs take few cycles then."""
SIMULATED_DIVIDER = 4
"""Cycles of a bit on the simulated serial line."""


def processor_source() -> Path:
    """picorv32.v in its package.

    Raises:
        ToolError: the package is not installed.
    """
    spec = util.find_spec("pythondata_cpu_picorv32")
    if spec is None or spec.origin is None:
        raise ToolError("the processor's package is not installed", advice="pip install 'edgeconv[hw]'")
    return Path(spec.origin).parent / "verilog" / "picorv32.v"


def soc_library(config: ArrayConfig | None = None) -> Path:
    """The simulation of the system as a shared library; built when it is not in the cache yet.

    Raises:
        ToolError: verilator, g++ or the processor's package is missing, or one fails.
    """
    return _library(package(config))


def soc_lint(config: ArrayConfig | None = None) -> str:
    """What `verilator -Wall` says about the system; empty where it says nothing.

    Raises:
        ToolError: verilator or the processor's package is missing.
    """
    return _simulation(package(config)).lint()


@cache
def _library(sizes: str) -> Path:
    return _simulation(sizes).library()


def _simulation(sizes: str) -> Simulation:
    place = FOLDER / "soc"
    return Simulation(
        "soc",
        {"edge_pkg.sv": sizes},
        (
            place / "third_party.vlt",
            processor_source(),
            *(FOLDER / "rtl" / name for name in ARRAY_SOURCES),
            *(place / "rtl" / name for name in SOURCES),
            *ARRAY_BOUNDS,
            *PORT_BOUNDS,
        ),
        place / "model.cpp",
        parameters={"CPU_HZ": SIMULATED_CPU_HZ, "UART_BAUD": SIMULATED_CPU_HZ // SIMULATED_DIVIDER},
        # The processor's file has a time scale and others have none.
        options=("--timescale", "1ns/1ns"),
    )
