"""The simulation of the accelerator alone: what it is made of."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from edgeconv.hw.export import FOLDER, package
from edgeconv.hw.sim.verilate import Simulation
from edgeconv.hw.spec import ArrayConfig

__all__ = ["BOUNDS", "SOURCES", "build_library", "lint"]

SOURCES = (
    "pipeline_pkg.sv",
    "ram.sv",
    "mul_dsp.sv",
    "au.sv",
    "au_logic.sv",
    "dot.sv",
    "accumulator.sv",
    "pe.sv",
    "half_twin.sv",
    "array.sv",
    "wide_multiply.sv",
    "requant.sv",
    "lane.sv",
    "finish.sv",
    "activation.sv",
    "beats.sv",
    "sequencer.sv",
    "accelerator.sv",
)
"""RTL below hw/rtl in the order of compilation; the generated package comes before them."""
BOUNDS = tuple(FOLDER / "sim" / "bounds" / f"{name}_bounds.sv" for name in ("accelerator", "sequencer"))
"""Assertions about memories and records, which every simulation has behind that RTL."""


def build_library(config: ArrayConfig | None = None, units: bool = False) -> Path:
    """The simulation of a configuration as a shared library; built when it is not in the cache yet.

    Args:
        units: simulate every arithmetic unit and partial product instead of the twins that stand for them.

    Raises:
        ToolError: verilator or g++ is missing or fails.
    """
    return _library(package(config), units)


def lint(config: ArrayConfig | None = None, units: bool = False) -> str:
    """What `verilator -Wall` says about the RTL of a configuration; empty where it says nothing.

    Raises:
        ToolError: verilator is missing.
    """
    return _simulation(package(config), units).lint()


@cache
def _library(sizes: str, units: bool) -> Path:
    return _simulation(sizes, units).library()


def _simulation(sizes: str, units: bool) -> Simulation:
    return Simulation(
        "accelerator",
        {"edge_pkg.sv": sizes},
        (*(FOLDER / "rtl" / name for name in SOURCES), *BOUNDS),
        FOLDER / "sim" / "model.cpp",
        ("UNITS",) if units else (),
    )
