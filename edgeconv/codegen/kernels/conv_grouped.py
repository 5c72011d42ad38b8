"""Grouped convolution with few channels a group: neighbouring groups are merged, so that they fill vectors.

A merged group reads the input channels of its groups side by side; an output's weights are zero where the inputs are
those of another group. With such block-diagonal weights the sums are the same. More groups together fill more lanes
with outputs, and more of the dot products with zeros: the cycle model weighs the one against the other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import Builder
from edgeconv.codegen.isa.base import Dot, Isa
from edgeconv.codegen.kernels.conv import panel_blocks
from edgeconv.codegen.kernels.dense_blocking import panel_cycles
from edgeconv.codegen.kernels.panels import Panel, can_finish, cut_panels
from edgeconv.codegen.plan import Step

__all__ = ["choose_merge", "group_panels", "merged_weights", "usable_merges", "vectors_together"]

_MOST_VECTORS = 2  # of outputs of a merged group


def vectors_together(per_group: int, isa: Isa) -> int:
    """Vectors of a panel of a group's output channels."""
    return min(isa.panel_blocks, panel_blocks(per_group, isa.lanes))


def group_panels(isa: Isa, groups: int, per_group: int, together: int) -> list[Panel]:
    """Panels of `together` vectors at most, none of which reaches into two groups."""
    starts = range(0, groups * per_group, per_group)
    return [panel for start in starts for panel in cut_panels(start, per_group, isa.lanes, together)]


def usable_merges(isa: Isa, step: Step, groups: int, outputs: int) -> list[int]:
    """How many groups may be computed as one: 1 or more, such that vectors can end all of their blocks."""
    per_group, usable = outputs // groups, []
    most = _MOST_VECTORS * isa.lanes if per_group < isa.lanes else per_group
    for merge in (count for count in range(1, groups + 1) if groups % count == 0):
        if merge > 1 and merge * per_group > most:
            break
        panels = group_panels(isa, groups // merge, merge * per_group, vectors_together(merge * per_group, isa))
        starts = [panel.first + block * isa.lanes for panel in panels for block in range(panel.blocks)]
        if can_finish(isa, step, starts):
            usable.append(merge)
    return usable


def choose_merge(
    build: Builder, step: Step, dot: Dot, groups: int, outputs: int, window: Callable[[int], int], positions: int
) -> int:
    """How many groups are computed as one.

    Args:
        window: dot products in the window of one output, by the number of groups together.
        positions: along a row.
    """
    isa = build.isa

    def cycles(merge: int) -> float:
        together = merge * (outputs // groups)
        blocks = vectors_together(together, isa)
        return groups // merge * panel_cycles(isa, dot, together, blocks, window(merge), positions)

    ranked = sorted(usable_merges(isa, step, groups, outputs), key=cycles)
    return build.choose(step, "conv.panels groups", ("groups together",), [(merge,) for merge in ranked])[0]


def merged_weights(w: NDArray[np.int64], groups: int, merge: int) -> NDArray[np.int64]:
    """Weights (O, I, kernel…) of `groups` groups as those of groups / merge: (O, merge·I, kernel…)."""
    outputs, inputs = w.shape[:2]
    merged = np.zeros((outputs, merge, *w.shape[1:]), np.int64)
    members = np.arange(outputs) // (outputs // groups) % merge
    merged[np.arange(outputs), members] = w
    return merged.reshape(outputs, merge * inputs, *w.shape[2:])
