"""Places of the blocks of an ECP5-85F."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from edgeconv.hw.boards.board import BOARDS
from edgeconv.hw.boards.floorplan import block_places, place_blocks

ULX3S = BOARDS["ulx3s-85f"]


def test_every_multiplier_and_every_weight_has_a_place_of_its_own() -> None:
    places = block_places(ULX3S)
    assert len(set(places.values())) == len(places)
    multipliers = {path for path, place in places.items() if "/MULT18_" in place}
    weights = {path for path in places if "weights" in path}
    assert len(multipliers) == 16 * 8 + 8 * 3
    assert len(weights) == 16 * 8
    assert all("block.block" in path for path in multipliers)


def test_weights_are_near_the_multipliers_that_they_go_to() -> None:
    places = block_places(ULX3S)
    for path, place in places.items():
        if found := re.fullmatch(r"(elements.*/)weights\.two_cycle_memory\.0\.(\d)", path):
            product = places[f"{found[1]}units.units[{found[2]}].unit.multiplier.block.block"]
            (x, y), (to_x, to_y) = (map(int, re.findall(r"[XY](\d+)", each)) for each in (place, product))
            assert abs(x - to_x) <= 2
            assert abs(y - to_y) <= 24


def test_another_device_or_size_is_left_to_the_placer() -> None:
    assert block_places(replace(ULX3S, device=("--45k",))) == {}
    assert block_places(BOARDS["ecp5-25f"]) == {}
    assert block_places(replace(ULX3S, config=replace(ULX3S.config, weight_words=1024))) == {}


def test_a_module_in_two_places_becomes_two() -> None:
    def cell(kind: str) -> dict[str, Any]:
        return {"type": kind, "attributes": {}}

    design = {
        "modules": {
            "pe": {"cells": {"block": cell("MULT18X18D"), "lut": cell("LUT4")}},
            "accelerator": {"cells": {"first[0]": cell("pe"), "first[1]": cell("pe"), "memory": cell("DP16KD")}},
        }
    }
    place_blocks(design, {"first[0]/block": "X1/Y2/A", "first[1]/block": "X3/Y2/A", "memory": "X4/Y5/B"})
    modules: dict[str, Any] = design["modules"]
    inside = modules["accelerator"]["cells"]
    assert inside["memory"]["attributes"] == {"BEL": "X4/Y5/B"}
    found = [modules[inside[f"first[{i}]"]["type"]]["cells"]["block"]["attributes"] for i in (0, 1)]
    assert found == [{"BEL": "X1/Y2/A"}, {"BEL": "X3/Y2/A"}]
    assert modules["pe"]["cells"]["block"]["attributes"] == {}
