"""A race picks what is faster, and nothing where the difference is what the machine makes of equal code."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgeconv.tune.race import CONTROL, race


def _timer(seconds: dict[int, float], spread: float, seed: int, drift: float = 0.0) -> Callable[[int, int], float]:
    """Readings of versions on a machine where each turn is up to `spread` slower, and all get slower by `drift`."""
    rng = np.random.default_rng(seed)
    readings = 0

    def timer(number: int, calls: int) -> float:
        nonlocal readings
        readings += 1
        return seconds[number] * (1 + spread * rng.random()) * (1 + drift * readings)

    return timer


@pytest.mark.parametrize("seed", range(20))
def test_the_faster_version_wins(seed: int) -> None:
    seconds = {0: 1e-5, 1: 1.1e-5, 2: 0.9e-5, 3: 0.95e-5, CONTROL: 1e-5}
    outcome = race(_timer(seconds, 0.02, seed, drift=1e-4), 4, np.random.default_rng(seed))
    assert outcome.winner == 2
    assert outcome.gain == pytest.approx(0.1, abs=0.02)
    assert outcome.seconds[1] < outcome.seconds[0]


@pytest.mark.parametrize("seed", range(20))
def test_equal_versions_leave_the_first(seed: int) -> None:
    seconds = dict.fromkeys((0, 1, 2, 3, 4, CONTROL), 2e-6)
    outcome = race(_timer(seconds, 0.3, seed, drift=1e-4), 5, np.random.default_rng(seed))
    assert outcome.winner == 0
    assert outcome.noise > 0.005


def test_a_gain_below_the_noise_of_the_control_does_not_count() -> None:
    seconds = {0: 1e-5, 1: 0.96e-5, CONTROL: 1.05e-5}
    outcome = race(_timer(seconds, 0.0, 1), 2, np.random.default_rng(1))
    assert (outcome.winner, round(outcome.gain, 2), round(outcome.noise, 2)) == (0, 0.04, 0.05)


def test_all_slower_versions_leave_the_first() -> None:
    seconds = {0: 1e-5, 1: 1.2e-5, 2: 1.3e-5, CONTROL: 1e-5}
    assert race(_timer(seconds, 0.01, 2), 3, np.random.default_rng(2)).winner == 0
