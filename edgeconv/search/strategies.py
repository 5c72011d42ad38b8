"""How a search chooses what to evaluate next: predictors and evolution, evolution alone, random, or everything.

A strategy is a function of the problem, the seed and the rounds before: nothing else decides, and nothing is kept
between rounds that could not be computed again. That is what makes a study resumable and its result the same for any
number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UsageError
from edgeconv.search.acquisition import pick
from edgeconv.search.evolution import Evolution, distinct_samples
from edgeconv.search.fronts import front_of
from edgeconv.search.predictors import Predictor, fit_predictor
from edgeconv.search.problem import Evaluated, Problem
from edgeconv.search.space import Genome

__all__ = [
    "STRATEGIES",
    "EvolutionStrategy",
    "GridStrategy",
    "PredictorStrategy",
    "RandomStrategy",
    "Strategy",
    "make_strategy",
]

Rounds = Sequence[Sequence[Evaluated]]
_WORST = 1e30
"""Cost of what failed: beyond anything that was measured, and finite, as pymoo wants it."""
_ENOUGH = 10
"""Networks of which a metric is known, before it is predicted."""
_DRAWN = 10
"""Random networks for each that is wanted, where not all metrics can be predicted."""


class Strategy(Protocol):
    """Proposes batches."""

    def propose(self, problem: Problem, seed: int, rounds: Rounds) -> list[Genome]:
        """Genomes for the next round, none of them evaluated before; none at all when there is no more to do."""
        ...


def _seed(seed: int, round_: int) -> int:
    return int(np.random.SeedSequence([seed, round_]).generate_state(1)[0])


def _seen(rounds: Rounds) -> list[Genome]:
    return [evaluated.genome for batch in rounds for evaluated in batch]


@dataclass(frozen=True)
class RandomStrategy:
    """Every genome uniformly, none twice."""

    batch: int = 20

    def propose(self, problem: Problem, seed: int, rounds: Rounds) -> list[Genome]:
        """As `Strategy.propose`."""
        return distinct_samples(problem.space, self.batch, np.random.default_rng([seed, len(rounds)]), _seen(rounds))


@dataclass(frozen=True)
class GridStrategy:
    """All genomes in order."""

    batch: int = 100

    def propose(self, problem: Problem, seed: int, rounds: Rounds) -> list[Genome]:
        """As `Strategy.propose`."""
        done = sum(map(len, rounds))
        return list(islice(problem.space.grid(), done, done + self.batch))


@dataclass(frozen=True)
class EvolutionStrategy:
    """NSGA-II on real evaluations alone."""

    population: int = 50

    def propose(self, problem: Problem, seed: int, rounds: Rounds) -> list[Genome]:
        """As `Strategy.propose`; evolution is replayed from its first generation."""
        initial = distinct_samples(problem.space, self.population, np.random.default_rng([seed, 0]))
        evolution = Evolution(problem, _seed(seed, 0), self.population, initial)
        known = {evaluated.genome: evaluated for batch in rounds for evaluated in batch}
        # A generation that brings nothing new costs nothing; many of them in a row are the end.
        for _ in range(len(rounds) + 20):
            asked = evolution.ask()
            fresh = [genome for genome in asked if genome not in known]
            if fresh or not asked:
                return fresh
            evolution.tell(*_answers(problem, [known[genome] for genome in asked]))
        return []


def _answers(problem: Problem, evaluated: Sequence[Evaluated]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    costs = np.full((len(evaluated), len(problem.objectives)), _WORST)
    violations = np.full((len(evaluated), len(problem.constraints)), _WORST)
    for row, e in enumerate(evaluated):
        if not e.failed:
            violations[row] = problem.violations(e.known)
        if e.metrics is not None:
            costs[row] = problem.costs(e.metrics)
    return costs, violations


@dataclass(frozen=True)
class PredictorStrategy:
    """A few real evaluations, predictors, thousands of predicted ones, and again (LINAS: Cummings et al., 2205.10358).

    Two fifths of each batch are what predictors deem best, as much what they may hope for, and a fifth are children of
    the front that evolution makes without them: where predictors are wrong all along the front, those still find it
    out.

    Attributes:
        first: genomes of the first round, random but for the two corners of the space.
        batch: genomes of each later round.
        population, generations: of the evolution over predictions, anew in every round.
        optimism: standard deviations of the committee that the hopeful part is given in advance: what predictors are
            unsure of is worth measuring.
        report: told of the predictors of each round.
    """

    first: int = 60
    batch: int = 20
    population: int = 100
    generations: int = 60
    optimism: float = 1.0
    report: Callable[[Mapping[str, Predictor]], None] = field(default=lambda _: None, compare=False)

    def propose(self, problem: Problem, seed: int, rounds: Rounds) -> list[Genome]:
        """As `Strategy.propose`."""
        rng = np.random.default_rng([seed, len(rounds)])
        if not rounds:
            corners = (0 * problem.space.cardinalities, problem.space.cardinalities - 1)
            first = list(dict.fromkeys(problem.space.repair(corner) for corner in corners))
            return first + distinct_samples(problem.space, self.first - len(first), rng, first)
        seen = _seen(rounds)
        known = [e for batch in rounds for e in batch if not e.failed]
        predictors = self._fit(problem, known, _seed(seed, len(rounds)))
        if len(predictors) < len(problem.metrics):
            drawn = distinct_samples(problem.space, _DRAWN * self.batch, rng, seen)
            return _least_infeasible(problem, predictors, drawn)[: self.batch]
        self.report(predictors)
        chosen = _children(problem, known, self.batch // 5, rng, seen)
        candidates = self._evolve(problem, predictors, known, _seed(seed, len(rounds)), rng)
        chosen += self._choose(problem, predictors, known, candidates, {*seen, *chosen}, self.batch - len(chosen))
        return chosen + distinct_samples(problem.space, self.batch - len(chosen), rng, seen + chosen)

    def _fit(self, problem: Problem, known: Sequence[Evaluated], seed: int) -> dict[str, Predictor]:
        """By metric, of those that enough is known of."""
        predictors = {}
        for metric in problem.metrics:
            having = [e for e in known if metric.name in e.known]
            if len(having) < _ENOUGH:
                continue
            features = problem.space.features([e.genome for e in having])
            values = np.array([e.known[metric.name] for e in having])
            coordinates, terms = len(problem.space.choices), problem.space.terms_in(features)
            predictors[metric.name] = fit_predictor(
                features, values, coordinates, seed, terms=terms, maximize=metric.maximize
            )
        return predictors

    def _evolve(
        self,
        problem: Problem,
        predictors: Mapping[str, Predictor],
        known: Sequence[Evaluated],
        seed: int,
        rng: np.random.Generator,
    ) -> list[Genome]:
        """All genomes that an evolution over predictions came across, in order."""
        space = problem.space
        start = [e.genome for e in front_of(problem, known)][: self.population // 2]
        start += distinct_samples(space, self.population - len(start), rng, start)
        evolution = Evolution(problem, seed, self.population, start)
        met: dict[Genome, None] = {}
        for _ in range(self.generations):
            genomes = evolution.ask()
            if not genomes:
                break
            met.update(dict.fromkeys(genomes))
            evolution.tell(*_predicted(problem, predictors, genomes, 0.0))
        return sorted(met)

    def _choose(
        self,
        problem: Problem,
        predictors: Mapping[str, Predictor],
        known: Sequence[Evaluated],
        candidates: Sequence[Genome],
        taken: AbstractSet[Genome],
        count: int,
    ) -> list[Genome]:
        """Half by what is predicted, half by what may be hoped for."""
        front = np.array([problem.costs(e.metrics or {}) for e in front_of(problem, known)])
        chosen: list[Genome] = []
        for size, optimism in ((count - count // 2, 0.0), (count // 2, self.optimism)):
            left = [genome for genome in candidates if genome not in taken and genome not in chosen]
            if left:
                costs, violations = _predicted(problem, predictors, left, optimism)
                chosen += [left[index] for index in pick(front, costs, violations.sum(axis=1), size)]
        return chosen


def _children(
    problem: Problem, known: Sequence[Evaluated], count: int, rng: np.random.Generator, seen: Sequence[Genome]
) -> list[Genome]:
    """New genomes by crossover and mutation of the front; fewer where those bring nothing new."""
    front, space, taken = [e.genome for e in front_of(problem, known)], problem.space, set(seen)
    found: list[Genome] = []
    for _ in range(50 * count if front else 0):
        one, other = (front[index] for index in rng.integers(len(front), size=2))
        crossed = one if rng.random() < 0.5 else space.crossover(one, other, rng)
        child = space.mutate(crossed, rng)
        if child not in taken and len(found) < count:
            taken.add(child)
            found.append(child)
    return found


def _least_infeasible(problem: Problem, predictors: Mapping[str, Predictor], genomes: Sequence[Genome]) -> list[Genome]:
    """Those first that break no constraint as far as it can be predicted, in their order."""
    violations = np.zeros(len(genomes))
    features = problem.space.features(genomes)
    for constraint in problem.constraints:
        predictor = predictors.get(constraint.metric.name)
        if predictor is not None:
            violations += [constraint.violation(value) for value in predictor.predict(features)[0]]
    return [genomes[index] for index in np.argsort(violations, kind="stable")]


def _predicted(
    problem: Problem, predictors: Mapping[str, Predictor], genomes: Sequence[Genome], optimism: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Costs and violations by the predictors, each metric moved to its better side by so many deviations."""
    features = problem.space.features(genomes)
    better = {c.metric.name: 1.0 if c.upper else -1.0 for c in problem.constraints}
    better |= {m.name: -1.0 if m.maximize else 1.0 for m in problem.objectives}
    columns = {}
    for name, predictor in predictors.items():
        value, spread = predictor.predict(features)
        columns[name] = value - better[name] * optimism * spread
    rows: list[dict[str, Any]] = [
        {name: column[row] for name, column in columns.items()} for row in range(len(genomes))
    ]
    return np.array([problem.costs(row) for row in rows]), np.array([problem.violations(row) for row in rows])


STRATEGIES: Mapping[str, type[PredictorStrategy | EvolutionStrategy | RandomStrategy | GridStrategy]] = {
    "predictors": PredictorStrategy,
    "nsga2": EvolutionStrategy,
    "random": RandomStrategy,
    "grid": GridStrategy,
}
"""Name -> strategy; its keyword arguments are the dataclass' fields."""


def make_strategy(name: str, options: Mapping[str, Any]) -> Strategy:
    """A strategy by name.

    Raises:
        UsageError: an unknown name or option.
    """
    if name not in STRATEGIES:
        raise UsageError(f"strategy '{name}'", expected=", ".join(STRATEGIES))
    known = {each.name: each.type for each in fields(STRATEGIES[name]) if each.type in ("int", "float")}
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UsageError(f"strategy '{name}' has no option {', '.join(unknown)}", expected=", ".join(known))
    for option, value in options.items():
        if known[option] == "int" and not isinstance(value, int):
            raise UsageError(f"strategy '{name}' with {option}={value}", expected="a whole number")
    return STRATEGIES[name](**options)
