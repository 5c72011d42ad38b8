"""Composites on a board: the whole system is simulated, and holds one network at a time."""

from __future__ import annotations

import numpy as np
import pytest

from edgeconv.hw.host import Board
from edgeconv.hw.relax import explain_partition, on_board, recording, using
from edgeconv.hw.soc.simulator import SimulatedSoc
from tests.hw.relax.models import Network, built, import_to_relax, run

pytestmark = [pytest.mark.needs_verilator, pytest.mark.needs_riscv, pytest.mark.slow]


def test_two_composites_take_turns_on_a_board() -> None:
    network = Network(6)
    network.conv()
    network.value = network.quantized(network.line(f"Softmax<axis=1>({network.value})"), 0.02)
    network.conv()
    network.line(f"Identity({network.value})", "y")
    partition = explain_partition(import_to_relax(network.model()))
    executable, x = built(partition.module), network.values(2)
    expected = run(executable, x)
    board = Board(SimulatedSoc())
    try:
        with using(on_board(board)), recording() as calls:
            found = run(executable, x)
    finally:
        board.close()
    np.testing.assert_array_equal(found, expected)
    assert [(call.symbol, call.cycles.tolist()) for call in calls] == [
        (each.symbol, [each.cycles] * 2) for each in partition.on_array
    ]
    assert len(calls) == 2
