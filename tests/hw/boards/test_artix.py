"""What the array behind AXI takes of an Artix-7: the script, and the kinds of cells that are counted together."""

from __future__ import annotations

import pytest

from edgeconv.hw.boards.artix import PART, area, area_report, area_script
from edgeconv.hw.boards.report import Use
from edgeconv.hw.spec import ArrayConfig


def test_units_are_counted_not_their_twins_and_nothing_gets_pads() -> None:
    *reads, synthesis, count = area_script().splitlines()
    assert all("-D UNITS" in line for line in reads if line.startswith("read_slang"))
    assert synthesis == "synth_xilinx -family xc7 -noiopad -noclkbuf -top edge_axi"
    assert count.endswith("stat -json")


def test_tables_of_every_kind_and_halves_of_memory_blocks_are_summed() -> None:
    counts = {
        "LUT2": 5,
        "LUT6": 7,
        "INV": 1,
        "SRL16E": 2,
        "FDRE": 11,
        "FDSE": 1,
        "RAMB36E1": 3,
        "RAMB18E1": 3,
        "pe": 16,
    }
    report = area_report(counts)
    assert {kind: use.used for kind, use in report.use.items()} == {
        "LUT": 15,
        "FF": 12,
        "CARRY4": 0,
        "BRAM, 36 kbit": 5,
        "DSP48E1": 0,
    }
    assert report.use["DSP48E1"] == Use(0, 240)
    assert "LUT 15/63400" in report.text()


@pytest.mark.accept
@pytest.mark.needs_yosys
def test_the_array_fits() -> None:
    counted = area()
    print(f"\n{counted.report.text()}")
    assert counted.report.part == PART.name
    assert all(0 < use.used <= use.available for use in counted.report.use.values())
    assert counted.report.use["DSP48E1"].used >= ArrayConfig().multiplier_blocks
