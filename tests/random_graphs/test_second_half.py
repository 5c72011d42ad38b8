"""Random graphs, the second half: reference, text round trip and every instruction set agree exactly."""

from __future__ import annotations

import pytest

from tests.random_graphs.batch import run_seeds
from tests.random_graphs.half import SHARE, Half, holders_of_what_is_rare, proved_only

HALF = Half(SHARE)
pytestmark = [pytest.mark.slow, pytest.mark.needs_gcc]


@pytest.mark.parametrize("start", HALF.starts)
def test_compiled_graphs_equal_the_reference(start: int) -> None:
    assert HALF.batch(start).reports == []


def test_ties_are_frequent_and_refusals_rare() -> None:
    HALF.check_kind()


def test_every_operator_meets_every_form_on_every_instruction_set() -> None:
    whole = HALF.check_kind()
    whole.merge(proved_only(range(SHARE)))
    more = run_seeds(holders_of_what_is_rare(whole))
    whole.merge(more)
    print(whole.summary())
    print(f"{more.graphs} of them for what the others hold too seldom")
    assert more.reports == []
    assert whole.lacking() == {}
