"""The place of every tensor in the arena: by its lifetime, in place where a kernel promises it."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Mapping, Sequence

from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels import registry
from edgeconv.codegen.plan import SLACK, Place, Plan

__all__ = ["place_tensors"]

_ALIGNMENT = 64
Life = tuple[int, int]
"""First and last step in which a tensor has to exist."""

_ORDERS: Sequence[Callable[[int, Life], tuple[int, ...]]] = (
    lambda size, life: (-size, *life),
    lambda size, life: (life[0], -size),
    lambda size, life: (life[0] - life[1], -size),
    lambda size, life: (-size * (life[1] - life[0] + 1), *life),
)
"""In which order tensors are placed, by their bytes and lives: none is best for all networks, so each is tried."""
_ATTEMPTS = 12
"""Placements for each order."""


def place_tensors(plan: Plan, isa: Isa) -> None:
    """Give every arena tensor an offset at which nothing else lies during its whole life."""
    lives = _lives(plan)
    merged = _merge_in_place(plan, isa, lives)
    sizes = {name: -(-(plan.layouts[name].bytes + SLACK) // _ALIGNMENT) * _ALIGNMENT for name in lives}
    offsets = _best_offsets(sizes, lives)
    plan.places.update({name: Place("arena", offset) for name, offset in offsets.items()})
    plan.arena_bytes = _end(offsets, sizes)
    for name, owner in merged.items():
        while owner in merged:
            owner = merged[owner]
        plan.places[name] = plan.places[owner]
    for name in plan.aliases:
        root = plan.root(name)
        if root in plan.places:
            plan.places[name] = plan.places[root]


def _lives(plan: Plan) -> dict[str, Life]:
    lives: dict[str, Life] = {}
    # All tensors of a chain of bands live from its first step to its last.
    chains = {index: chain for chain in plan.chains for index in range(chain.first, chain.last + 1)}
    for index, step in enumerate(plan.steps):
        for name in {step.output, *step.operands}:
            root = plan.root(name)
            if root in plan.program.constants or root in plan.places:
                continue
            chain = chains.get(index)
            start, end = (chain.first, chain.last) if chain else (index, index)
            first, last = lives.get(root, (start, end))
            lives[root] = (min(first, start), max(last, end))
    return lives


def _merge_in_place(plan: Plan, isa: Isa, lives: dict[str, Life]) -> dict[str, str]:
    """Where a step may work in place and an operand dies there, output and operand become one memory."""
    merged: dict[str, str] = {}
    holder = {name: name for name in lives}
    inside = {index for chain in plan.chains for index in range(chain.first, chain.last + 1)}
    for index, step in enumerate(plan.steps):
        if index in inside or step.output not in lives or lives[step.output][0] != index:
            continue
        for name in registry.select(isa, step).in_place(isa, step):
            root = holder.get(plan.root(name), "")
            same = root in lives and name not in plan.aliases and _same_memory(plan, name, step.output)
            if same and root != step.output and lives[root][1] == index:
                lives[root] = (lives[root][0], lives[step.output][1])
                del lives[step.output]
                merged[step.output] = root
                holder[step.output] = root
                break
    return merged


def _same_memory(plan: Plan, one: str, other: str) -> bool:
    a, b = plan.layouts[one], plan.layouts[other]
    return a.axes == b.axes and a.base == b.base and a.size == b.size and a.storage.bytes == b.storage.bytes


def _offsets(names: Sequence[str], sizes: Mapping[str, int], lives: Mapping[str, Life]) -> dict[str, int]:
    """Each tensor in turn at the lowest address that is free during its whole life."""
    placed: list[tuple[int, int, int, int]] = []  # start, end, first, last; sorted
    offsets = {}
    for name in names:
        first, last = lives[name]
        start = 0
        for other_start, other_end, other_first, other_last in placed:
            overlaps = first <= other_last and other_first <= last
            if overlaps and start < other_end and other_start < start + sizes[name]:
                start = other_end
        insort(placed, (start, start + sizes[name], first, last))
        offsets[name] = start
    return offsets


def _best_offsets(sizes: Mapping[str, int], lives: Mapping[str, Life]) -> dict[str, int]:
    best: dict[str, int] = {}
    least = _least(sizes, lives)
    for order in _ORDERS:
        names = sorted(lives, key=lambda name: (*order(sizes[name], lives[name]), name))
        for _ in range(_ATTEMPTS):
            found = _offsets(names, sizes, lives)
            if not best or _end(found, sizes) < _end(best, sizes):
                best = found
            if _end(best, sizes) == least:
                return best
            # What lies highest gets the first choice.
            highest = max(names, key=lambda name: found[name] + sizes[name])
            names = [highest, *(name for name in names if name != highest)]
    return best


def _least(sizes: Mapping[str, int], lives: Mapping[str, Life]) -> int:
    """Bytes of what is alive together: no placement needs less."""
    steps = {first for first, _ in lives.values()}
    sums = (sum(sizes[name] for name, (first, last) in lives.items() if first <= step <= last) for step in steps)
    return max(sums, default=0)


def _end(offsets: Mapping[str, int], sizes: Mapping[str, int]) -> int:
    return max((offset + sizes[name] for name, offset in offsets.items()), default=0)
