"""Boards, the script for synthesis, and what is read out of nextpnr's report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeconv.errors import ToolError, UsageError
from edgeconv.hw.boards import place, synthesis
from edgeconv.hw.boards.board import BOARDS, Board, find_board
from edgeconv.hw.boards.place import find_routed
from edgeconv.hw.boards.report import CriticalPath, Report, Use, read_report, report_from_nextpnr
from edgeconv.hw.boards.synthesis import netlist_key, register_memories, rtl_sources, synthesis_script
from edgeconv.hw.export import FOLDER
from edgeconv.hw.sim.verilate import Simulation
from edgeconv.hw.spec import configuration
from edgeconv.targets import load_target

ULX3S, ARRAY = BOARDS["ulx3s-85f"], BOARDS["ulx3s-85f-array"]


@pytest.mark.parametrize("board", BOARDS.values(), ids=str)
def test_the_clock_of_every_board_can_be_made(board: Board) -> None:
    clock = board.clock
    assert board.oscillator_mhz * clock.feedback / clock.reference == board.clock_mhz == clock.mhz
    assert 400 <= clock.mhz * clock.output <= 800
    assert 40e6 < clock.cpu_hz <= 50e6
    assert board.aim_mhz > board.clock_mhz


def test_a_clock_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(UsageError, match=r"117\.3 MHz cannot be made of 25 MHz"):
        _ = replace(ULX3S, clock_mhz=117.3).clock


def test_an_unknown_board_is_named_with_those_that_are_there() -> None:
    with pytest.raises(UsageError, match="no board 'icebreaker'") as raised:
        find_board("icebreaker")
    assert "ulx3s-85f" in str(raised.value)


@pytest.mark.parametrize("name", ["ulx3s-85f", "ecp5-25f"])
def test_a_target_has_a_board_of_its_name_clock_and_sizes(name: str) -> None:
    target, board = load_target(name), BOARDS[name]
    assert target.family == "fpga"
    assert target.clock_mhz == board.clock_mhz
    assert configuration(target.part) == board.config
    assert ULX3S.clock_mhz == ARRAY.clock_mhz


@pytest.mark.needs_verilator
def test_synthesis_reads_every_file_of_the_rtl() -> None:
    names = {path.name for folder in ("rtl", "soc/rtl", "boards/rtl") for path in (FOLDER / folder).glob("*.sv")}
    assert set(rtl_sources(ULX3S)) | set(rtl_sources(ARRAY)) == names | {"picorv32.v"}


def test_blocks_are_read_before_what_contains_them_and_apart_from_it() -> None:
    lines = synthesis_script(ARRAY).splitlines()
    (top,) = [line for line in lines if "--top array_board" in line]
    assert all(f"--blackboxed-module {block}" in top for block in ("pe", "lane", "accelerator"))
    assert all(f"setattr -mod -set keep_hierarchy 1 {block}" in lines for block in ("pe", "lane", "accelerator"))
    assert "-G FEEDBACK=23" in top


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions of the tools as part of names; the tools themselves are not asked."""
    for module in (synthesis, place):
        monkeypatch.setattr(module, "versions", lambda: ("0.70", "0.11"))


@pytest.mark.usefixtures("tools")
def test_a_netlist_is_another_when_the_array_is() -> None:
    smaller = replace(ARRAY, config=replace(ARRAY.config, weight_words=1024))
    assert netlist_key(smaller) != netlist_key(ARRAY)
    assert netlist_key(replace(ARRAY, seed=ARRAY.seed + 1)) == netlist_key(ARRAY)


def test_memories_that_are_read_in_two_cycles_get_their_output_registers() -> None:
    def memory() -> dict[str, Any]:
        return {"type": "DP16KD", "parameters": {"REGMODE_A": "NOREG"}, "connections": {"OCEA": ["0"], "CLKA": [2]}}

    lut = {"type": "LUT4", "parameters": {"INIT": "1"}, "connections": {"A": [3]}}
    cells = {"weights.two_cycle_memory.0.0": memory(), "received_bytes.memory.0.0": memory(), "lut": lut}
    register_memories({"modules": {"top": {"cells": cells}, "leaf": {}}})
    two_cycles, one_cycle, _ = cells.values()
    assert two_cycles["parameters"] == {"REGMODE_A": "OUTREG", "REGMODE_B": "OUTREG"}
    assert two_cycles["connections"] == {"OCEA": ["1"], "OCEB": ["1"], "CLKA": [2]}
    assert one_cycle == memory()
    assert lut == {"type": "LUT4", "parameters": {"INIT": "1"}, "connections": {"A": [3]}}


