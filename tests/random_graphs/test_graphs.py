"""Random graphs, a few: what every change should be tried on. The long run is in the two halves beside this file."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from edgeconv.runtime.cpu_features import supported_isas
from tests.generate import Choices, random_case
from tests.random_graphs.batch import run_seeds
from tests.random_graphs.compare import Compared, Graph, compare_graphs

pytestmark = pytest.mark.needs_gcc
_FIRST = 500_000


@pytest.mark.parametrize("start", range(_FIRST, _FIRST + 20, 10))
def test_compiled_graphs_equal_the_reference(start: int) -> None:
    findings = run_seeds(range(start, start + 10))
    assert findings.graphs == 10
    assert findings.reports == []


def _compared(data: st.DataObject) -> Compared:
    """A drawn graph, compared with the reference on every instruction set of this machine."""
    case = random_case(Choices(data), size=data.draw(st.integers(1, 3)))
    graph = Graph(
        "drawn by Hypothesis",
        case,
        supported_isas(),
        turn=data.draw(st.one_of(st.none(), st.integers(0, 15))),
        fuse=data.draw(st.booleans()),
        at_start=data.draw(st.booleans()),
        odd=data.draw(st.integers(0, 7)),
    )
    (compared,) = compare_graphs([graph])
    return compared


@settings(max_examples=4, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
@given(st.data())
def test_drawn_graphs_equal_the_reference(data: st.DataObject) -> None:
    compared = _compared(data)
    assert compared.differences == [], compared.report()


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_many_drawn_graphs_equal_the_reference_and_failures_shrink(data: st.DataObject) -> None:
    compared = _compared(data)
    assert compared.differences == [], compared.report()
