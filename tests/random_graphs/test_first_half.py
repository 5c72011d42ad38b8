"""Random graphs, the first half: reference, text round trip and every instruction set agree exactly."""

from __future__ import annotations

import pytest

from tests.random_graphs.half import Half

HALF = Half(0)
pytestmark = [pytest.mark.slow, pytest.mark.needs_gcc]


@pytest.mark.parametrize("start", HALF.starts)
def test_compiled_graphs_equal_the_reference(start: int) -> None:
    assert HALF.batch(start).reports == []


def test_ties_are_frequent_and_refusals_rare() -> None:
    HALF.check_kind()
