"""Cycles and multiplier blocks are those of the compilers that make the hardware."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgeconv
from edgeconv.artifact import read
from edgeconv.artifact.hls_target.write import project_of
from edgeconv.hw.boards.board import BOARDS
from edgeconv.hw.boards.floorplan import block_places
from edgeconv.hw.spec import SMALL, ArrayConfig
from edgeconv.search.costs import costs_of
from tests.cli.test_compile import write_model

HARDWARE = ["cycles", "dsps"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("costs") / "net.onnx")


def test_the_array_takes_as_many_blocks_as_its_floorplan_places(model: Path) -> None:
    places = block_places(BOARDS["ulx3s-85f"]).values()
    assert ArrayConfig().multiplier_blocks == sum("/MULT18_" in place for place in places)
    found = costs_of(model, "ulx3s-85f", HARDWARE)
    assert found["dsps"] == ArrayConfig().multiplier_blocks
    assert costs_of(model, "cpu", HARDWARE) == found  # whatever else the target is: the accelerator's
    small = costs_of(model, "ecp5-25f", HARDWARE)
    assert small["dsps"] == SMALL.multiplier_blocks == 27
    assert small["cycles"] > found["cycles"]


@pytest.mark.needs_gcc
def test_a_pipeline_takes_the_cycles_and_multipliers_of_its_project(model: Path, tmp_path: Path) -> None:
    project = project_of(read(edgeconv.compile(model, target="hls", output=tmp_path / "net.edge").path))
    assert costs_of(model, "hls", HARDWARE) == {"cycles": project.interval, "dsps": project.multipliers}


def test_fewer_multipliers_take_more_cycles(model: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.toml"
    small.write_text(
        'description = "few multipliers"\nfamily = "hls"\npart = "any"\nclock_mhz = 100.0\nmultipliers = 4\n'
        'run = "host-g++"\n',
        encoding="utf-8",
    )
    many, few = costs_of(model, "hls", HARDWARE), costs_of(model, str(small), HARDWARE)
    assert few["dsps"] <= 4 < many["dsps"]
    assert few["cycles"] > many["cycles"]
