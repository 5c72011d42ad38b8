"""Pareto fronts and hypervolumes, of costs that are to be minimized."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pymoo.indicators.hv import HV
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from edgeconv.search.problem import Evaluated, Problem

__all__ = ["front_of", "hypervolume", "ranked", "reference_point"]

Costs = NDArray[np.float64]


def front_of(problem: Problem, evaluated: Sequence[Evaluated]) -> list[Evaluated]:
    """What is feasible and not dominated, by the first objective; of equal costs the earliest."""
    feasible = [e for e in evaluated if problem.feasible(e)]
    first: dict[tuple[float, ...], Evaluated] = {}
    for e in feasible:
        first.setdefault(tuple(problem.costs(e.metrics or {})), e)
    if not first:
        return []
    costs = np.array(list(first))
    chosen = NonDominatedSorting().do(costs, only_non_dominated_front=True)
    members = list(first.values())
    return [members[index] for index in sorted(chosen, key=lambda index: tuple(costs[index]))]


def ranked(costs: Costs) -> list[NDArray[np.int64]]:
    """Indices of rows, front after front."""
    return [np.asarray(front) for front in NonDominatedSorting().do(costs)]


def reference_point(costs: Costs) -> Costs:
    """The corner that hypervolumes are measured from: a tenth of the spread beyond the worst of these rows."""
    worst, best = costs.max(axis=0), costs.min(axis=0)
    spread = np.where(worst > best, worst - best, np.abs(worst) + 1e-12)
    return np.asarray(worst + 0.1 * spread)


def hypervolume(costs: Costs, reference: Costs, ideal: Costs) -> float:
    """Share of the box between ideal and reference point that the rows dominate.

    Args:
        costs: (points, objectives); rows beyond the reference point add nothing.
        reference, ideal: corners of the box; a point better than the ideal one counts up to it.
    """
    if not len(costs):
        return 0.0
    scaled = np.clip((np.asarray(costs) - ideal) / (reference - ideal), 0, None)
    return float(HV(ref_point=np.ones(scaled.shape[1]))(scaled))
