"""The loop: one result for one seed, whoever evaluates and however often it is stopped."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edgeconv.errors import UsageError
from edgeconv.search.engines import Supervision, open_engine
from edgeconv.search.fronts import front_of
from edgeconv.search.loop import Report, evaluated_rounds, hypervolume_of, run_search
from edgeconv.search.problem import Constraint, Evaluated, Problem
from edgeconv.search.strategies import STRATEGIES, PredictorStrategy, Strategy, make_strategy
from edgeconv.search.study import Study
from tests.search.evaluators import TOY_METRICS, TOY_SPACE, Toy

PROBLEM = Problem(TOY_SPACE, tuple(TOY_METRICS.values()))
SMALL = {"first": 20, "batch": 10, "population": 30, "generations": 8}
OPTIONS: dict[str, dict[str, int]] = {
    "predictors": SMALL, "nsga2": {"population": 20}, "random": {"batch": 20}, "grid": {"batch": 20},
}  # fmt: skip


def search(
    folder: Path, strategy: Strategy, toy: Toy, evaluations: int = 50, workers: int = 1, problem: Problem = PROBLEM
) -> list[Evaluated]:
    engine = open_engine(toy, workers=workers, supervision=Supervision(deadline=20))
    try:
        with Study(folder / "study", {"seed": 1}) as study:
            return run_search(problem, strategy, engine, study, evaluations=evaluations, seed=1)
    finally:
        engine.close()


def play(strategy: Strategy, problem: Problem, toy: Toy, rounds: int) -> list[list[Evaluated]]:
    """Rounds of a strategy without a store."""
    played: list[list[Evaluated]] = []
    for _ in range(rounds):
        batch = []
        for genome in strategy.propose(problem, 4, played):
            try:
                batch.append(problem.evaluated(genome, toy(problem.space.values(genome), 4)))
            except ValueError:
                batch.append(Evaluated(genome, None))
        played.append(batch)
    return played


@pytest.mark.parametrize("name", STRATEGIES)
def test_strategies_propose_new_genomes_and_the_same_for_the_same_past(name: str) -> None:
    strategy = make_strategy(name, OPTIONS[name])
    one, other = (play(strategy, PROBLEM, Toy(failing=8), 3) for _ in range(2))
    assert one == other
    genomes = [e.genome for batch in one for e in batch]
    assert len(set(genomes)) == len(genomes) >= 35
    assert all(TOY_SPACE.repair(genome) == genome for genome in genomes)


def test_the_grid_covers_a_space_and_then_ends() -> None:
    from edgeconv.search.space import Choice, Space

    space = Space("three", (Choice("a", (1, 2)), Choice("b", (1, 2), ("a", 2))))
    rounds: list[list[Evaluated]] = []
    strategy = make_strategy("grid", {"batch": 2})
    while batch := strategy.propose(Problem(space, PROBLEM.objectives), 0, rounds):
        rounds.append([Evaluated(genome, None) for genome in batch])
    assert [e.genome for batch in rounds for e in batch] == list(space.grid())


@pytest.mark.slow
def test_predictors_find_more_than_random_search_with_fewer_evaluations() -> None:
    informed = play(PredictorStrategy(first=30, batch=12, generations=12), PROBLEM, Toy(), 5)
    blind = play(make_strategy("random", {"batch": 100}), PROBLEM, Toy(), 2)
    corners = [PROBLEM.costs(e.metrics or {}) for batch in (*informed, *blind) for e in batch]
    reference, ideal = np.max(corners, axis=0), np.min(corners, axis=0)

    def volume(rounds: Sequence[Sequence[Evaluated]]) -> float:
        from edgeconv.search.fronts import hypervolume

        front = front_of(PROBLEM, list(itertools.chain.from_iterable(rounds)))
        return hypervolume(np.array([PROBLEM.costs(e.metrics or {}) for e in front]), reference, ideal)

    assert volume(informed) > volume(blind)


def test_constraints_hold_on_the_front_and_steer_the_search() -> None:
    problem = Problem(TOY_SPACE, PROBLEM.objectives, (Constraint(TOY_METRICS["cost"], True, 60.0),))
    rounds = play(PredictorStrategy(**SMALL), problem, Toy(), 4)
    front = front_of(problem, [e for batch in rounds for e in batch])
    assert front
    assert all(e.metrics and e.metrics["cost"] <= 60 for e in front)
    share = [np.mean([problem.feasible(e) for e in batch]) for batch in rounds]
    assert np.mean(share[1:]) > share[0]


@pytest.mark.parametrize("name", ["predictors", "nsga2"])
def test_what_costs_too_much_to_be_judged_is_learned_from(name: str) -> None:
    """Most of the first round is not judged; later rounds avoid what nothing but its cost is known of."""
    problem = Problem(TOY_SPACE, PROBLEM.objectives, (Constraint(TOY_METRICS["cost"], True, 60.0),))
    rounds = play(make_strategy(name, OPTIONS[name]), problem, Toy(most=60.0), 6)
    judged = [np.mean([e.metrics is not None for e in batch]) for batch in rounds]
    assert judged[0] < 0.5
    assert np.mean(judged[1:]) > judged[0] + 0.2
    everything = [e for batch in rounds for e in batch]
    assert not any(e.failed for e in everything)
    assert front_of(problem, everything)


def test_the_result_does_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    found = []
    for workers in (1, 2, 4):
        folder = tmp_path / str(workers)
        folder.mkdir()
        found.append(search(folder, PredictorStrategy(**SMALL), Toy(seconds=0.003, failing=16), 30, workers))
    assert found[0] == found[1] == found[2]
    assert any(e.metrics is None for e in found[0])
    assert any(e.metrics for e in found[0])


def test_a_search_that_goes_on_equals_one_that_was_never_stopped(tmp_path: Path) -> None:
    strategy = PredictorStrategy(**SMALL)
    for name in ("parts", "whole"):
        (tmp_path / name).mkdir()
    for evaluations in (7, 20, 31, 40):
        stopped = search(tmp_path / "parts", strategy, Toy(), evaluations)
        assert len(stopped) == evaluations
    assert stopped == search(tmp_path / "whole", strategy, Toy(), 40)
    with Study(tmp_path / "parts" / "study") as study:
        rounds = evaluated_rounds(PROBLEM, study, 1)
        assert [e for batch in rounds for e in batch] == stopped
        assert hypervolume_of(PROBLEM, rounds) > 0


def test_progress_tells_where_the_search_stands(tmp_path: Path) -> None:
    reports: list[Report] = []
    engine = open_engine(Toy(failing=4))
    with Study(tmp_path / "study", {}) as study:
        run_search(PROBLEM, make_strategy("random", {"batch": 10}), engine, study, evaluations=30, seed=2,
                   progress=reports.append)  # fmt: skip
    engine.close()
    assert [report.done for report in reports] == list(range(1, 31))
    last = reports[-1]
    assert last.failed > 0
    reasons = [report.reason for report in reports if report.reason]
    assert len(reasons) == last.failed
    assert all(reason.startswith("ValueError: this width is not built") for reason in reasons)
    assert last.left == 0
    assert reports[0].left is not None
    volumes = [report.hypervolume for report in reports[10:]]
    assert volumes == sorted(volumes)
    assert volumes[-1] > 0


def test_unknown_strategies_and_options_are_refused() -> None:
    with pytest.raises(UsageError, match=r"strategy 'greedy'\n  expected: predictors, nsga2, random, grid"):
        make_strategy("greedy", {})
    with pytest.raises(UsageError, match=r"strategy 'random' has no option population\n  expected: batch"):
        make_strategy("random", {"population": 3})
    with pytest.raises(
        UsageError, match="no option report\n  expected: first, batch, population, generations, optimism"
    ):
        make_strategy("predictors", {"report": 3})
    with pytest.raises(UsageError, match=r"strategy 'predictors' with first=2.5\n  expected: a whole number"):
        make_strategy("predictors", {"first": 2.5})
    assert make_strategy("predictors", {"optimism": 0.5}) == PredictorStrategy(optimism=0.5)
