"""Random graphs, the second half: reference, text round trip and every instruction set agree exactly."""

from __future__ import annotations

import pytest

from tests.random_graphs.half import SHARE, Half

HALF = Half(SHARE)
pytestmark = [pytest.mark.slow, pytest.mark.needs_gcc]


@pytest.mark.parametrize("start", HALF.starts)
def test_compiled_graphs_equal_the_reference(start: int) -> None:
    assert HALF.batch(start).reports == []


def test_every_operator_meets_every_form_on_every_instruction_set() -> None:
    HALF.check_coverage()
