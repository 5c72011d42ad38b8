"""Synthesis: SystemVerilog to a netlist of the device's cells, with yosys and its slang front end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edgeconv.cache import cached, digest
from edgeconv.hw.boards.board import Board
from edgeconv.hw.boards.tools import YOSYS, versions
from edgeconv.hw.export import FOLDER, package
from edgeconv.hw.sim.build import SOURCES as ARRAY_SOURCES
from edgeconv.hw.soc.build import SOURCES as SOC_SOURCES
from edgeconv.hw.soc.build import processor_source
from edgeconv.hw.soc.firmware import firmware_words

__all__ = [
    "NETLIST",
    "netlist",
    "netlist_key",
    "read_blocks",
    "register_memories",
    "rtl_sources",
    "synthesis_script",
]

NETLIST = "netlist.json"
_BOARD_SOURCES = ("ecp5_pll_cell.sv", "ecp5_clock.sv")
_TOP_SOURCES = {"array_board": ("serial_link.sv", "array_board.sv"), "soc_board": ("soc_board.sv",)}
_FIRMWARE = "firmware.hex"
_TWO_CYCLES = ".two_cycle_memory."
"""In the names of the memories of hw/rtl/ram.sv."""
_CELLS = ("ecp5_cells.sv", "ecp5_mult18.sv")

# Modules that are synthesized once and kept apart, each after those that it contains. What they have in common stays
# apart as well: yosys would merge equal registers of all processing elements, and one register at one place would
# have to reach all of the chip in a cycle.
_BLOCKS = ("pe", "lane", "accelerator")


def rtl_sources(board: Board) -> dict[str, str]:
    """The text of every file of RTL that synthesis reads, by name, in the order of reading.

    Raises:
        ToolError: the processor's package is not installed.
    """
    paths = [FOLDER / "rtl" / name for name in (*_CELLS, *ARRAY_SOURCES)]
    if _has_processor(board):
        paths += [processor_source(), *(FOLDER / "soc" / "rtl" / name for name in SOC_SOURCES)]
    paths += [FOLDER / "boards" / "rtl" / name for name in (*_BOARD_SOURCES, *_TOP_SOURCES[board.top])]
    return {"edge_pkg.sv": package(board.config)} | {path.name: path.read_text(encoding="utf-8") for path in paths}


def _has_processor(board: Board) -> bool:
    return board.top == "soc_board"


def _data(board: Board) -> dict[str, str]:
    """Files that fill memories."""
    return {_FIRMWARE: firmware_words().read_text(encoding="ascii")} if _has_processor(board) else {}


def synthesis_script(board: Board) -> str:
    """The commands for yosys."""
    clock = board.clock
    parameters = {
        "REFERENCE": clock.reference,
        "FEEDBACK": clock.feedback,
        "DIVISOR": clock.output,
        "CPU_DIVISOR": clock.cpu,
        **({"CPU_HZ": clock.cpu_hz} if _has_processor(board) else {}),
    }
    lines = read_blocks(rtl_sources(board), "ECP5", board.top, parameters)
    return "\n".join([*lines, f"synth_ecp5 -top {board.top} -nodsp -json mapped.json", ""])


def read_blocks(
    sources: Mapping[str, str], define: str, top: str, parameters: Mapping[str, int] | None = None
) -> list[str]:
    """The commands that read a design whose blocks stay apart.

    Args:
        sources: text by the name of the file.
        define: the name that the RTL's preprocessor knows.
        parameters: of the top module.
    """
    files = " ".join(sources)
    read = f"read_slang --threads 1 --no-implicit-memories -D {define}"
    lines, apart = [], ""
    for block in _BLOCKS:
        lines += [f"{read}{apart} --top {block} {files}", f"setattr -mod -set keep_hierarchy 1 {block}"]
        apart += f" --blackboxed-module {block}"
    given = "".join(f" -G {name}={value}" for name, value in (parameters or {}).items())
    lines += [f"{read}{apart}{given} --top {top} {files}"]
    return [*lines, *filter(None, (_without_parameters(block, sources[f"{block}.sv"]) for block in _BLOCKS))]


def _without_parameters(block: str, source: str) -> str:
    """slang hands a block's constants and loop variables to its instances as parameters."""
    names = re.findall(r"(?:localparam\s+[\w\s\[\]:]*?|genvar\s+)(\w+)\s*=", source)
    return " ".join(["setparam", *(f"-unset {name}" for name in names), f"t:{block}"]) if names else ""


def netlist_key(board: Board) -> str:
    """A hash of everything that a netlist is made of."""
    sources = rtl_sources(board) | _data(board)
    own = Path(__file__).read_bytes()
    return digest([synthesis_script(board), *versions(), own, *sources, *sources.values()])


def netlist(board: Board) -> Path:
    """The netlist of a board as JSON; made when it is not in the cache yet (minutes).

    Raises:
        ToolError: yosys is missing or fails.
    """
    return cached("netlist", netlist_key(board), lambda folder: _synthesize(board, folder)) / NETLIST


def _synthesize(board: Board, folder: Path) -> None:
    for name, text in (rtl_sources(board) | _data(board)).items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "synthesis.ys").write_text(synthesis_script(board), encoding="utf-8")
    YOSYS.run(["-q", "-l", "synthesis.log", "-s", "synthesis.ys"], folder, "synthesis.out")
    mapped = json.loads((folder / "mapped.json").read_text(encoding="utf-8"))
    register_memories(mapped)
    (folder / NETLIST).write_text(json.dumps(mapped), encoding="utf-8")
    (folder / "mapped.json").unlink()


def register_memories(design: dict[str, Any]) -> None:
    """Turn on the output registers of the block memories of hw/rtl/ram.sv.

    The second cycle of a read is this register, which yosys does not infer; yosys ties the register's enable to zero
    in memories of 36 bits, where it is not used without.
    """
    for name, cell in _cells(design):
        if cell["type"] == "DP16KD" and _TWO_CYCLES in f".{name}":
            cell["parameters"] |= {"REGMODE_A": "OUTREG", "REGMODE_B": "OUTREG"}
            cell["connections"] |= {"OCEA": ["1"], "OCEB": ["1"]}


def _cells(design: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    for module in design["modules"].values():
        yield from module.get("cells", {}).items()
