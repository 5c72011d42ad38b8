"""The array behind AXI: rules of the bus, the driver in C, windows from a stream; every bit against the reference."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from edgeconv import reference
from edgeconv.errors import DeviceError
from edgeconv.hw.axi.build import axi_lint, axi_sources
from edgeconv.hw.axi.simulator import OKAY, SLVERR, SimulatedAxi
from edgeconv.hw.compiler import CompiledNetwork
from edgeconv.hw.export import FOLDER
from edgeconv.hw.host.sample_port import event_values, read_event
from edgeconv.hw.sim.stream import EVENT_READY, SAMPLE_VALID, TRIGGER, event_rows
from edgeconv.hw.soc.spec import ARRAY_REGISTERS
from edgeconv.hw.spec import LANES, ArrayConfig
from tests.hw.axi.driver import Driver, compile_driver
from tests.hw.running import compile_for_array
from tests.hw.test_pulse import pulse_program
from tests.hw.test_refusals import half, program

pytestmark = [pytest.mark.slow, pytest.mark.needs_verilator]

OFFSET = {register.name: register.offset for register in ARRAY_REGISTERS}
PULSE = pulse_program("u16", "i8")
(OUTPUT,) = PULSE.outputs
WINDOW = 128


@pytest.fixture(scope="module")
def pulse() -> CompiledNetwork:
    return compile_for_array(PULSE)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return compile_driver(tmp_path_factory.mktemp("driver"))


def test_verilator_has_nothing_to_say() -> None:
    assert axi_lint() == ""


@pytest.mark.parametrize("seed", range(3))
def test_registers_answer_whatever_the_order_of_address_data_and_ready(seed: int) -> None:
    axi, sizes = SimulatedAxi(seed=seed), ArrayConfig()
    assert axi.read(OFFSET["sizes_1"]) == sizes.activation_bytes
    assert axi.read(OFFSET["sizes_2"]) == sizes.parameter_words << 16 | sizes.weight_words
    rng = np.random.default_rng(seed)
    kept = ("bus_step", "bus_low", "place_low", "place_high", "bus_address")
    for _ in range(100):
        name, value = str(rng.choice(kept)), int(rng.integers(0, 1 << 32))
        assert axi.write(OFFSET[name], value) == OKAY
        assert axi.read(OFFSET[name]) == value


@pytest.mark.parametrize("strobe", [0, 1, 3, 7, 14])
def test_a_write_of_less_than_a_register_is_refused_and_changes_nothing(strobe: int) -> None:
    axi = SimulatedAxi()
    axi.write(OFFSET["bus_step"], 0x12345678)
    assert axi.write(OFFSET["bus_step"], 0xFFFFFFFF, strobe) == SLVERR
    assert axi.read(OFFSET["bus_step"]) == 0x12345678


def test_the_driver_runs_samples(pulse: CompiledNetwork, library: ctypes.CDLL) -> None:
    driver = Driver(library, SimulatedAxi(seed=5))
    assert driver.load(pulse.image.to_bytes()) == "ok"
    samples = np.random.default_rng(6).integers(0, 65536, (3, 1, 1, WINDOW)).astype(np.uint16)
    places, words = pulse.image.input_words({"x": samples})
    for sample, expected in zip(words, reference.run(PULSE, {"x": samples})[OUTPUT], strict=True):
        assert driver.input(int(places[0]), sample.tobytes()) == "ok"
        assert driver.run() == ("ok", pulse.image.cycles)
        status, results = driver.results(0, pulse.image.result_words * LANES)
        assert status == "ok"
        np.testing.assert_array_equal(pulse.image.output_arrays(results[None])[OUTPUT][0], expected)
    assert driver.failures == []


def test_windows_of_a_stream_come_out_as_events(pulse: CompiledNetwork, library: ctypes.CDLL) -> None:
    axi = SimulatedAxi(seed=7)
    driver, image = Driver(library, axi), pulse.image
    assert driver.load(image.to_bytes()) == "ok"
    place, values, before = image.inputs[0], event_values(image), 20
    low = place.base + place.plane_bytes
    assert driver.stream(WINDOW, before, place.offset, low, place.base, 1, values) == "ok"
    assert driver.input(place.base, bytes(8)) == "busy"
    assert driver.run()[0] == "busy"
    rng = np.random.default_rng(8)
    count, every = 24, 2600
    samples = rng.integers(0, 4096, count * every + 500).astype(np.uint16)
    triggers = 100 + every * np.arange(count) + rng.integers(0, 2000, count)
    words = samples.astype(np.uint32) | SAMPLE_VALID
    words[triggers] |= TRIGGER
    words[rng.random(len(words)) < 0.5] |= EVENT_READY
    found = np.concatenate([axi.feed(words), axi.feed(np.full(20_000, EVENT_READY, np.uint32))])
    events = [read_event(image, row) for row in event_rows(found)]
    assert [event.trigger for event in events] == list(range(count))
    for event, trigger in zip(events, triggers.tolist(), strict=True):
        window = samples[trigger - before : trigger - before + WINDOW].reshape(1, 1, 1, WINDOW)
        np.testing.assert_array_equal(event.outputs[OUTPUT], reference.run(PULSE, {"x": window})[OUTPUT])
        assert (event.time - events[0].time, event.cycles) == (trigger - triggers[0], image.cycles)
    driver.stop()
    assert (axi.read(OFFSET["triggers"]), axi.read(OFFSET["lost_full"])) == (count, 0)


def test_the_driver_refuses_what_the_array_cannot_have(pulse: CompiledNetwork, library: ctypes.CDLL) -> None:
    driver, image = Driver(library, SimulatedAxi()), pulse.image.to_bytes()
    for bad in (b"", b"edgeconv", image[1:], image[:-8], image[:-16], image[:40]):
        assert driver.load(bad) == "no image"
    for sizes in (ArrayConfig(weight_words=1024), ArrayConfig(beat=4)):
        assert driver.load(compile_for_array(program(half("x")), sizes).image.to_bytes()) == "other array"
    memory = ArrayConfig().activation_bytes
    for place in (4, memory - 8, memory + 8, 0xFFFFFFF8):
        assert driver.input(place, bytes(16)) == "range"
    assert driver.results(ArrayConfig().result_words * LANES - 1, 2)[0] == "range"
    for window in ((0, 0, 0, 0, 0, 0, 1), (1025, 0, 0, 0, 0, 0, 1), (8, 256, 0, 0, 0, 0, 1), (8, 0, 0, 4, 0, 0, 1)):
        assert driver.stream(*window) == "range"
    for place in (memory, 0xFFFFFFF8):  # the latter's end wraps to 0
        assert driver.stream(8, 0, 0, place, 0, 0, 1) == "range"
        assert driver.stream(8, 0, 0, 0, place, 1, 1) == "range"
    assert driver.stream(8, 0, 0, 0, 0, 0, ArrayConfig().result_words * LANES + 1) == "range"


def test_a_network_that_does_not_end_in_time_is_told(pulse: CompiledNetwork, library: ctypes.CDLL) -> None:
    driver = Driver(library, SimulatedAxi())
    assert driver.load(pulse.image.to_bytes()) == "ok"
    assert driver.run(polls=3)[0] == "late"


def test_the_script_for_vivado_names_the_files_of_the_simulation() -> None:
    script = (FOLDER / "axi" / "vivado.tcl").read_text()
    named = script.split("set sources {")[1].split("}")[0].split()
    assert [FOLDER / name for name in named] == [FOLDER / "rtl" / "edge_pkg.sv", *axi_sources()]


@pytest.mark.parametrize(
    ("registers", "said"),
    [
        ({"window_samples": 1200, "event_values": 1}, "a window is longer than its slot"),
        ({"window_samples": 8, "event_values": 8 * ArrayConfig().result_words + 1}, "an event has more values"),
        ({"window_samples": 8, "place_low": ArrayConfig().activation_bytes}, "activations are loaded beyond"),
    ],
)
def test_registers_that_lead_beyond_a_memory_stop_the_simulation(
    registers: dict[str, int],
    said: str,
    pulse: CompiledNetwork,
    library: ctypes.CDLL,
    capfd: pytest.CaptureFixture[str],
) -> None:
    axi = SimulatedAxi()
    assert Driver(library, axi).load(pulse.image.to_bytes()) == "ok"
    for name, value in (registers | {"stream": 1}).items():
        assert axi.write(OFFSET[name], value) == OKAY
    words = np.full(12_000, SAMPLE_VALID | EVENT_READY, np.uint32)
    words[100] |= TRIGGER
    with pytest.raises(DeviceError, match="stopped at an assertion of its RTL"):
        axi.feed(words)
    assert said in capfd.readouterr().out
