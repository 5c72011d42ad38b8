"""Random graphs in the kernels of a GPU, its threads as loops on this CPU: the results equal the reference exactly.

Whole networks in a block, of several samples and of one, and step by step over a grid; threads forwards and backwards.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgeconv.codegen.cuda.shape import Shape
from tests.random_graphs.batch import BATCH, Findings
from tests.random_graphs.compare import compare_graphs
from tests.random_graphs.machines import LOOPS
from tests.random_graphs.seeds import graph_of

pytestmark = pytest.mark.needs_gcc
_FIRST, _GRAPHS = 3_000_000, 300
_SHAPES = (
    None,
    Shape(whole=True, threads=64, samples=3),
    Shape(whole=False, threads=96),
    Shape(whole=True, threads=32, samples=16),
    Shape(whole=True, threads=128, samples=1),
)


def _findings(start: int) -> Findings:
    findings = Findings(isas=LOOPS.isas)
    graphs = []
    for seed in range(start, start + BATCH):
        graph = replace(graph_of(seed, LOOPS), threads=0)
        graphs.append(replace(graph, shape=_SHAPES[seed % len(_SHAPES)], backwards=seed % 2 == 1))
    for compared in compare_graphs(graphs):
        findings.add(compared)
    return findings


@pytest.mark.parametrize(
    "start",
    [
        _FIRST,
        *(pytest.param(start, marks=pytest.mark.slow) for start in range(_FIRST + BATCH, _FIRST + _GRAPHS, BATCH)),
    ],
)
def test_graphs_in_loops_for_threads_equal_the_reference(start: int) -> None:
    findings = _findings(start)
    assert findings.graphs == BATCH
    assert findings.reports == []
