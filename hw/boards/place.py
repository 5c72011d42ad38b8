"""Place, route and pack: a netlist to a bitstream, with nextpnr and ecppack."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from edgeconv.cache import cached, digest, find_cached
from edgeconv.errors import ToolError
from edgeconv.hw.boards.board import BOARDS, Board
from edgeconv.hw.boards.floorplan import block_places, place_blocks
from edgeconv.hw.boards.report import ARRAY_CLOCK, Report, read_report, report_from_nextpnr
from edgeconv.hw.boards.synthesis import netlist, netlist_key
from edgeconv.hw.boards.tools import ECPPACK, NEXTPNR, versions

__all__ = ["BITSTREAM", "Routed", "find_bitstream", "find_routed", "routed", "sweep"]

BITSTREAM = "board.bit"
_REPORT = "report.json"
_KIND = "bitstream"


class Routed:
    """A folder of the cache with a bitstream and its report."""

    def __init__(self, folder: Path) -> None:
        self.bitstream = folder / BITSTREAM
        self.report: Report = read_report(folder / _REPORT)


def routed(board: Board) -> Routed:
    """A board's bitstream; made when it is not in the cache yet (many minutes).

    Raises:
        ToolError: a tool is missing or fails.
    """
    return Routed(cached(_KIND, _key(board), lambda folder: _make(board, folder)))


def find_routed(board: Board) -> Routed | None:
    """A board's bitstream, if this machine has made it from the same sources; takes no time.

    Raises:
        ToolError: the tools are not installed, whose versions are part of the name.
    """
    folder = find_cached(_KIND, _key(board))
    return Routed(folder) if folder else None


def find_bitstream(name: str) -> Routed | None:
    """The bitstream of the board of that name, if there is a board and this machine has made it."""
    try:
        return find_routed(BOARDS[name]) if name in BOARDS else None
    except ToolError:
        return None  # without the tools nothing was made


def sweep(board: Board, seeds: Iterable[int]) -> Iterable[Report]:
    """The reports of one run for each seed, one after the other; what was made before is taken from the cache."""
    for seed in seeds:
        yield routed(replace(board, seed=seed)).report


def _make(board: Board, folder: Path) -> None:
    design = json.loads(netlist(board).read_text(encoding="utf-8"))
    place_blocks(design, block_places(board))
    (folder / "design.json").write_text(json.dumps(design), encoding="utf-8")
    constraints = board.constraints_path.read_text(encoding="utf-8")
    (folder / "board.lpf").write_text(
        f'{constraints}FREQUENCY NET "{ARRAY_CLOCK}" {board.aim_mhz:g} MHZ;\n', encoding="utf-8"
    )
    NEXTPNR.run([*_options(board), "--json", "design.json"], folder, "nextpnr.log")
    found = json.loads((folder / "nextpnr.json").read_text(encoding="utf-8"))
    report_from_nextpnr(found, board).write(folder / _REPORT)
    ECPPACK.run(["--compress", "--input", "board.config", "--bit", BITSTREAM], folder, "ecppack.log")
    (folder / "design.json").unlink()
    (folder / "board.config").unlink()


def _options(board: Board) -> list[str]:
    files = ["--lpf", "board.lpf", "--textcfg", "board.config", "--report", "nextpnr.json"]
    # A clock that is missed is reported, not an error: the aim is higher than the clock.
    return [*board.device, *files, "--timing-allow-fail", "--seed", str(board.seed)]


def _key(board: Board) -> str:
    """A hash of everything that a bitstream is made of."""
    constraints = board.constraints_path.read_bytes()
    own = Path(__file__).read_bytes()
    places = json.dumps(block_places(board))
    return digest([netlist_key(board), places, *_options(board), f"{board.aim_mhz:g}", constraints, own, *versions()])
