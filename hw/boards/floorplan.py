"""Floorplan: which multiplier and memory blocks of an ECP5-85F the array takes.

The array fills nearly all blocks of the chip. A placer that moves all cells alike pulls them together first and has to
spread the blocks afterwards, to places that are several times farther apart; so the blocks get their places here, and
the placer finds those of all else around them.

Blocks stand in rows that cross the chip, in 13 groups of four from left to right; a row of multipliers is followed by
one or two of memories (prjtrellis, ECP5/LFE5U-85F/tilegrid.json):

    multipliers 10   elements            multipliers 58   elements, lanes in the middle
    memories    22   their weights       memories    70   weights, the lanes' constants and tables
    multipliers 34   elements, a lane    memories    82   weights, activations in the middle
    memories    46   their weights, a lane's constants

The first half of the elements is on the left, the second one on the right.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

from edgeconv.hw.boards.board import Board
from edgeconv.hw.spec import LANES, ArrayConfig

__all__ = ["block_places", "place_blocks"]

_COLUMNS = (4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114)
"""Where the groups of a row begin."""
_MULTIPLIERS = {"MULT18_0": 0, "MULT18_1": 1, "MULT18_4": 4, "MULT18_5": 5}
_MEMORIES = {"EBR0": 0, "EBR1": 2, "EBR2": 4, "EBR3": 6}
"""Blocks of a group: name, and columns from its beginning."""

# Rows of the multipliers and of the weights of elements, and the first of the two groups that each element takes.
_ELEMENTS = {
    half: [*((10, 22, g) for g in inner), *((34, 46, g) for g in inner), (58, 70, edge), (58, 82, next_to_it)]
    for half, inner, edge, next_to_it in ((0, (0, 2, 4), 0, 2), (1, (7, 9, 11), 11, 9))
}
_LANE_MULTIPLIERS = ((58, (4, 5, 6, 7, 8)), (34, (6,)))
"""Rows and groups of the lanes' multipliers; six lanes are in the first row, one in the other, the last one in both."""
_LANE_MEMORIES = ((70, 3), (70, 4), (70, 5), (70, 7), (70, 8), (70, 9), (46, 6), (70, 6))
"""Row and group of each lane's constants and table."""
_ACTIVATIONS = (82, (5, 6, 7, 8))
_DESCRIPTORS = ((82, 4), (70, 2))


def _group(row: int, group: int, blocks: dict[str, int]) -> list[str]:
    return [f"X{_COLUMNS[group] + offset}/Y{row}/{name}" for name, offset in blocks.items()]


def block_places(board: Board) -> dict[str, str]:
    """The place of each block by its path below the accelerator; none for another device or size."""
    return dict(_places()) if "--85k" in board.device and board.config == ArrayConfig() else {}


def _places() -> Iterator[tuple[str, str]]:
    for half, slots in _ELEMENTS.items():
        for i, (multipliers, memories, group) in enumerate(slots):
            element = f"elements.halves[{half}].elements[{i}].element"
            products = _group(multipliers, group, _MULTIPLIERS) + _group(multipliers, group + 1, _MULTIPLIERS)
            weights = _group(memories, group, _MEMORIES) + _group(memories, group + 1, _MEMORIES)
            for k in range(LANES):
                yield f"{element}/units.units[{k}].unit.multiplier.block.block", products[k]
                yield f"{element}/weights.two_cycle_memory.0.{k}", weights[k]
    for i, (products, (row, group)) in enumerate(zip(_lane_multipliers(), _LANE_MEMORIES, strict=True)):
        lane = f"requantization.lanes[{i}].channel"
        for name, place in zip(("ll", "lh", "hl"), products, strict=True):
            yield f"{lane}/unit.multiply.multiply_{name}.block.block", place
        *constants, table = _group(row, group, _MEMORIES)
        for k, place in enumerate(constants):
            yield f"{lane}/parameters.two_cycle_memory.0.{k}", place
        yield f"{lane}/tables.two_cycle_memory.0.0", table
    row, groups = _ACTIVATIONS
    for k, place in enumerate(place for each in groups for place in _group(row, each, _MEMORIES)):
        yield f"activations.lanes[{k // 2}].bytes.two_cycle_memory.0.{k % 2}", place
    for k, place in enumerate(place for each in _DESCRIPTORS for place in _group(*each, _MEMORIES)):
        yield f"descriptors.two_cycle_memory.0.{k}", place


def _lane_multipliers() -> list[list[str]]:
    row, other = ([p for g in groups for p in _group(y, g, _MULTIPLIERS)] for y, groups in _LANE_MULTIPLIERS)
    middle = LANES + 1  # two in the middle of the row are left for the last lane
    six = [*row[:middle], *row[middle + 2 :]]
    return [*(six[i : i + 3] for i in range(0, len(six), 3)), other[:3], [*row[middle : middle + 2], other[3]]]


def place_blocks(design: dict[str, Any], places: dict[str, str]) -> None:
    """Write the places into a netlist, in the attribute that nextpnr looks for.

    Modules that stand in several places become one module for each.
    """
    modules = design["modules"]
    inside = modules["accelerator"]["cells"]
    for path, place in places.items():
        instance, _, cell = path.rpartition("/")
        cells = inside
        if instance:
            own = re.sub(r"\W+", "_", instance)
            if own not in modules:
                modules[own] = copy.deepcopy(modules[inside[instance]["type"]])
                inside[instance]["type"] = own
            cells = modules[own]["cells"]
        cells[cell]["attributes"]["BEL"] = place
