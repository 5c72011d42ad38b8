"""Random graphs with sums of accumulators that have a factor for each channel: on every instruction set, every form."""

from __future__ import annotations

import pytest

from edgeconv.integer import POLICY_OF_ISA
from tests.generate import Choices, random_case
from tests.random_graphs.batch import BATCH, Findings
from tests.random_graphs.compare import Graph, compare_graphs
from tests.random_graphs.machines import ARM, HOST, Machine

_FIRST, _GRAPHS = 700_000, 60
_ON_ARM = 10
_LEAST = 4  # graphs with each form on each instruction set


def graph_of_sums(seed: int, machine: Machine = HOST) -> Graph:
    """The random graph of a seed: every other one takes the forms of a compilation, the others each kind in turn."""
    case = random_case(Choices.seeded(seed), size=1 + seed % 2, first="unrounded_residual", repeat=2)
    return Graph(
        name=f"seed {seed}",
        case=case,
        isas=machine.isas,
        turn=None if seed % 2 == 0 else seed // 2,
        fuse=seed % 5 != 1,
        at_start=seed % 3 == 0,
        odd=(0, 1, 2, 3)[seed % 4],
        picks=seed if seed % 3 == 1 else None,
        threads=0 if machine.emulated else (0, 0, 2, 3)[seed % 4],
        machine=machine,
    )


def _run(start: int, count: int, machine: Machine = HOST) -> Findings:
    findings = Findings(isas=machine.isas)
    for first in range(start, start + count, BATCH):
        graphs = [graph_of_sums(seed, machine) for seed in range(first, min(first + BATCH, start + count))]
        for compared in compare_graphs(graphs):
            findings.add(compared)
    return findings


@pytest.mark.slow
@pytest.mark.needs_gcc
def test_sums_of_accumulators_equal_the_reference() -> None:
    findings = _run(_FIRST, BATCH)
    assert findings.graphs == BATCH
    assert findings.reports == []


@pytest.mark.slow
@pytest.mark.needs_gcc
def test_many_sums_of_accumulators_equal_the_reference_and_take_every_form() -> None:
    findings = _run(_FIRST + BATCH, _GRAPHS)
    assert findings.reports == []
    assert findings.refused <= _GRAPHS // 10
    for isa in HOST.isas:
        lacking = [form for form in POLICY_OF_ISA[isa].add if findings.counts["add", isa, form] < _LEAST]
        assert lacking == [], isa


@pytest.mark.slow
@pytest.mark.needs_qemu
def test_sums_of_accumulators_equal_the_reference_on_arm() -> None:
    findings = _run(_FIRST, _ON_ARM, ARM)
    assert findings.reports == []
