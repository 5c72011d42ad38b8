"""Register tiles of the dense kernels: how many output positions a tile holds, by a small model of its cycles.

A tile of `rows` positions × the blocks of a panel keeps one accumulator vector for each pair. The model counts, for the
loop over the groups, the dot products and what prepares their operands, never less than the latency of one accumulator,
and a penalty where the loads of operands come close to two a cycle; for the end of a tile, the requantization of its
accumulators, of which large tiles can overlap less with the loop that follows. docs/performance.md has the measurements
behind the constants; the cost of a dot product is what its instruction set says (`Dot.cost`).
"""

from __future__ import annotations

from edgeconv.codegen.isa.base import Dot, Isa

__all__ = ["UNROLLED_STEPS", "pairs_rows", "rank_rows", "row_cycles", "sequel_pays"]

UNROLLED_STEPS = 24
"""Dot products of a tile that are written out instead of looped over: one tile then overlaps with the next."""
_LOADS_A_CYCLE = 1.2  # up to here loads do not disturb
_LOAD_PENALTY = 0.35  # cycles of each load beyond
_TILE_CYCLES, _LOOP_CYCLES = 2.0, 4.0  # addresses and constants; a branch that is not foreseen
_ACCUMULATOR_CYCLES, _CROWDING = 0.6, 0.02  # the end of a tile of n accumulators: 0.6·n + 0.02·(n + joined)²
_PACK, _PACK_CYCLES = 4, 1.6  # accumulators that are narrowed and stored together
_SEQUEL_CYCLES = 2.8  # of an addition for each accumulator at the end of a tile
_PASS_CYCLES = 2.9  # of the same addition in a pass of its own, where what it reads was narrowed before
_END_GROUPS = 4  # the end of a tile, in dot products for each accumulator, of dot products without costs
_NEGLIGIBLE = 1.02  # of tiles so close to the best one the smallest is taken


def _tile_cycles(dot: Dot, rows: int, blocks: int, paired: bool, groups: int) -> float:
    """Estimated cycles of one tile.

    Args:
        blocks: vectors of output channels; with `paired` the last one holds half as many channels for two positions.
        groups: dot products in the window of one output.
    """
    cost = dot.cost
    assert cost is not None
    number = _accumulators(rows, blocks, paired)
    joined = rows // 2 if paired else 0  # pairs of activations, which take registers like accumulators
    work = number * cost.step + rows * cost.activations + blocks * cost.weights
    packs = -(-(number - joined) // _PACK) + -(-joined // _PACK)
    end = number * _ACCUMULATOR_CYCLES + _CROWDING * (number + joined) ** 2 + packs * _PACK_CYCLES + _TILE_CYCLES
    looped = groups * number > UNROLLED_STEPS
    step = max(work, cost.latency) if looped else work
    step += _LOAD_PENALTY * max(0.0, rows + blocks * dot.parts - _LOADS_A_CYCLE * step)
    return groups * step + end + (_LOOP_CYCLES if looped else 0.0)


def _accumulators(rows: int, blocks: int, paired: bool) -> int:
    return (blocks - paired) * rows + (rows // 2 if paired else 0)


def pairs_rows(members: int, lanes: int, positions: int) -> bool:
    """Whether the last vector of a panel of `members` channels is to hold its channels for two positions at once."""
    return 0 < members % lanes <= lanes // 2 and positions > 1


def sequel_pays(rows: int, positions: int) -> bool:
    """Whether an addition at the end of tiles of `rows` positions costs no more than a pass of its own over a row.

    The last tile of a row is moved back, and what it computes twice is added twice.
    """
    computed = -(-positions // rows) * rows
    return computed * _SEQUEL_CYCLES <= positions * (_PASS_CYCLES + _PACK_CYCLES / _PACK)


def rank_rows(isa: Isa, dot: Dot, blocks: int, paired: bool, groups: int, positions: int) -> list[int]:
    """Positions of a tile, for a row of `positions`, best first.

    The first is the fewest among those that cost hardly more than the best; the others follow by their costs, or, where
    the dot product says nothing about its cost, from the most that registers hold down.
    """
    least = 1 + paired
    if dot.cost is None:
        most = min(max(least, (dot.accumulators or isa.accumulators) // (blocks * dot.parts)), positions)
        return list(range(most - most % least, 0, -least))
    most = isa.accumulators // dot.parts
    costs: dict[int, float] = {}
    for rows in range(least, min(positions, 2 * most) + 1, least):
        if _accumulators(rows, blocks, paired) <= most or not costs:
            costs[rows] = -(-positions // rows) * _tile_cycles(dot, rows, blocks, paired, groups)
    best = min(costs.values())
    pick = next(rows for rows, cost in costs.items() if cost <= best * _NEGLIGIBLE)
    return [pick, *sorted((rows for rows in costs if rows != pick), key=costs.__getitem__)]


def row_cycles(isa: Isa, dot: Dot, blocks: int, paired: bool, groups: int, positions: int) -> float:
    """Estimated cycles of a row of one panel by its best tile; of dot products without costs, their proportions."""
    rows = rank_rows(isa, dot, blocks, paired, groups, positions)[0]
    tiles = -(-positions // rows)
    if dot.cost is not None:
        return tiles * _tile_cycles(dot, rows, blocks, paired, groups)
    return tiles * ((groups + _END_GROUPS) * _accumulators(rows, blocks, paired) + groups * blocks)
