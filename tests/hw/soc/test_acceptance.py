"""The long run of the whole system, part of `make accept-hw`: every figure is counted."""

from __future__ import annotations

import numpy as np
import pytest

from edgeconv.hw.host import Board, Counters
from edgeconv.hw.soc.simulator import SimulatedSoc
from tests.hw.running import compile_for_array
from tests.hw.soc.faults import run_until
from tests.hw.soc.test_faults import RATE
from tests.hw.soc.test_sample_port import PERIOD, WINDOW, adc, detector
from tests.hw.soc.test_soc import run_and_compare
from tests.hw.test_pulse import pulse_program

pytestmark = [pytest.mark.accept, pytest.mark.needs_verilator, pytest.mark.needs_riscv]

PULSES, WINDOWS, PART, FAULTS = 300, 2000, 100, 1000


@pytest.mark.parametrize("weight_type", ["i8", "i4"])
def test_pulses_through_firmware_and_protocol(weight_type: str) -> None:
    whole = pulse_program("u16", weight_type)
    compiled = compile_for_array(whole)
    board = Board(SimulatedSoc())
    board.load(compiled.image)
    values = np.random.default_rng(31).integers(0, 4096, (PULSES, 1, 1, WINDOW)).astype(np.uint16)
    run_and_compare(board, whole, compiled, {"x": values})
    facts = board.facts()
    assert (facts.restarts, facts.lost_bytes) == (0, 0)
    print(f"\n{PULSES} pulses with {weight_type} weights: 0 differences, {compiled.image.cycles} cycles each")


def test_windows_at_line_rate() -> None:
    pulses = detector(pulse_program("u16", "i8"))
    rng = np.random.default_rng(32)
    pulses.port.start(to_host=False)
    for part in range(WINDOWS // PART):
        samples = adc(PART * PERIOD, 100 + part)
        triggers = (np.arange(PART) * PERIOD + rng.integers(0, PERIOD - WINDOW, PART)).tolist()
        found = pulses.events(pulses.feed(samples, triggers), pulses.drain())
        assert [event.trigger for event in found] == list(range(part * PART, (part + 1) * PART))
        for event, trigger in zip(found, triggers, strict=True):
            pulses.check(event, samples, trigger)
    assert pulses.port.counters(stop=True) == Counters(WINDOWS, 0, 0)
    print(f"\n{WINDOWS} windows, a sample a cycle, one window in {PERIOD} cycles: none lost, 0 differences")


def test_faults_on_the_line_of_the_simulated_system() -> None:
    board, line, done = run_until(FAULTS, seed=33, rate=RATE, batch=4, attempts=30)
    assert done >= FAULTS / 20
    assert all(line.faults.values())
    line.rate = 0.0
    assert board.facts().restarts == 0
    print(f"\n{sum(line.faults.values())} faults on the line, {done} samples: 0 differences")
