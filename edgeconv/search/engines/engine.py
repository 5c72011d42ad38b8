"""What an evaluation is to those who run it, and what comes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgeconv.search.space import Values

__all__ = ["Engine", "Evaluator", "Job", "Outcome", "Supervision", "open_engine"]


class Evaluator(Protocol):
    """What a search calls in its worker processes. It is pickled, so its class must live in a module."""

    def prepare(self) -> None:
        """Load what every evaluation needs; called once in each worker, before its first evaluation."""
        ...

    def __call__(self, values: Values, seed: int) -> Mapping[str, float]:
        """Metrics by name, in SI units, finite; the same for the same arguments unless time is measured."""
        ...


@dataclass(frozen=True)
class Job:
    """One evaluation to be made.

    Attributes:
        position: place in its batch.
    """

    position: int
    values: Values
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        position: of the job.
        metrics: empty where it failed.
        reason: why it failed; empty where it did not.
        attempts: how often it was started.
        worker: host and process of the last attempt.
        started: Unix time of the last attempt; `seconds` what it took.
    """

    position: int
    metrics: Mapping[str, float]
    reason: str = ""
    attempts: int = 1
    worker: str = ""
    started: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Supervision:
    """How much an evaluation may cost.

    Attributes:
        deadline: seconds for one evaluation, without the start of its worker.
        retries: how often an evaluation is started again after its worker died; one that is late or raises is not.
        start: seconds for a worker to start and prepare.
    """

    deadline: float = 600.0
    retries: int = 2
    start: float = 300.0


class Engine(Protocol):
    """Runs batches of jobs."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """One outcome for every job, as each comes; a job that fails is an outcome, too.

        Raises:
            EdgeconvError: no evaluation can run at all: the evaluator cannot be loaded, or the cluster is gone.
        """
        ...

    def close(self) -> None:
        """End all workers."""
        ...


def open_engine(
    evaluator: Evaluator, *, workers: int = 1, scheduler: str | None = None, supervision: Supervision | None = None
) -> Engine:
    """The engine for these settings.

    Args:
        workers: processes on this machine.
        scheduler: address of a Dask scheduler, whose workers are used in place of this machine's.

    Raises:
        DeviceError: no scheduler answers at that address.
    """
    supervision = supervision or Supervision()
    if scheduler is not None:
        from edgeconv.search.engines.cluster import ClusterEngine

        return ClusterEngine(evaluator, scheduler, supervision)
    from edgeconv.search.engines.pool import PoolEngine

    return PoolEngine(evaluator, workers, supervision)
