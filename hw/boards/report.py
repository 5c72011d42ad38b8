"""What placing and routing reached, out of nextpnr's report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeconv.errors import ToolError
from edgeconv.hw.boards.board import Board

__all__ = ["ARRAY_CLOCK", "CriticalPath", "Report", "Use", "read_report", "report_from_nextpnr"]

ARRAY_CLOCK = "clk"
"""The net of the array's clock in all tops."""
_GLOBAL = "$glbnet$"


@dataclass(frozen=True)
class Use:
    """How many cells of a kind a design takes, and how many the device has."""

    used: int
    available: int


@dataclass(frozen=True)
class CriticalPath:
    """The slowest way from register to register.

    Attributes:
        start: the register or memory that it begins at.
        end: the one that it ends at.
        logic_ns: delay in cells, setup time included.
        routing_ns: delay in wires.
        steps: the nets on the way.
    """

    start: str
    end: str
    logic_ns: float
    routing_ns: float
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """One placed and routed design.

    Attributes:
        board: name of the board.
        loader: the board's name for openFPGALoader.
        seed: of the placer.
        clock_mhz: what the PLL makes.
        fmax_mhz: the highest clock that every path between registers allows.
        use: by kind of cell, those that are used.
        critical_path: what the highest clock depends on.
    """

    board: str
    loader: str
    seed: int
    clock_mhz: float
    fmax_mhz: float
    use: dict[str, Use]
    critical_path: CriticalPath

    @property
    def meets_clock(self) -> bool:
        """Whether the design may run at its clock."""
        return self.fmax_mhz >= self.clock_mhz

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    def text(self) -> str:
        """A few lines for people."""
        path = self.critical_path
        kinds = ", ".join(f"{kind} {use.used}/{use.available}" for kind, use in self.use.items())
        return "\n".join(
            (
                f"{self.board}, seed {self.seed}: {self.fmax_mhz:.2f} MHz routed, {self.clock_mhz:g} MHz clock",
                f"  use   {kinds}",
                f"  path  {path.start} to {path.end}: {path.logic_ns:.1f} ns logic, {path.routing_ns:.1f} ns wires",
            )
        )


def read_report(path: Path) -> Report:
    """The report that `write` wrote."""
    found = json.loads(path.read_text(encoding="utf-8"))
    use = {kind: Use(**values) for kind, values in found.pop("use").items()}
    path_values = found.pop("critical_path")
    critical = CriticalPath(**(path_values | {"steps": tuple(path_values["steps"])}))
    return Report(use=use, critical_path=critical, **found)


def report_from_nextpnr(found: Mapping[str, Any], board: Board) -> Report:
    """The report of a run from what nextpnr writes with --report: of the array's clock.

    Raises:
        ToolError: the design has no clock whose paths nextpnr has measured.
    """
    clock = next((name for name in found["fmax"] if name.removeprefix(_GLOBAL) == ARRAY_CLOCK), None)
    if clock is None:
        raise ToolError(
            f"nextpnr measured no clock '{ARRAY_CLOCK}'", advice="look at the constraints, and at nextpnr.log"
        )
    edge = f"posedge {clock}"
    path = next(each for each in found["critical_paths"] if each["from"] == edge and each["to"] == edge)["path"]
    total = {kind: sum(step["delay"] for step in path if (step["type"] == "routing") == kind) for kind in (False, True)}
    use = {kind: Use(**values) for kind, values in sorted(found["utilization"].items()) if values["used"]}
    return Report(
        board=board.name,
        loader=board.loader,
        seed=board.seed,
        clock_mhz=board.clock_mhz,
        # Down, so that a clock that is missed by a little is not called met.
        fmax_mhz=math.floor(float(found["fmax"][clock]["achieved"]) * 100) / 100,
        use=use,
        critical_path=CriticalPath(
            start=path[0]["to"]["cell"],
            end=path[-1]["to"]["cell"],
            logic_ns=round(total[False], 2),
            routing_ns=round(total[True], 2),
            steps=tuple(step["net"] for step in path if step["type"] == "routing"),
        ),
    )
