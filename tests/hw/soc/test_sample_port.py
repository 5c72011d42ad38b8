"""The sample port: windows around triggers at line rate, exact, in order, and every lost one counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeconv import reference
from edgeconv.errors import DeviceError
from edgeconv.hw.host import Board
from edgeconv.hw.host.sample_port import Counters, Event, SamplePort
from edgeconv.hw.sim.stream import EVENT_READY, SAMPLE_VALID, TRIGGER, event_rows
from edgeconv.hw.soc.simulator import Clocks, SimulatedSoc
from edgeconv.hw.spec import ArrayConfig
from edgeconv.ir import Grid, Linear, Program, TensorType, dtype
from edgeconv.ir import operators as ops
from tests.hw.running import compile_for_array
from tests.hw.test_pulse import CYCLES, pulse_program
from tests.hw.test_refusals import conv, half, program

pytestmark = [pytest.mark.slow, pytest.mark.needs_verilator, pytest.mark.needs_riscv]

AIM_HZ, WANTED_RATE = 115e6, 46_000
PERIOD = int(AIM_HZ / WANTED_RATE)
"""Cycles between triggers: what the wanted rate leaves at the clock aimed for."""
WINDOW = 128
STREAMING = Clocks(cpu=4, array=1)
"""A processor of a quarter of the array's clock."""


@dataclass
class Detector:
    """A system with a network, and a detector at its sample port."""

    whole: Program
    soc: SimulatedSoc
    board: Board
    port: SamplePort
    window: int

    def feed(
        self,
        samples: NDArray[np.uint16],
        triggers: Sequence[int],
        every: int = 1,
        ready: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.uint64]:
        """Samples, one in `every` cycles, with triggers at some of them; words of events."""
        words = np.zeros(len(samples) * every, np.uint32)
        words[::every] = samples.astype(np.uint32) | SAMPLE_VALID
        words[np.asarray(triggers, int) * every] |= TRIGGER
        taken = np.ones(len(words), bool) if ready is None else ready
        words[taken] |= EVENT_READY
        return self.soc.feed(words)

    def drain(self, cycles: int = 20_000) -> NDArray[np.uint64]:
        """No more samples; words of events that still come."""
        return self.soc.feed(np.full(cycles, EVENT_READY, np.uint32))

    def events(self, *parts: NDArray[np.uint64]) -> list[Event]:
        """The events of their words."""
        return [self.port.event(row) for row in event_rows(np.concatenate(parts))]

    def check(self, event: Event, samples: NDArray[np.uint16], trigger: int, before: int = 0) -> None:
        """Every bit of an event equals the reference on the window that was cut out of the samples here."""
        (name, type_), first = next(iter(self.whole.inputs.items())), trigger - before
        window = samples[first : first + self.window].reshape(1, *type_.shape).astype(type_.dtype.container)
        for output, expected in reference.run(self.whole, {name: window}).items():
            np.testing.assert_array_equal(event.outputs[output], expected)


def detector(whole: Program, config: ArrayConfig | None = None) -> Detector:
    """Load a network, then let the clocks have the ratio of a board."""
    compiled = compile_for_array(whole, config)
    soc = SimulatedSoc(config)
    board = Board(soc)
    board.load(compiled.image)
    soc.set_clocks(STREAMING)
    window = int(np.prod(next(iter(whole.inputs.values())).shape))
    return Detector(whole, soc, board, SamplePort(board), window)


@pytest.fixture(scope="module")
def pulses() -> Detector:
    return detector(pulse_program("u16", "i8"))


def adc(count: int, seed: int) -> NDArray[np.uint16]:
    """Samples of 12 bits."""
    return np.random.default_rng(seed).integers(0, 4096, count).astype(np.uint16)


def test_a_sample_a_cycle_and_a_trigger_at_the_wanted_rate_lose_nothing(pulses: Detector) -> None:
    events = 60
    samples = adc(events * PERIOD, 1)
    jitter = np.random.default_rng(2).integers(0, PERIOD - WINDOW, events)
    triggers = [int(i * PERIOD + jitter[i]) for i in range(events)]
    pulses.port.start(to_host=False)
    found = pulses.events(pulses.feed(samples, triggers), pulses.drain())
    assert pulses.port.counters(stop=True) == Counters(events, 0, 0)
    assert [event.trigger for event in found] == list(range(events))
    for event, trigger in zip(found, triggers, strict=True):
        pulses.check(event, samples, trigger)
        assert event.time - found[0].time == trigger - triggers[0]
        assert event.cycles == CYCLES["i8"]


def test_windows_one_sample_apart_are_sustained(pulses: Detector) -> None:
    """Windows of 128 samples begin every 129 samples of 19 cycles: every 2,451 cycles, 46,920 a second at 115 MHz."""
    windows, every = 40, 19
    samples = adc(windows * (WINDOW + 1), 3)
    triggers = range(0, len(samples), WINDOW + 1)
    pulses.port.start(to_host=False)
    found = pulses.events(pulses.feed(samples, triggers, every), pulses.drain())
    assert pulses.port.counters(stop=True) == Counters(windows, 0, 0)
    for event, trigger in zip(found, triggers, strict=True):
        pulses.check(event, samples, trigger)


