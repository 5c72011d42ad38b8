"""Evaluations in processes of this machine: one thread for each, that waits for its child."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence

from edgeconv.errors import UsageError
from edgeconv.search.engines.child import Child, pack
from edgeconv.search.engines.engine import Evaluator, Job, Outcome, Supervision

__all__ = ["PoolEngine"]


class PoolEngine:
    """An `Engine` of `workers` children.

    Raises:
        UsageError: no workers, or an evaluator that cannot be sent to them.
    """

    def __init__(self, evaluator: Evaluator, workers: int, supervision: Supervision) -> None:
        if workers < 1:
            raise UsageError(f"{workers} workers", expected="at least 1")
        packed = pack(evaluator)
        self._children = [Child(packed, supervision) for _ in range(workers)]

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """As `Engine.run`."""
        waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        done: queue.SimpleQueue[Outcome | Exception] = queue.SimpleQueue()
        for job in jobs:
            waiting.put(job)
        for child in self._children[: len(jobs)]:
            threading.Thread(target=_serve, args=(child, waiting, done), daemon=True).start()
        for _ in jobs:
            outcome = done.get()
            if isinstance(outcome, Exception):
                raise outcome
            yield outcome

    def close(self) -> None:
        """As `Engine.close`."""
        for child in self._children:
            child.close()


def _serve(child: Child, waiting: queue.SimpleQueue[Job], done: queue.SimpleQueue[Outcome | Exception]) -> None:
    while True:
        try:
            job = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            done.put(child.run(job))
        except Exception as error:
            done.put(error)
            return
