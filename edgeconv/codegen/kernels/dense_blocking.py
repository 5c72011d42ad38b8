"""How the dense kernels are blocked: vectors of a panel, output positions of a tile, and independent sums.

The cycle model (`tiles`) ranks, `Builder.choose` takes.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgeconv.codegen.builder import Builder
from edgeconv.codegen.isa.base import Dot, Isa
from edgeconv.codegen.kernels.product import choose_chains
from edgeconv.codegen.kernels.tiles import pairs_rows, rank_rows, row_cycles
from edgeconv.codegen.plan import Step
from edgeconv.ir.forms import PANEL

__all__ = ["choose_panel", "choose_tile", "panel_cycles", "rank_panels", "rank_tiles"]

_MOST_CHAINS = 4
_WIDEST = 4  # vectors of a panel, of the widest instruction set


def choose_panel(
    build: Builder, step: Step, kernel: str, dot: Dot, outputs: int, pick: int, groups: int, positions: int
) -> int:
    """Vectors of output channels of a panel.

    Args:
        outputs: output channels that panels are cut from.
        pick: what is taken where nothing else was measured; instruction sets then share their weights.
        groups: dot products in the window of one output.
        positions: along a row.
    """
    ranked = rank_panels(build, dot, outputs, pick, groups, positions)
    return build.choose(step, f"{kernel} panels", ("vectors a panel",), [(blocks,) for blocks in ranked])[0]


def rank_panels(build: Builder, dot: Dot, outputs: int, pick: int, groups: int, positions: int) -> list[int]:
    """Widths of a panel: the pick, and others by the cycles of all panels."""
    isa = build.isa
    vectors = -(-outputs // isa.lanes)

    def cycles(blocks: int) -> float:
        return panel_cycles(isa, dot, outputs, blocks, groups, positions)

    unit = max(1, PANEL // isa.lanes)
    widths = {min(isa.panel_blocks, vectors, width * unit) for width in range(1, _WIDEST + 1)}
    same = {blocks for blocks in widths if -(-vectors // blocks) == -(-vectors // pick) == 1}
    return [pick, *sorted(widths - {pick} - same, key=cycles)]


def panel_cycles(isa: Isa, dot: Dot, outputs: int, blocks: int, groups: int, positions: int) -> float:
    """Estimated cycles of a row of all panels of `blocks` vectors, and of a last one of those that are left."""

    def cycles(members: int) -> float:
        paired = dot.joins and pairs_rows(members, isa.lanes, positions)
        return row_cycles(isa, dot, -(-members // isa.lanes), paired, groups, positions)

    whole, rest = divmod(outputs, blocks * isa.lanes)
    return (whole * cycles(blocks * isa.lanes) if whole else 0.0) + (cycles(rest) if rest else 0.0)


def choose_tile(
    build: Builder,
    step: Step,
    part: str,
    dot: Dot,
    blocks: int,
    paired: bool,
    groups: Sequence[int],
    positions: int,
    *,
    splits: bool,
) -> tuple[int, int]:
    """Output positions of a tile, and independent sums of each accumulator.

    Args:
        blocks, paired: vectors of a panel, and whether the last one serves two positions.
        groups: of a run, and of a whole window.
        positions: along a row.
        splits: whether a sum may be split into several (`product.may_split`).
    """
    candidates = rank_tiles(build, dot, blocks, paired, groups, positions, splits=splits)
    rows, chains = build.choose(step, part, ("rows", "sums each"), candidates)
    return rows, chains


def rank_tiles(
    build: Builder, dot: Dot, blocks: int, paired: bool, groups: Sequence[int], positions: int, *, splits: bool
) -> list[tuple[int, int]]:
    """(rows, chains), best first: the model's rows, the same with other chains, then other rows."""
    of_run, of_window = groups
    ranked = rank_rows(build.isa, dot, blocks, paired, of_window, positions)
    modelled = [(rows, choose_chains(dot, rows * blocks, of_run) if splits else 1) for rows in ranked]
    pick = modelled[0][0]
    room = build.isa.accumulators // (pick * blocks * dot.parts)
    most = min(_MOST_CHAINS, room, of_run) if splits else 1
    return [modelled[0], *((pick, chains) for chains in (1, 2, 4) if chains <= most), *modelled[1:]]
