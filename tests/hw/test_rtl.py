"""The RTL itself: lint, and the fast twins against the arithmetic units they stand for."""

from __future__ import annotations

import pytest

from edgeconv.hw.sim.build import lint
from edgeconv.hw.spec import SMALL, ArrayConfig
from tests.hw.networks import LAYERS, random_network
from tests.hw.test_layers import check_or_too_large

pytestmark = pytest.mark.needs_verilator


@pytest.mark.parametrize("units", [False, True], ids=["twins", "units"])
@pytest.mark.parametrize(
    "config", [ArrayConfig(), ArrayConfig(elements=8, weight_words=512), SMALL], ids=["16", "8", "4"]
)
def test_verilator_has_nothing_to_say_about_the_rtl(config: ArrayConfig, units: bool) -> None:
    assert lint(config, units) == ""


@pytest.mark.slow
def test_arithmetic_units_and_partial_products_give_the_bits_and_cycles_of_their_twins() -> None:
    for seed in range(24):
        network, program = random_network(7000 + seed, 2, list(LAYERS)[seed % len(LAYERS)])
        check_or_too_large(network, program, units=True)


@pytest.mark.slow
def test_an_array_of_half_the_size_computes_the_same() -> None:
    config = ArrayConfig(elements=8, activation_bytes=16384, result_words=1024)
    for seed in range(12):
        network, program = random_network(7100 + seed, 2, list(LAYERS)[seed % len(LAYERS)])
        check_or_too_large(network, program, config)
