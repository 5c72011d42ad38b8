"""The long run, `make accept-hw`: every figure is counted, and a network that does not fit does not count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeconv.errors import ModelError
from edgeconv.hw.axi.build import axi_sources
from edgeconv.hw.boards.tools import YOSYS
from edgeconv.hw.export import FOLDER
from edgeconv.hw.sim.build import SOURCES
from edgeconv.hw.spec import SMALL, ArrayConfig
from tests.hw.networks import LAYERS, random_network
from tests.hw.running import check, compile_for_array
from tests.hw.test_pulse import CYCLES, pulse_program
from tests.hw.test_small import CYCLES as SMALL_CYCLES

pytestmark = [pytest.mark.accept, pytest.mark.needs_verilator]

SAMPLES = 4
WANTED_LAYERS, WANTED_NETWORKS, WANTED_PULSES = 500, 50, 2000
ARRAYS = {"85f": (ArrayConfig(), CYCLES), "25f": (SMALL, SMALL_CYCLES)}
"""Configurations, and the cycles of a pulse there."""


def _run(first: int, wanted: int, layers: int, config: ArrayConfig) -> tuple[int, int]:
    """Numbers of networks that ran and of those that were refused; one that differs fails."""
    done = refused = 0
    names = list(LAYERS)
    for seed in range(first, first + 10 * wanted):
        network, program = random_network(seed, layers, names[seed % len(names)] if layers == 1 else None)
        try:
            compile_for_array(program, config)
        except ModelError:
            refused += 1
            continue
        check(program, network.values(program, SAMPLES), config)
        done += 1
        if done == wanted:
            break
    return done, refused


@pytest.mark.parametrize("array", ARRAYS)
@pytest.mark.parametrize(("first", "wanted", "layers"), [(30_000, WANTED_LAYERS, 1), (40_000, WANTED_NETWORKS, 6)])
def test_random_networks(first: int, wanted: int, layers: int, array: str) -> None:
    done, refused = _run(first, wanted, layers, ARRAYS[array][0])
    print(f"\n{array}: {done} networks of {layers} layers on {SAMPLES} samples: 0 differences; {refused} refused")
    assert done == wanted
    assert refused < done / 5


@pytest.mark.parametrize("array", ARRAYS)
@pytest.mark.parametrize("weight_type", ["i8", "i4"])
def test_pulses(weight_type: str, array: str) -> None:
    config, expected = ARRAYS[array]
    values = np.random.default_rng(9).integers(0, 4096, (WANTED_PULSES, 1, 1, 128)).astype(np.uint16)
    cycles = check(pulse_program("u16", weight_type), {"x": values}, config).image.cycles
    assert cycles == expected[weight_type]
    print(f"\n{array}: {WANTED_PULSES} pulses with {weight_type} weights: 0 differences, {cycles} cycles each")


def _axi_files() -> list[str]:
    return [str(path.relative_to(FOLDER)) for path in axi_sources()]


@pytest.mark.needs_yosys
@pytest.mark.parametrize(
    ("top", "files"),
    [("accelerator", [f"rtl/{name}" for name in SOURCES]), ("edge_axi", _axi_files())],
    ids=["accelerator", "edge_axi"],
)
def test_slang_elaborates_what_goes_on_a_chip(top: str, files: list[str], tmp_path: Path) -> None:
    """Yosys with slang reads the RTL with multiplier blocks instantiated, and says nothing."""
    sources = " ".join(["rtl/ecp5_cells.sv", "rtl/edge_pkg.sv", *files, "rtl/ecp5_mult18.sv"])
    script = f"read_slang --threads 1 --top {top} -DECP5 --empty-blackboxes {sources}; hierarchy -check; check -assert"
    said = YOSYS.run(["-q", "-p", script], FOLDER, str(tmp_path / "yosys.log"))
    assert [line for line in said.splitlines() if "Preparing to run" not in line] == []
