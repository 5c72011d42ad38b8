"""What a seed stands for: a random graph, how its forms are chosen, and how it is called."""

from __future__ import annotations

from tests.generate import LAYERS, Choices, random_case
from tests.random_graphs.compare import Graph
from tests.random_graphs.machines import HOST, Machine

_CHEAP = ("mul", "avg_pool", "resize_linear", "reduce_sum", "cast", "requant")
_FIRST = (*LAYERS, *_CHEAP * 2, *("conv", "conv_transpose", "matmul") * 4, *("conv",) * 3, "conv_transpose")
_LAST = (
    *_CHEAP,
    "add",
    "reduce_extreme",
    "conv_transpose",
    "avg_pool",
    "resize_linear",
    "cast",
    "resize_linear",
    "reduce_sum",
    "requant",
)


def graph_of(seed: int, machine: Machine = HOST, isas: tuple[str, ...] | None = None) -> Graph:
    """The random graph of a seed.

    Args:
        isas: instruction sets to compare, all of the machine's when None.

    Seeds go round the layers, so that each comes often enough; every fifth takes the forms that a compilation takes,
    the others ask for every kind of form in turn. Every third takes blockings at random, not the cycle models'. Layers
    that are quickly compiled come several times, or at the end.
    """
    first = _FIRST[seed % len(_FIRST)]
    case = random_case(
        Choices.seeded(seed),
        size=1 + seed % 3,
        first=first,
        repeat=5 if first in (*_CHEAP, "add") else 2,
        last=(_LAST[seed % len(_LAST)], _LAST[(5 * seed + 4) % len(_LAST)]),
    )
    return Graph(
        name=f"seed {seed}",
        case=case,
        isas=machine.isas if isas is None else isas,
        turn=None if seed % 5 == 0 else seed // len(_FIRST),
        fuse=seed % 4 != 1,
        at_start=seed % 2 == 0,
        odd=(0, 0, 1, 2, 3, 7)[seed % 6],
        picks=seed if seed % 3 == 1 else None,
        threads=0 if machine.emulated else (0, 2, 0, 3, 0, 4, 7)[seed % 7],
        machine=machine,
    )
