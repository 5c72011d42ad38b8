"""Every operator of the accelerator against the reference, bit for bit, and the cycle model against the simulation."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.spec import ArrayConfig
from edgeconv.ir import Program
from tests.hw.networks import LAYERS, Network, random_network
from tests.hw.running import check, compile_for_array

pytestmark = pytest.mark.needs_verilator

PER_OPERATOR, NETWORKS = 8, 12


@pytest.mark.parametrize("seed", range(PER_OPERATOR))
@pytest.mark.parametrize("layer", LAYERS)
def test_random_layers_equal_the_reference_in_the_cycles_of_the_model(layer: str, seed: int) -> None:
    network, program = random_network(100 * list(LAYERS).index(layer) + seed, 1, layer)
    check_or_too_large(network, program)


@pytest.mark.parametrize("seed", range(9000, 9000 + NETWORKS))
def test_random_networks_equal_the_reference_in_the_cycles_of_the_model(seed: int) -> None:
    network, program = random_network(seed, 5)
    check_or_too_large(network, program)


def check_or_too_large(
    network: Network,
    program: Program,
    config: ArrayConfig | None = None,
    units: bool = False,
    library: Path | None = None,
) -> None:
    """A network that does not fit must be refused with the name of a limit; every other one must be right."""
    inputs = network.values(program, 3)
    try:
        compile_for_array(program, config)
    except UnsupportedModelError as error:
        found = error.problem
    else:
        check(program, inputs, config, units, library)
        return
    assert "the network needs" in found or "sums up to" in found, found
