"""What the array behind AXI takes of an Artix-7: counted after synthesis, nothing is placed or routed.

The vendor's own tools map, place and route better than yosys maps; this count says which part is large enough.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from edgeconv.cache import cached, digest
from edgeconv.hw.axi.build import axi_sources
from edgeconv.hw.boards.report import Use
from edgeconv.hw.boards.synthesis import read_blocks
from edgeconv.hw.boards.tools import YOSYS, versions
from edgeconv.hw.export import package

__all__ = ["PART", "Area", "AreaReport", "Part", "area", "area_report", "area_script"]

_TOP = "edge_axi"
_COUNTS, _REPORT = "counts.json", "report.json"
_LUTS = ("LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6", "INV", "SRL16E", "SRLC32E")
"""Cells that take a look-up table each: logic, inverters, and shift registers in tables."""
_FLIP_FLOPS = ("FDRE", "FDSE", "FDCE", "FDPE")


@dataclass(frozen=True)
class Part:
    """A device, and how many cells of each kind it has (Xilinx DS180)."""

    name: str
    family: str
    available: Mapping[str, int]


PART = Part("xc7a100t", "artix-7", {"LUT": 63400, "FF": 126800, "CARRY4": 15850, "BRAM, 36 kbit": 135, "DSP48E1": 240})
"""The smallest Artix-7 that has room for the array's default configuration."""


@dataclass(frozen=True)
class AreaReport:
    """What a design takes of a part, by kind of cell."""

    part: str
    top: str
    use: dict[str, Use]

    def text(self) -> str:
        """A line for people."""
        kinds = "; ".join(f"{kind} {use.used}/{use.available}" for kind, use in self.use.items())
        return f"{self.top} on {self.part}, synthesized, not placed: {kinds}"


class Area:
    """A report, and the file of the cache that it is in as JSON."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / _REPORT
        found = json.loads(self.path.read_text(encoding="utf-8"))
        use = {kind: Use(**counts) for kind, counts in found.pop("use").items()}
        self.report = AreaReport(use=use, **found)


def area() -> Area:
    """The count for `PART`; made when it is not in the cache yet (minutes).

    Raises:
        ToolError: yosys is missing or fails.
    """
    sources = _sources()
    own = Path(__file__).read_bytes()
    key = digest([area_script(), *versions(), own, *sources, *sources.values()])
    return Area(cached("area", key, _count))


def area_script() -> str:
    """The commands for yosys: without pads, since this is a block of a larger design."""
    lines = read_blocks(_sources(), "UNITS", _TOP)
    synthesis = f"synth_xilinx -family xc7 -noiopad -noclkbuf -top {_TOP}"
    return "\n".join([*lines, synthesis, f"tee -q -o {_COUNTS} stat -json", ""])


def area_report(counts: Mapping[str, int]) -> AreaReport:
    """The report of a count of cells by type, that of the whole hierarchy."""
    halves = counts.get("RAMB18E1", 0)
    used = {
        "LUT": sum(counts.get(cell, 0) for cell in _LUTS),
        "FF": sum(counts.get(cell, 0) for cell in _FLIP_FLOPS),
        "CARRY4": counts.get("CARRY4", 0),
        "BRAM, 36 kbit": counts.get("RAMB36E1", 0) + (halves + 1) // 2,
        "DSP48E1": counts.get("DSP48E1", 0),
    }
    return AreaReport(PART.name, _TOP, {kind: Use(count, PART.available[kind]) for kind, count in used.items()})


def _sources() -> dict[str, str]:
    return {"edge_pkg.sv": package()} | {path.name: path.read_text(encoding="utf-8") for path in axi_sources()}


def _count(folder: Path) -> None:
    for name, text in _sources().items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "area.ys").write_text(area_script(), encoding="utf-8")
    YOSYS.run(["-q", "-l", "area.log", "-s", "area.ys"], folder, "area.out")
    counts = json.loads((folder / _COUNTS).read_text(encoding="utf-8"))["design"]["num_cells_by_type"]
    (folder / _REPORT).write_text(json.dumps(asdict(area_report(counts)), indent=1), encoding="utf-8")
