"""Assertions of the RTL: a network that reaches beyond a memory is stopped in simulation, by each of them."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeconv.errors import DeviceError
from edgeconv.hw.compiler.image import BUS_WRITE
from edgeconv.hw.export import FOLDER
from edgeconv.hw.sim.simulator import SimulatedArray
from edgeconv.hw.sim.verilate import Simulation
from edgeconv.hw.spec import DESCRIPTOR_WORDS, LANES, SELECT, ArrayConfig
from tests.hw.descriptors import with_field
from tests.hw.running import compile_for_array
from tests.hw.test_pulse import pulse_program

pytestmark = pytest.mark.needs_verilator

SIZES = ArrayConfig()


PULSE = pulse_program("u8", "i8")
INPUTS = {"x": np.zeros((1, 1, 1, 128), np.uint8)}


@pytest.mark.parametrize(
    ("layer", "fields", "said"),
    [
        (0, {"w_base": SIZES.weight_words - 1}, "weights are read beyond their memory"),
        (0, {"p_base": SIZES.parameter_words - 1}, "constants are read beyond their memory"),
        (0, {"out_base": SIZES.activation_bytes - 4}, "a result is written beyond the activation memory"),
        (-1, {"out_base": SIZES.result_words}, "a result is written beyond the result memory"),
        (0, {"x_base": -8, "bound_lo": -8}, "activations are read beyond their memory"),
        (0, {"x_base": SIZES.activation_bytes, "bound_hi": SIZES.activation_bytes + 1}, "activations are read beyond"),
        (0, {"use_table": 1, "table_index": SIZES.tables}, "a table is looked up that is not there"),
    ],
)
def test_a_layer_beyond_a_memory_is_stopped(
    layer: int, fields: dict[str, int], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    image = compile_for_array(PULSE).image
    SimulatedArray(image).run(INPUTS)
    for name, value in fields.items():
        image = with_field(image, layer, name, value)
    with pytest.raises(DeviceError, match="stopped at an assertion of its RTL"):
        SimulatedArray(image).run(INPUTS)
    assert said in capfd.readouterr().out


def test_a_network_without_a_last_layer_is_stopped(capfd: pytest.CaptureFixture[str]) -> None:
    image = compile_for_array(PULSE).image
    layers = (image.writes["select"] == SELECT["descriptors"]).sum() // DESCRIPTOR_WORDS
    last = image.writes[image.writes["select"] == SELECT["descriptors"]][-DESCRIPTOR_WORDS:]
    more = np.concatenate([last] * int(SIZES.descriptors - layers))
    more["address"] = np.arange(layers * DESCRIPTOR_WORDS, SIZES.descriptors * DESCRIPTOR_WORDS)
    image = replace(image, writes=np.concatenate([image.writes, more]), cycles=1_000_000)
    for layer in range(layers - 1, SIZES.descriptors):
        image = with_field(image, layer, "last_layer", int(layer == SIZES.descriptors - 1))
    SimulatedArray(image).run(INPUTS)  # as many as there is room for
    with pytest.raises(DeviceError, match="stopped at an assertion of its RTL"):
        SimulatedArray(with_field(image, -1, "last_layer", 0)).run(INPUTS)
    assert "descriptors are fetched beyond their memory" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("memory", "beyond"),
    [
        ("activations", SIZES.activation_bytes - LANES + 1),
        ("weights", SIZES.weight_words),
        ("weights", SIZES.elements << 16),
        ("parameters", SIZES.parameter_words << 4),
        ("tables", SIZES.tables * 256),
        ("descriptors", SIZES.descriptors * DESCRIPTOR_WORDS),
    ],
)
def test_what_is_loaded_beyond_a_memory_is_stopped(memory: str, beyond: int, capfd: pytest.CaptureFixture[str]) -> None:
    image = compile_for_array(PULSE).image
    write = np.array([(SELECT[memory], beyond, 0)], BUS_WRITE)
    with pytest.raises(DeviceError, match="stopped at an assertion of its RTL"):
        SimulatedArray(replace(image, writes=np.concatenate([image.writes, write])))
    said = {"parameters": "constants"}.get(memory, memory)
    assert f"{said} are loaded beyond their memory" in capfd.readouterr().out


def test_activations_that_are_loaded_while_the_array_works_are_seen(capfd: pytest.CaptureFixture[str]) -> None:
    image = compile_for_array(PULSE).image
    start = np.array([(SELECT["control"], 0, 1), (SELECT["activations"], 0, 0)], BUS_WRITE)
    with pytest.raises(DeviceError, match="stopped at an assertion of its RTL"):
        SimulatedArray(replace(image, writes=np.concatenate([image.writes, start])))
    assert "activations are loaded while the array works" in capfd.readouterr().out


@pytest.mark.slow
def test_a_queue_that_forgets_its_limit_is_seen(capfd: pytest.CaptureFixture[str]) -> None:
    right = "if (push && !full) written"
    text = (FOLDER / "soc" / "rtl" / "fifo.sv").read_text(encoding="utf-8")
    assert right in text
    queue = {"fifo.sv": text.replace(right, "if (push) written")}
    sources = (FOLDER / "rtl" / "ram.sv", FOLDER / "soc" / "bounds" / "fifo_bounds.sv")
    model, size = Path(__file__).parent / "queue.cpp", {"WIDTH": 8, "DEPTH": 8}
    library = ctypes.CDLL(str(Simulation("fifo", queue, sources, model, parameters=size, optimize=("-O0",)).library()))
    assert not library.edge_queue_push(8)
    assert library.edge_queue_push(10)
    assert "a queue holds more than there is room for" in capfd.readouterr().out
