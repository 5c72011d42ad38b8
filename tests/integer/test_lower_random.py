"""Random graphs: lowered programs equal the exact fractions, or the graph is refused, which must stay rare."""

from __future__ import annotations

import pytest

from edgeconv.errors import ModelError
from tests.integer.random_graphs import random_graph
from tests.integer.test_lower_exact import check

BLOCK = 25


@pytest.mark.parametrize("block", range(6))
def test_random_graphs_are_exact(block: int) -> None:
    lowered = 0
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        try:
            check(random_graph(seed), seed, samples=2)
        except ModelError:
            continue
        lowered += 1
    assert lowered > BLOCK // 2
