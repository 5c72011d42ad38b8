"""python -m edgeconv.hw.boards BOARD [--seeds N]: makes a board's bitstream, or tries N seeds of the placer.

python -m edgeconv.hw.boards artix-7: counts what the array behind AXI takes of an Artix-7.
"""

from __future__ import annotations

import argparse
import logging
import sys

from edgeconv.errors import EdgeconvError
from edgeconv.hw.boards.artix import PART, area
from edgeconv.hw.boards.board import BOARDS, find_board
from edgeconv.hw.boards.place import routed, sweep


def _main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(prog="python -m edgeconv.hw.boards", description="Bitstreams with open tools.")
    parser.add_argument("board", choices=[*sorted(BOARDS), PART.family])
    parser.add_argument("--seeds", type=int, default=0, help="try this many seeds and name the best")
    chosen = parser.parse_args()
    if chosen.board == PART.family:
        counted = area()
        print(f"{counted.report.text()}\n  json  {counted.path}")
        return 0
    board = find_board(chosen.board)
    if chosen.seeds:
        reports = []
        for report in sweep(board, range(1, chosen.seeds + 1)):
            print(report.text(), flush=True)
            reports.append(report)
        best = max(reports, key=lambda report: report.fmax_mhz)
        print(f"best: seed {best.seed}, {best.fmax_mhz:.1f} MHz")
        return 0
    made = routed(board)
    print(made.report.text())
    print(f"  bits  {made.bitstream}")
    if not made.report.meets_clock:
        print(f"the design is too slow for {board.clock_mhz:g} MHz: try other seeds, or lower the clock")
    return 0 if made.report.meets_clock else 1


if __name__ == "__main__":
    try:
        sys.exit(_main())
    except EdgeconvError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