def _step(kind: str, delay: float, start: str, end: str, net: str = "") -> dict[str, object]:
    step = {"type": kind, "delay": delay, "from": {"cell": start, "port": "Q"}, "to": {"cell": end, "port": "D"}}
    return step | ({"net": net} if net else {})


def test_a_report_names_the_slowest_path_and_what_it_is_made_of() -> None:
    path = [
        _step("clk-to-q", 0.5, "a", "a"),
        _step("routing", 2.0, "a", "lut", "counter"),
        _step("logic", 0.25, "lut", "lut"),
        _step("routing", 1.0, "lut", "b", "next"),
        _step("setup", 0.25, "b", "b"),
    ]
    other = [{"from": "async", "to": "posedge clk", "path": path[:1]}]
    found = {
        "fmax": {"$glbnet$cpu_clk": {"achieved": 60.1}, "$glbnet$clk": {"achieved": 118.257, "constraint": 130.0}},
        "critical_paths": [*other, {"from": "posedge $glbnet$clk", "to": "posedge $glbnet$clk", "path": path}],
        "utilization": {"DP16KD": {"used": 192, "available": 208}, "DTR": {"used": 0, "available": 1}},
    }
    report = report_from_nextpnr(found, replace(ULX3S, seed=3))
    assert report == Report(
        "ulx3s-85f",
        "ulx3s",
        3,
        ULX3S.clock_mhz,
        118.25,
        {"DP16KD": Use(192, 208)},
        CriticalPath("a", "b", 1.0, 3.0, ("counter", "next")),
    )
    assert report.meets_clock
    assert "118.25 MHz routed" in report.text()
    found["fmax"]["$glbnet$clk"]["achieved"] = 114.9954
    missed = report_from_nextpnr(found, replace(ULX3S, clock_mhz=115.0))
    assert "114.99 MHz routed" in missed.text()
    assert not missed.meets_clock


def test_a_design_without_a_clock_has_no_report() -> None:
    with pytest.raises(ToolError, match="measured no clock 'clk'"):
        report_from_nextpnr({"fmax": {"cpu_clk": {"achieved": 60.0}}}, ULX3S)


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    report = Report(
        "b", "ulx3s", 2, 115.0, 99.5, {"MULT18X18D": Use(152, 156)}, CriticalPath("a", "b", 3.0, 4.0, ("x", "y"))
    )
    report.write(tmp_path / "report.json")
    assert read_report(tmp_path / "report.json") == report
    assert not report.meets_clock


@pytest.mark.usefixtures("tools")
def test_a_bitstream_that_was_not_made_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert find_routed(ARRAY) is None


@pytest.mark.needs_verilator
@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.name)
def test_verilator_has_nothing_to_say_about_the_board(board: Board) -> None:
    sources = rtl_sources(board)
    # Of the vendor's cells only the outside is known; and Verilator does not read the attribute that names a style.
    vendor = ("DECLFILENAME", "UNDRIVEN", "UNUSED")
    for name, rules in (("ecp5_cells.sv", vendor), ("ecp5_pll_cell.sv", vendor), ("ram.sv", ("UNUSEDPARAM",))):
        off, on = ("".join(f"/* verilator lint_{state} {rule} */" for rule in rules) for state in ("off", "on"))
        sources[name] = f"{off}\n{sources[name]}{on}\n"
    soc = FOLDER / "soc"
    read = Simulation(
        board.top,
        sources,
        (soc / "third_party.vlt",),
        soc / "model.cpp",
        defines=("ECP5",),
        options=("--timescale", "1ns/1ns"),
    )
    assert read.lint() == ""
