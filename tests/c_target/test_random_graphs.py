"""Random graphs as C99: no warning, no undefined behaviour, every output equal to the reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeconv.errors import ProgramError
from tests.c_target.sources import run_units, unit
from tests.random_graphs.forms import proved_forms
from tests.random_graphs.seeds import graph_of

pytestmark = pytest.mark.needs_gcc
_FIRST, _GRAPHS, _BATCH = 700_000, 100, 10


def _compare(seeds: range, folder: Path) -> int:
    units = []
    for seed in seeds:
        graph = graph_of(seed)
        try:
            forms = proved_forms(graph.case.program, "generic", graph.turn)
        except ProgramError:
            continue  # the proof refuses some of the forms that are asked for
        units.append(unit(f"seed_{seed}", graph.case, forms, fuse=graph.fuse))
    problems = run_units(units, folder)
    assert problems == [], problems[0]
    return len(units)


def test_a_few_graphs_equal_the_reference(tmp_path: Path) -> None:
    assert _compare(range(_FIRST, _FIRST + 4), tmp_path) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("start", range(_FIRST + _BATCH, _FIRST + _BATCH + _GRAPHS, _BATCH))
def test_many_graphs_equal_the_reference(start: int, tmp_path: Path) -> None:
    assert _compare(range(start, start + _BATCH), tmp_path) >= _BATCH - 2
