"""Random graphs for 64-bit Arm, under qemu: `generic`, `neon` and `neon+dotprod` equal the reference exactly.

A graph is compiled for one vector instruction set, every fourth for the scalar one as well: the scalar kernels are
those of x86, where every graph meets them.
"""

from __future__ import annotations

import pytest

from tests.random_graphs.batch import BATCH, Findings
from tests.random_graphs.compare import compare_graphs
from tests.random_graphs.machines import ARM
from tests.random_graphs.seeds import graph_of

pytestmark = pytest.mark.needs_qemu
_FIRST, _GRAPHS = 2_000_000, 300


def _isas(seed: int) -> tuple[str, ...]:
    vector = ("neon", "neon+dotprod")[seed % 2]
    return ("generic", vector) if seed % 4 == 3 else (vector,)


def _findings(start: int) -> Findings:
    findings = Findings(isas=ARM.isas)
    graphs = [graph_of(seed, ARM, _isas(seed)) for seed in range(start, start + BATCH)]
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
def test_graphs_under_emulation_equal_the_reference(start: int) -> None:
    findings = _findings(start)
    assert findings.graphs == BATCH
    assert findings.reports == []
