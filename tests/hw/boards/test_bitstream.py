"""The bitstream of the ULX3S board, placed and routed: `make accept-bitstream`."""

from __future__ import annotations

import pytest

from edgeconv.hw.boards.board import BOARDS, Board
from edgeconv.hw.boards.place import find_routed, routed

pytestmark = [pytest.mark.accept, pytest.mark.needs_yosys, pytest.mark.timeout(7200)]


@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.name)
def test_the_board_routes_at_its_clock(board: Board) -> None:
    made = routed(board)
    print(f"\n{made.report.text()}")
    assert made.report.meets_clock
    assert made.report.use["MULT18X18D"].used == board.config.multiplier_blocks
    # ecppack's files begin with a comment and the preamble of an ECP5's configuration (Lattice FPGA-TN-02039).
    assert b"\xff\xff\xbd\xb3" in made.bitstream.read_bytes()[:1000]
    assert find_routed(board) is not None
