"""The whole system in simulation: processor, firmware and protocol around the array, against the reference."""

from __future__ import annotations

import numpy as np
import pytest

from edgeconv import reference
from edgeconv.errors import DeviceError
from edgeconv.hw.compiler import CompiledNetwork
from edgeconv.hw.host import Board
from edgeconv.hw.host.board import network_id
from edgeconv.hw.soc.simulator import Clocks, SimulatedSoc
from edgeconv.hw.soc.spec import MOST_PAYLOAD
from edgeconv.hw.spec import LANES, ArrayConfig
from edgeconv.ir import Program
from tests.hw.networks import random_network
from tests.hw.running import compile_for_array
from tests.hw.test_pulse import pulse_program
from tests.hw.test_refusals import half, program

pytestmark = [pytest.mark.needs_verilator, pytest.mark.needs_riscv]

PULSES = 50
SMALL = program(half("x"))


def small_network() -> CompiledNetwork:
    """One layer of 24 values: loaded in a moment."""
    return compile_for_array(SMALL)


def run_and_compare(board: Board, whole: Program, compiled: CompiledNetwork, inputs: dict[str, np.ndarray]) -> None:
    """Every bit equals the reference, every sample takes the cycles of the model, and the board finds so, too."""
    expected = reference.run(whole, inputs)
    found = board.run(inputs)
    for name, values in expected.items():
        np.testing.assert_array_equal(found.outputs[name], values, err_msg=name)
        assert found.outputs[name].dtype == values.dtype
    assert found.cycles.tolist() == [compiled.image.cycles] * len(found.cycles)
    assert board.self_test(inputs, expected) == 0


@pytest.mark.slow
def test_pulses_through_firmware_and_protocol_equal_the_reference_in_the_cycles_of_the_model() -> None:
    whole = pulse_program("u16", "i8")
    compiled = compile_for_array(whole)
    board = Board(SimulatedSoc())
    board.load(compiled.image)
    values = np.random.default_rng(7).integers(0, 4096, (PULSES, 1, 1, 128)).astype(np.uint16)
    run_and_compare(board, whole, compiled, {"x": values})
    facts = board.facts()
    assert (facts.config, facts.restarts, facts.lost_bytes) == (ArrayConfig(), 0, 0)


@pytest.mark.parametrize("clocks", [Clocks(1, 1), Clocks(5, 2), Clocks(3, 7), Clocks(7, 6)], ids=str)
def test_any_ratio_of_the_clocks_gives_the_same(clocks: Clocks) -> None:
    compiled = small_network()
    board = Board(SimulatedSoc(clocks=clocks))
    board.load(compiled.image)
    values = np.random.default_rng(8).integers(0, 256, (3, 1, 4, 6)).astype(np.uint8)
    run_and_compare(board, SMALL, compiled, {"x": values})
    facts = board.facts()
    assert (facts.restarts, facts.lost_bytes) == (0, 0)


@pytest.mark.slow
def test_inputs_and_results_of_many_frames() -> None:
    whole = program(half("x"), shape=(1, 8, 350))
    compiled = compile_for_array(whole)
    board = Board(SimulatedSoc())
    board.load(compiled.image)
    values = np.random.default_rng(9).integers(0, 256, (2, 1, 8, 350)).astype(np.uint8)
    assert values[0].nbytes > 2 * MOST_PAYLOAD
    assert compiled.image.result_words * LANES * 4 > 2 * MOST_PAYLOAD
    run_and_compare(board, whole, compiled, {"x": values})


@pytest.mark.slow
def test_random_networks_run_one_after_the_other() -> None:
    board = Board(SimulatedSoc())
    loaded = [board.facts().network]
    for seed in (9001, 9003):
        network, whole = random_network(seed, 3)
        compiled = compile_for_array(whole)
        board.load(compiled.image)
        run_and_compare(board, whole, compiled, network.values(whole, 2))
        loaded.append(board.facts().network)
        assert loaded[-1] == network_id(compiled.image)
    assert loaded[0] == 0
    assert len(set(loaded)) == 3


def test_a_network_that_is_loaded_is_not_sent_again() -> None:
    compiled = small_network()
    soc = SimulatedSoc()
    Board(soc).load(compiled.image)
    before = soc.cpu_cycles
    other = Board(soc)
    other.load(compiled.image)
    assert soc.cpu_cycles - before < 100_000
    values = np.arange(24, dtype=np.uint8).reshape(1, 1, 4, 6)
    run_and_compare(other, SMALL, compiled, {"x": values})


def test_the_self_test_counts_what_differs() -> None:
    compiled = small_network()
    board = Board(SimulatedSoc())
    board.load(compiled.image)
    values = np.full((1, 1, 4, 6), 200, np.uint8)
    expected = reference.run(SMALL, {"x": values})["q"].copy()
    expected[0, 0, 2, 3:5] += 1
    assert board.self_test({"x": values}, {"q": expected}) == 2


def test_a_board_with_another_array_is_refused() -> None:
    board = Board(SimulatedSoc())
    other = compile_for_array(SMALL, ArrayConfig(descriptors=128)).image
    with pytest.raises(DeviceError, match=r"descriptors=256, beat=8\)\n  expected: .*descriptors=128"):
        board.load(other)
