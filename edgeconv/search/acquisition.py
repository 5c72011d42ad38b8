"""Which of many predicted networks to evaluate: those that would add most to the hypervolume of what is known.

Greedy: each pick counts as known for the next one, so a batch spreads along the front by itself and leaves out what
the known front already dominates (hypervolume improvement; Emmerich et al., IEEE Trans. Evol. Comput. 10, 2006).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeconv.search.fronts import hypervolume, ranked, reference_point

__all__ = ["pick"]

Floats = NDArray[np.float64]
_FRONTS = 3
"""Only these fronts of the candidates are asked what they add: a pick makes those behind it nearly worthless."""


def pick(known: Floats, costs: Floats, violation: Floats, count: int) -> list[int]:
    """Rows of `costs` to evaluate, in the order of their choice.

    Feasible ones that add to the front come first, then the best ranked of the rest, then the least infeasible.

    Args:
        known: (points, objectives), the feasible front so far, to be minimized.
        costs: (candidates, objectives), predicted.
        violation: (candidates,), predicted; 0 where all constraints hold.
        count: how many; fewer where there are no more candidates.
    """
    feasible = np.flatnonzero(violation == 0)
    fronts = [feasible[front] for front in ranked(costs[feasible])] if len(feasible) else []
    chosen = _greedy(known, costs, [int(row) for front in fronts[:_FRONTS] for row in front], count)
    rest = [int(row) for front in fronts for row in front]
    rest += [int(row) for row in np.argsort(violation, kind="stable") if violation[row] > 0]
    taken = set(chosen)
    return chosen + [row for row in rest if row not in taken][: count - len(chosen)]


def _greedy(known: Floats, costs: Floats, pool: list[int], count: int) -> list[int]:
    if not pool:
        return []
    points = known.reshape(-1, costs.shape[1])
    everything = np.vstack([points, costs[pool]])
    ideal, reference = everything.min(axis=0), reference_point(everything)
    volume = hypervolume(points, reference, ideal)
    chosen: list[int] = []
    while pool and len(chosen) < count:
        volumes = [hypervolume(np.vstack([points, costs[row]]), reference, ideal) for row in pool]
        best = int(np.argmax(volumes))
        if volumes[best] <= volume:
            break
        chosen.append(pool.pop(best))
        points, volume = np.vstack([points, costs[chosen[-1]]]), volumes[best]
    return chosen
