"""The body of the two long tests: half of the seeds each, so that two test processes share the work."""

from __future__ import annotations

from tests.random_graphs.batch import BATCH, Findings, run_seeds
from tests.random_graphs.coverage import LEAST

SEEDS = 600
SHARE = SEEDS // 2


class Half:
    """Batches of seeds, each run once, and what they showed together."""

    def __init__(self, first: int) -> None:
        self.starts = range(first, first + SHARE, BATCH)
        self._done: dict[int, Findings] = {}

    def batch(self, start: int) -> Findings:
        """What the batch from seed `start` on showed."""
        if start not in self._done:
            self._done[start] = run_seeds(range(start, start + BATCH))
        return self._done[start]

    def check_coverage(self) -> None:
        """Half of what is demanded occurs in half of the seeds, ties in 30 of 100 graphs, and hardly a refusal."""
        everything = Findings()
        for start in self.starts:
            everything.merge(self.batch(start))
        print(everything.summary())
        assert everything.graphs == SHARE
        assert everything.ties >= 0.3 * SHARE
        assert everything.refused <= 0.02 * SHARE
        assert everything.missing(LEAST // 2) == []