def test_too_many_triggers_are_counted_and_the_others_exact(pulses: Detector) -> None:
    samples = adc(60_000, 4)
    rng = np.random.default_rng(5)
    triggers = np.unique(rng.integers(0, len(samples) - WINDOW, 150))
    triggers = triggers[np.diff(triggers, prepend=-2) > 1]  # edges need a sample between them
    pulses.port.start(to_host=False)
    found = pulses.events(pulses.feed(samples, triggers.tolist()), pulses.drain())
    counted = pulses.port.counters(stop=True)
    assert counted.triggers == len(triggers)
    assert counted.lost_open > 0
    assert counted.lost_full > 0
    assert len(found) == counted.triggers - counted.lost_open - counted.lost_full
    for event in found:
        pulses.check(event, samples, int(triggers[event.trigger]))


def test_events_that_nobody_takes_hold_the_array_and_lose_triggers_not_results(pulses: Detector) -> None:
    samples = adc(20 * PERIOD, 6)
    triggers = [i * PERIOD for i in range(20)]
    ready = np.zeros(len(samples), bool)
    ready[12 * PERIOD :] = np.random.default_rng(7).random(8 * PERIOD) < 0.3
    pulses.port.start(to_host=False)
    found = pulses.events(pulses.feed(samples, triggers, ready=ready), pulses.drain())
    counted = pulses.port.counters(stop=True)
    assert counted.lost_full > 0 == counted.lost_open
    assert len(found) == 20 - counted.lost_full
    for event in found:
        pulses.check(event, samples, triggers[event.trigger])


@pytest.mark.parametrize("before", [1, 7, 100])
def test_a_window_may_begin_before_its_trigger(pulses: Detector, before: int) -> None:
    samples = adc(9000, 8)
    triggers = [before - 1, before + 20, 4000, 7000]  # the first comes before enough samples have
    pulses.port.start(before=before, to_host=False)
    found = pulses.events(pulses.feed(samples, triggers), pulses.drain())
    assert pulses.port.counters(stop=True) == Counters(4, 1, 0)
    for event, trigger in zip(found, triggers[1:], strict=True):
        pulses.check(event, samples, trigger, before)


def test_the_host_fetches_events_over_the_serial_line(pulses: Detector) -> None:
    samples = adc(5 * PERIOD, 9)
    triggers = [100 + i * PERIOD for i in range(5)]
    pulses.port.start()
    assert len(pulses.feed(samples, triggers)) == 0
    pulses.drain()
    found: list[Event] = []
    while len(found) < 5:
        found += pulses.port.events()
    assert pulses.port.counters(stop=True) == Counters(5, 0, 0)
    for event, trigger in zip(found, triggers, strict=True):
        pulses.check(event, samples, trigger)


def test_the_host_can_stand_in_for_a_detector(pulses: Detector) -> None:
    samples = adc(700, 12)
    pulses.port.start(before=10)
    pulses.port.give(samples, [50, 300])
    found = [*pulses.port.events(), *pulses.port.events()]
    assert pulses.port.counters(stop=True) == Counters(2, 0, 0)
    for event, trigger in zip(found, [50, 300], strict=True):
        pulses.check(event, samples, trigger, 10)


def test_while_the_port_is_on_the_host_runs_nothing(pulses: Detector) -> None:
    values = adc(WINDOW, 10).reshape(1, 1, 1, WINDOW)
    pulses.port.start()
    with pytest.raises(DeviceError, match="refuses RUN: STATE"):
        pulses.board.run({"x": values})
    pulses.port.counters(stop=True)
    expected = reference.run(pulses.whole, {"x": values})["y"]
    np.testing.assert_array_equal(pulses.board.run({"x": values}).outputs["y"], expected)


@pytest.mark.parametrize(("type_", "length"), [("u8", 20), ("i8", 129), ("i16", 9), ("u16", 1)])
def test_windows_of_any_length_and_type(type_: str, length: int) -> None:
    small = detector(program(half("x"), shape=(1, 1, length), type_=type_))
    rng = np.random.default_rng(11)
    samples = rng.integers(0, 1 << 16 if "16" in type_ else 256, 130 * length + 4000).astype(np.uint16)
    triggers = [5 + i * (12 * length + 300) for i in range(10)]  # every position gives 8 words of an event
    small.port.start(to_host=False)
    found = small.events(small.feed(samples, triggers), small.drain())
    assert small.port.counters(stop=True) == Counters(10, 0, 0)
    for event, trigger in zip(found, triggers, strict=True):
        small.check(event, samples, trigger)


def test_events_that_are_too_long_for_an_answer_are_refused() -> None:
    board = Board(SimulatedSoc())
    board.load(compile_for_array(program(half("x"), shape=(1, 1, 40))).image)
    with pytest.raises(DeviceError, match=r"an event has 313 results\n  expected: 249 at most"):
        SamplePort(board).start()


def test_a_window_that_is_too_long_is_refused() -> None:
    operator, w = conv(outputs=1, inputs=2, strides=(2,))
    board = Board(SimulatedSoc())
    board.load(compile_for_array(program(operator, half(), shape=(1, 2, 520), w=w)).image)
    with pytest.raises(DeviceError, match=r"a window of 1040 samples\n  expected: 1024 at most"):
        SamplePort(board)


def test_a_network_of_two_inputs_is_refused() -> None:
    types = {name: TensorType((1, 1, 8), dtype("u8")) for name in ("x", "z")}
    total = ops.Add("q", ("x", "z"), Linear(((Fraction(1, 2),),) * 2), Grid(dtype("u8"), 0, 255, 0))
    board = Board(SimulatedSoc())
    board.load(compile_for_array(Program(types, ("q",), (total,), {})).image)
    with pytest.raises(DeviceError, match=r"the network has the inputs x, z\n  expected: one"):
        SamplePort(board)
