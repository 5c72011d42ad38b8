"""Assertions of the RTL: a network that reaches beyond a memory is stopped in simulation, by each of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgeconv.errors import DeviceError
from edgeconv.hw.compiler.image import NetworkImage
from edgeconv.hw.sim.simulator import SimulatedArray
from edgeconv.hw.spec import DESCRIPTOR, DESCRIPTOR_WORDS, SELECT, ArrayConfig
from tests.hw.running import compile_for_array
from tests.hw.test_pulse import pulse_program

pytestmark = pytest.mark.needs_verilator

SIZES = ArrayConfig()


def _with_field(image: NetworkImage, layer: int, name: str, value: int) -> NetworkImage:
    """The image with another value in one field of the descriptor of a layer; -1 is the last one."""
    word, bit, bits = next(
        (number, sum(field.bits for field in fields[:at]), field.bits)
        for number, fields in enumerate(DESCRIPTOR)
        for at, field in enumerate(fields)
        if field.name == name
    )
    writes = image.writes.copy()
    own = np.flatnonzero((writes["select"] == SELECT["descriptors"]) & (writes["address"] % DESCRIPTOR_WORDS == word))
    place = own[np.argsort(writes["address"][own])[layer]]
    mask = (1 << bits) - 1
    writes["data"][place] = (int(writes["data"][place]) & ~(mask << bit)) | (value & mask) << bit
    return replace(image, writes=writes)


@pytest.mark.parametrize(
    ("layer", "field", "value"),
    [
        (0, "w_base", SIZES.weight_words - 1),
        (0, "p_base", SIZES.parameter_words - 1),
        (0, "out_base", SIZES.activation_bytes - 4),
        (-1, "out_base", SIZES.result_words),
    ],
)
def test_a_layer_beyond_a_memory_is_stopped(layer: int, field: str, value: int) -> None:
    image = compile_for_array(pulse_program("u8", "i8")).image
    inputs = {"x": np.zeros((1, 1, 1, 128), np.uint8)}
    SimulatedArray(image).run(inputs)
    with pytest.raises(DeviceError, match="stopped at an assertion of its RTL"):
        SimulatedArray(_with_field(image, layer, field, value)).run(inputs)
