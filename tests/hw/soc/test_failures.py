"""Parts that fail: a processor that stumbles, a clock that stands still, a network that never ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeconv.errors import DeviceError
from edgeconv.hw.compiler import NetworkImage
from edgeconv.hw.host import Board
from edgeconv.hw.soc.firmware import firmware_words
from edgeconv.hw.soc.simulator import Clocks, SimulatedSoc
from tests.hw.descriptors import with_field
from tests.hw.soc.test_soc import SMALL, run_and_compare, small_network

pytestmark = [pytest.mark.needs_verilator, pytest.mark.needs_riscv]


def test_a_processor_that_traps_or_hangs_is_started_again_and_counted() -> None:
    words = firmware_words(sources=(Path(__file__).with_name("restart.c"),))
    assert SimulatedSoc(firmware=words).read(0.05) == b"3"


def test_an_array_whose_clock_stands_still_does_not_hold_the_processor() -> None:
    soc = SimulatedSoc()
    board = Board(soc)
    compiled = small_network()
    board.load(compiled.image)
    soc.set_clocks(Clocks(cpu=1, array=1 << 30))
    stopped = board.facts()
    assert (stopped.cpu_hz, stopped.config.activation_bytes) == (1_000_000, 0)


def test_a_network_that_never_ends_is_given_up_and_the_next_one_runs() -> None:
    compiled = small_network()
    board = Board(SimulatedSoc())
    board.load(endless(compiled.image))
    values = np.arange(24, dtype=np.uint8).reshape(1, 1, 4, 6)
    for _ in range(2):
        with pytest.raises(DeviceError, match=r"refuses RUN: ARRAY \(\d+\)\n  try: the array did not end in time"):
            board.run({"x": values})
    board.load(compiled.image)
    run_and_compare(board, SMALL, compiled, {"x": values})
    assert board.facts().restarts == 0


def endless(image: NetworkImage) -> NetworkImage:
    """The network whose first layer computes the same position again and again, far beyond any patience."""
    fields = {"positions": (1 << 16) - 1, "groups": (1 << 12) - 1}
    fields |= dict.fromkeys(("x_position_stride", "x_group_stride", "out_position_stride", "out_group_stride"), 0)
    fields |= dict.fromkeys(("w_group_stride", "p_group_stride"), 0)
    for name, value in fields.items():
        image = with_field(image, 0, name, value)
    return image
