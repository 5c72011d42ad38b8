"""The loop of a search: propose, record the batch, evaluate what the study lacks, and again.

Synchronous by rounds: a proposal sees whole rounds, in the order of their batches, and never which worker was faster.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from time import perf_counter

import numpy as np

from edgeconv._version import __version__
from edgeconv.search.engines import Engine, Job
from edgeconv.search.fronts import front_of, hypervolume, reference_point
from edgeconv.search.problem import Evaluated, Problem
from edgeconv.search.strategies import Strategy
from edgeconv.search.study import Record, Study

__all__ = ["Progress", "Report", "evaluate_batch", "evaluated_rounds", "hypervolume_of", "run_search", "versions"]


@dataclass(frozen=True)
class Report:
    """Where a search stands.

    Attributes:
        done, total: evaluations, failed ones included.
        failed: those that failed.
        ended_early: those that broke a constraint before everything was known of them.
        round, reason: of the evaluation that just ended; why it failed, if it did.
        front: what is feasible and not dominated.
        hypervolume: share of the box between the best and a little beyond the worst of the first round.
        seconds: since this process began to search; `left` an estimate of what is to come, None without any data.
    """

    done: int
    total: int
    failed: int
    ended_early: int
    round: int
    reason: str
    front: tuple[Evaluated, ...]
    hypervolume: float
    seconds: float
    left: float | None


Progress = Callable[[Report], None]


def versions() -> dict[str, str]:
    """What an evaluation's result depends on beside its genome and seed."""
    found = {"edgeconv": __version__, "python": platform.python_version(), "machine": platform.machine()}
    for package in ("numpy", "torch", "brevitas", "apache-tvm"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def run_search(
    problem: Problem,
    strategy: Strategy,
    engine: Engine,
    study: Study,
    *,
    evaluations: int,
    seed: int,
    progress: Progress = lambda _: None,
) -> list[Evaluated]:
    """Continue a study until it holds so many evaluations, or the strategy has no more to propose.

    Args:
        engine: runs the evaluations; the caller closes it.
        evaluations: in all, those that the study holds already included.
        seed: of the strategy and of every evaluation.

    Returns:
        everything evaluated, in order.

    Raises:
        UsageError: another process continues the study.
        EdgeconvError: no evaluation can run at all.
    """
    known_versions = versions()
    with study.claim():
        batches = study.batches()
        rounds: list[list[Evaluated]] = []
        meter = _Meter(problem, evaluations, progress)
        while (done := sum(map(len, rounds))) < evaluations:
            number = len(rounds)
            if number not in batches:
                proposed = strategy.propose(problem, seed, rounds)
                if not proposed:
                    break
                batches[number] = study.add_batch(number, [problem.space.values(genome) for genome in proposed])
            # A batch is recorded whole and evaluated as far as it goes: with more evaluations it goes on where it was.
            batch = batches[number][: evaluations - done]
            records = evaluate_batch(study, engine, number, batch, seed, known_versions, meter.step)
            rounds.append([_evaluated(problem, record) for record in records])
    return [evaluated for batch in rounds for evaluated in batch]


def evaluate_batch(
    study: Study,
    engine: Engine,
    round_: int,
    batch: Sequence[Mapping[str, int | float | str]],
    seed: int,
    known_versions: Mapping[str, str],
    step: Callable[[Record, bool], None],
) -> list[Record]:
    """Records of a whole batch, in its order; what the study lacks is evaluated and stored as it comes.

    Args:
        step: told of each record, and whether it was evaluated just now.
    """
    found: dict[int, Record] = {}
    jobs = []
    for position, values in enumerate(batch):
        stored = study.find(values, seed)
        if stored is None:
            jobs.append(Job(position, values, seed))
        else:
            found[position] = stored
            step(stored, False)
    for outcome in engine.run(jobs) if jobs else ():
        record = Record(
            batch[outcome.position],
            seed,
            round_,
            outcome.position,
            "failed" if outcome.reason else "done",
            outcome.metrics,
            outcome.reason,
            outcome.attempts,
            outcome.worker,
            outcome.started,
            outcome.seconds,
            known_versions,
        )
        found[outcome.position] = study.append(record)
        step(found[outcome.position], True)
    return [found[position] for position in range(len(batch))]


def evaluated_rounds(problem: Problem, study: Study, seed: int) -> list[list[Evaluated]]:
    """What a study holds, batch by batch; a batch that is not complete ends the list."""
    rounds: list[list[Evaluated]] = []
    for batch in study.batches().values():
        records = [study.find(values, seed) for values in batch]
        rounds.append([_evaluated(problem, record) for record in records if record is not None])
        if len(rounds[-1]) < len(batch):
            break
    return rounds


def hypervolume_of(problem: Problem, rounds: Sequence[Sequence[Evaluated]]) -> float:
    """Hypervolume of everything evaluated, in the box of the first round; 0 before that round has two results."""
    if not rounds:
        return 0.0
    everything = [evaluated for batch in rounds for evaluated in batch]
    return _Box.around(problem, rounds[0]).share(problem, front_of(problem, everything))


def _evaluated(problem: Problem, record: Record) -> Evaluated:
    genome = problem.space.genome(record.values)
    return problem.evaluated(genome, record.metrics) if record.status == "done" else Evaluated(genome, None)


@dataclass(frozen=True)
class _Box:
    """Corners between which hypervolumes are measured."""

    reference: np.ndarray | None
    ideal: np.ndarray | None

    @classmethod
    def around(cls, problem: Problem, first: Sequence[Evaluated]) -> _Box:
        costs = np.array([problem.costs(e.metrics) for e in first if e.metrics is not None])
        if len(costs) < 2:
            return cls(None, None)
        reference = reference_point(costs)
        # As far beyond the best as the reference point is beyond the worst.
        return cls(reference, costs.min(axis=0) - (reference - costs.max(axis=0)))

    def share(self, problem: Problem, front: Sequence[Evaluated]) -> float:
        if self.reference is None or self.ideal is None:
            return 0.0
        costs = np.array([problem.costs(e.metrics or {}) for e in front])
        return hypervolume(costs, self.reference, self.ideal)


class _Meter:
    """Counts evaluations and tells progress."""

    def __init__(self, problem: Problem, total: int, progress: Progress) -> None:
        self._problem, self._total, self._progress = problem, total, progress
        self._seen: list[Evaluated] = []
        self._first: list[Evaluated] = []
        self._box: _Box | None = None
        self._fresh, self._begin = 0, perf_counter()

    def step(self, record: Record, fresh: bool) -> None:
        evaluated = _evaluated(self._problem, record)
        self._seen.append(evaluated)
        if record.round == 0:
            self._first.append(evaluated)
        elif self._box is None:
            self._box = _Box.around(self._problem, self._first)
        self._fresh += fresh
        if fresh:
            self._tell(record.round, record.reason)

    def _tell(self, round_: int, reason: str) -> None:
        front = front_of(self._problem, self._seen)
        box = self._box or _Box.around(self._problem, self._first)
        seconds, done = perf_counter() - self._begin, len(self._seen)
        left = seconds / self._fresh * (self._total - done) if self._fresh else None
        failed, early = sum(e.failed for e in self._seen), sum(e.ended_early for e in self._seen)
        volume = box.share(self._problem, front)
        self._progress(Report(done, self._total, failed, early, round_, reason, tuple(front), volume, seconds, left))
