"""What is evaluated next adds to the front, spreads along it, and is feasible if anything is."""

from __future__ import annotations

import numpy as np

from edgeconv.search.acquisition import pick

KNOWN = np.array([[1.0, 5.0], [5.0, 1.0]])


def test_what_the_known_front_dominates_comes_after_what_adds_to_it() -> None:
    costs = np.array([[6.0, 6.0], [5.5, 1.5], [2.0, 2.0], [4.0, 3.0]])
    assert pick(KNOWN, costs, np.zeros(4), 2)[0] == 2
    assert set(pick(KNOWN, costs, np.zeros(4), 4)) == {0, 1, 2, 3}


def test_a_pick_counts_as_known_for_the_next_one() -> None:
    # Alone, the first two add more than the third; beside one of them the other adds next to nothing.
    costs = np.array([[2.0, 2.0], [2.01, 1.99], [0.5, 4.5]])
    first, second = pick(KNOWN, costs, np.zeros(3), 2)
    assert first in (0, 1)
    assert second == 2


def test_the_least_infeasible_fill_up() -> None:
    costs = np.array([[0.1, 0.1], [3.0, 3.0], [0.2, 0.2]])
    assert pick(KNOWN, costs, np.array([2.0, 0.0, 1.0]), 3) == [1, 2, 0]
    assert pick(np.zeros((0, 2)), costs, np.array([2.0, 3.0, 1.0]), 2) == [2, 0]
