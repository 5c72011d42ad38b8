"""Seeds in batches, and what a run of many seeds showed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.generate import count_ties
from tests.random_graphs.compare import Compared, compare_graphs
from tests.random_graphs.coverage import LEAST, Cell, cells, lacking, table
from tests.random_graphs.machines import HOST, Machine
from tests.random_graphs.seeds import graph_of

BATCH = 10
"""Graphs that are linked into one library."""


@dataclass
class Findings:
    """What a run of seeds showed.

    Attributes:
        graphs, ties, refused: how many graphs there were, how many held exact ties, how many the proof refused.
        counts: graphs by operator, instruction set and form.
        reports: each graph with a difference, with everything that reproduces it.
        isas: instruction sets that the coverage table shows.
    """

    graphs: int = 0
    ties: int = 0
    refused: int = 0
    counts: Counter[Cell] = field(default_factory=Counter)
    reports: list[str] = field(default_factory=list)
    isas: tuple[str, ...] = HOST.isas

    def add(self, compared: Compared) -> None:
        """Count one graph."""
        self.graphs += 1
        self.ties += count_ties(compared.graph.case) > 0
        self.refused += bool(compared.refusals)
        self.counts.update(cells(compared))
        if compared.differences:
            self.reports.append(compared.report())

    def merge(self, other: Findings) -> None:
        """Add what another run showed."""
        self.graphs += other.graphs
        self.ties += other.ties
        self.refused += other.refused
        self.counts.update(other.counts)
        self.reports += other.reports

    def summary(self) -> str:
        """The coverage table and the totals."""
        tied = 100 * self.ties / max(1, self.graphs)
        return (
            f"{table(self.counts, self.isas)}\n"
            f"{self.graphs} graphs, {len(self.reports)} with differences, {tied:.0f} % with ties, "
            f"{self.refused} refused by the proof"
        )

    def lacking(self) -> dict[Cell, int]:
        """Operators, instruction sets and forms that met in fewer than `LEAST` graphs, and how many there were."""
        return {cell: self.counts[cell] for cell in lacking(self.counts, self.isas, LEAST)}


def run_seeds(seeds: Iterable[int], machine: Machine = HOST) -> Findings:
    """Compare the graphs of all seeds."""
    findings = Findings(isas=machine.isas)
    for batch in batches(list(seeds)):
        for compared in compare_graphs([graph_of(seed, machine) for seed in batch]):
            findings.add(compared)
    return findings


def batches(seeds: Sequence[int]) -> list[Sequence[int]]:
    """The seeds, `BATCH` at a time."""
    return [seeds[at : at + BATCH] for at in range(0, len(seeds), BATCH)]
