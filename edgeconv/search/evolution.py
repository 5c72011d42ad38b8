"""NSGA-II by pymoo over the genomes of a space, in steps of ask and tell.

Deb et al., "A fast and elitist multiobjective genetic algorithm", IEEE Trans. Evol. Comput. 6, 2002.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem as PymooProblem
from pymoo.core.repair import Repair
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.ux import UniformCrossover

from edgeconv.search.problem import Problem
from edgeconv.search.space import Genome, Space

__all__ = ["Evolution", "distinct_samples"]

_CROSSOVER = 0.9
_MUTATIONS = 1.5
"""Choices that a mutation draws anew, on average."""


def distinct_samples(space: Space, count: int, rng: np.random.Generator, seen: Sequence[Genome] = ()) -> list[Genome]:
    """Random genomes, all different and none of `seen`; fewer where the space holds no more."""
    taken = set(seen)
    found: list[Genome] = []
    count = min(count, space.size - len(taken))
    misses = 0
    while len(found) < count:
        genome = space.sample(rng)
        if genome not in taken:
            taken.add(genome)
            found.append(genome)
            misses = 0
        elif (misses := misses + 1) > 1000:
            # Nearly all are taken, or the space is mostly deep and what is left is rare: choose among the rest.
            rest = [g for g in space.grid() if g not in taken]
            chosen = rng.choice(len(rest), count - len(found), replace=False)
            return found + [rest[index] for index in chosen]
    return found


class _Choices(Mutation):
    """Draws some choices anew, uniformly: the order of a choice's values need not mean a distance."""

    def __init__(self, cardinalities: NDArray[np.int64]) -> None:
        super().__init__()
        self._cardinalities = cardinalities

    def _do(self, problem: Any, X: NDArray[Any], random_state: Any = None, **_: Any) -> NDArray[Any]:
        drawn = random_state.random(X.shape) < _MUTATIONS / X.shape[1]
        return np.where(drawn, np.floor(random_state.random(X.shape) * self._cardinalities).astype(int), X)


class _Canonical(Repair):
    """Choices that do not count go to 0, so that equal networks are found to be duplicates."""

    def __init__(self, space: Space) -> None:
        super().__init__()
        self._space = space

    def _do(self, problem: Any, X: NDArray[Any], **_: Any) -> NDArray[Any]:
        return np.array([self._space.repair(row) for row in X.astype(int)])


class Evolution:
    """One run of NSGA-II, the same for the same seed and the same answers.

    Args:
        population: size; `initial` begins with so many genomes, or fewer.
    """

    def __init__(self, problem: Problem, seed: int, population: int, initial: Sequence[Genome]) -> None:
        space, bounds = problem.space, problem.space.cardinalities
        self._algorithm = NSGA2(
            pop_size=population,
            sampling=np.array(initial),
            crossover=UniformCrossover(prob=_CROSSOVER),
            mutation=_Choices(bounds),
            repair=_Canonical(space),
            eliminate_duplicates=True,
        )
        description = PymooProblem(
            n_var=len(bounds),
            n_obj=len(problem.objectives),
            n_ieq_constr=len(problem.constraints),
            xl=0,
            xu=bounds - 1,
            vtype=int,
        )
        self._algorithm.setup(description, termination=NoTermination(), seed=seed, verbose=False)
        self._asked: Any = None

    def ask(self) -> list[Genome]:
        """The next genomes to evaluate; none when no new one could be made."""
        self._asked = self._algorithm.ask()
        if self._asked is None:
            return []
        return [tuple(int(index) for index in row) for row in self._asked.get("X")]

    def tell(self, costs: NDArray[np.float64], violations: NDArray[np.float64]) -> None:
        """What the genomes that were asked for gave.

        Args:
            costs: (genomes, objectives), to be minimized.
            violations: (genomes, constraints), 0 where one holds.
        """
        self._asked.set("F", costs)
        self._asked.set("G", violations)
        for individual in self._asked:
            individual.evaluated.update({"F", "G", "H"})
        self._algorithm.tell(infills=self._asked)
