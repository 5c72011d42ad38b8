"""The configuration for an ECP5-25F: a result a cycle, multipliers of logic, memories that are no power of two deep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgeconv
from edgeconv.artifact import read
from edgeconv.cli import main
from edgeconv.errors import DeviceError, UnsupportedModelError
from edgeconv.hw.host import Board
from edgeconv.hw.soc.simulator import Clocks, SimulatedSoc
from edgeconv.hw.spec import LANES, SMALL, ArrayConfig, configuration
from edgeconv.targets import load_target
from tests.cli.test_compile import write_model
from tests.hw.networks import LAYERS, random_network
from tests.hw.running import check, compile_for_array
from tests.hw.soc.test_sample_port import adc, detector
from tests.hw.test_layers import check_or_too_large
from tests.hw.test_pulse import MACS, pulse_program
from tests.hw.test_refusals import half, program

pytestmark = pytest.mark.needs_verilator
TARGET = "ecp5-25f"
CYCLES = {"i8": 9828, "i4": 5480}
"""Of a pulse, by the type of the weights (docs/accelerator.md)."""


@pytest.mark.parametrize("weight_type", ["i8", "i4"])
def test_the_pulse_network_is_exact_in_its_cycles(weight_type: str) -> None:
    values = np.random.default_rng(1).integers(0, 65536, (20, 1, 1, 128)).astype(np.uint16)
    image = check(pulse_program("u16", weight_type), {"x": values}, SMALL).image
    assert image.cycles == CYCLES[weight_type]
    if weight_type == "i8":
        assert MACS / (image.cycles * SMALL.elements * LANES) >= 0.9
    else:  # a position has eight beats, which three bits of a descriptor hold as 0
        assert 2 * SMALL.elements // SMALL.beat == 8


@pytest.mark.parametrize("layer", LAYERS)
def test_random_layers_equal_the_reference_in_the_cycles_of_the_model(layer: str) -> None:
    for seed in range(3):
        network, whole = random_network(8000 + 100 * list(LAYERS).index(layer) + seed, 1, layer)
        check_or_too_large(network, whole, SMALL)


@pytest.mark.parametrize("seed", range(8900, 8904))
def test_random_networks_equal_the_reference_in_the_cycles_of_the_model(seed: int) -> None:
    network, whole = random_network(seed, 5)
    check_or_too_large(network, whole, SMALL)


@pytest.mark.slow
def test_multipliers_of_logic_give_the_bits_of_their_twins() -> None:
    values = np.random.default_rng(2).integers(0, 65536, (4, 1, 1, 128)).astype(np.uint16)
    for weight_type, cycles in CYCLES.items():
        assert check(pulse_program("u16", weight_type), {"x": values}, SMALL, units=True).image.cycles == cycles
    for seed in range(24):
        network, whole = random_network(8200 + seed, 2, list(LAYERS)[seed % len(LAYERS)])
        check_or_too_large(network, whole, SMALL, units=True)


@pytest.mark.slow
def test_a_beat_of_four_and_no_multiplier_block_compute_the_same() -> None:
    config = ArrayConfig(elements=8, beat=4, logic_units=LANES)
    for seed in range(12):
        network, whole = random_network(8300 + seed, 2, list(LAYERS)[seed % len(LAYERS)])
        check_or_too_large(network, whole, config, units=True)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((1, 1, 600), r"needs 600 words of 8 results of result memory\n  expected: at most 128"),
        ((1, 64, 400), r"needs 25600 bytes of activation memory\n  expected: at most 16384"),
        ((1, 1, 80, 1), r"needs 80 descriptors of descriptors\n  expected: at most 64"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_limit_of_this_configuration(
    shape: tuple[int, ...], text: str, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedModelError, match=text):
        edgeconv.api.compile_program(program(half("x"), shape=shape), tmp_path / "big.edge", TARGET)
    assert not list(tmp_path.iterdir())


def test_the_part_of_a_target_chooses_the_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert configuration(load_target(TARGET).part) == SMALL
    assert configuration(load_target("ulx3s-85f").part) == configuration(None) == ArrayConfig()
    model = write_model(tmp_path / "tiny.onnx")
    artifact = edgeconv.compile(model, target=TARGET, output=tmp_path / "tiny.edge").path
    assert main(["verify", str(artifact), "--model", str(model), "--device", "sim"]) == 0
    assert main(["inspect", str(artifact)]) == 0
    assert "of 32 multipliers" in capsys.readouterr().out
    assert read(artifact).manifest.settings["part"] == load_target(TARGET).part


@pytest.mark.slow
@pytest.mark.needs_riscv
def test_the_system_runs_pulses_and_its_sample_port_loses_none_that_fit() -> None:
    pulses = detector(pulse_program("u16", "i8"), SMALL)
    assert pulses.board.facts().config == SMALL
    samples = adc(8 * 700, 1)
    triggers = [20 + 700 * i for i in range(8)]
    pulses.port.start(to_host=False)
    found = pulses.events(pulses.feed(samples, triggers, every=16), pulses.drain())
    assert pulses.port.counters(stop=True).lost_full == 0
    assert len(found) == 8
    for event, trigger in zip(found, triggers, strict=True):
        pulses.check(event, samples, trigger)
        assert event.cycles == CYCLES["i8"]


@pytest.mark.slow
@pytest.mark.needs_riscv
@pytest.mark.parametrize("clocks", [Clocks(1, 1), Clocks(5, 2), Clocks(7, 6), Clocks()], ids=str)
def test_results_of_many_words_come_through_the_crossing_at_any_ratio_of_the_clocks(clocks: Clocks) -> None:
    whole = program(half("x"), shape=(1, 9, 60))
    compiled = compile_for_array(whole, SMALL)
    board = Board(SimulatedSoc(SMALL, clocks))
    with pytest.raises(DeviceError, match=r"has the array .*beat=1"):
        board.load(compile_for_array(whole).image)
    board.load(compiled.image)
    assert compiled.image.result_words == 120
    values = np.random.default_rng(3).integers(0, 256, (2, 1, 9, 60)).astype(np.uint8)
    np.testing.assert_array_equal(
        board.run({"x": values}).outputs["q"], edgeconv.reference.run(whole, {"x": values})["q"]
    )
