"""Random graphs as C++ projects: exact, whatever part of the multiplications stands side by side."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.hls.build import STAGES
from tests.hls.simulate import Simulation, simulation
from tests.random_graphs.machines import HOST
from tests.random_graphs.seeds import graph_of

pytestmark = pytest.mark.needs_gxx


def _accepted(first: int, count: int) -> Iterator[tuple[int, Simulation]]:
    """Seeds from one on whose graphs have stages for every operator, and their projects."""
    seed = first
    while count:
        case = graph_of(seed, HOST).case
        with contextlib.suppress(UnsupportedModelError):
            yield seed, simulation(case.program, case.inputs, multipliers=1 + seed % 97)
            count -= 1
        seed += 1


def test_a_few_random_graphs(tmp_path: Path) -> None:
    for seed, project in _accepted(0, 3):
        assert project.problem(tmp_path / str(seed)) == "", f"seed {seed}"


@pytest.mark.slow
def test_many_random_graphs(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for seed, project in _accepted(7000, 40):
        assert project.problem(tmp_path / str(seed)) == "", f"seed {seed}"
        seen.update({operator.keyword for operator in project.project.core.operators})
    lacking = {kind.keyword for kind in STAGES} - set(seen)
    assert not lacking, f"no graph had {', '.join(sorted(lacking))}: take other seeds"
