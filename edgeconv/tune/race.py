"""Which of several versions of the same work is fastest, and whether by more than the noise of this machine.

Versions take turns, in an order that is drawn anew for every round, and each turn counts with the least of its
readings: what disturbs a reading only ever makes it longer. A version is judged by the median, over the rounds, of its
turn relative to the turn of the first version in the same round, so that a machine that gets slower meanwhile does not
count. The best one then runs a second race, against the first alone: the fastest of many readings is partly the
luckiest. In that race a *control*, the first version once more, shows how large differences are that mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["CONTROL", "Outcome", "race"]

CONTROL = -1
"""The number under which the control is timed."""
Timer = Callable[[int, int], float]
"""(version, calls) -> seconds a call, of one reading."""

_READING_SECONDS = 2e-4
"""A thousand times the resolution of the clock, a tenth of a scheduler's slice."""
_READINGS = 5
_FIRST_ROUNDS, _LAST_ROUNDS = 5, 15
_LEAST_GAIN = 0.005
"""What is not worth another code, whatever is measured."""
_NOISE_PERCENTILE = 90


@dataclass(frozen=True)
class Outcome:
    """What a race found.

    Attributes:
        winner: number of the version to take; 0 where none is faster by more than the noise.
        seconds: a call of version 0, and of the best other one.
        gain: by which share of version 0's time the best other one is shorter.
        noise: which share means nothing.
    """

    winner: int
    seconds: tuple[float, float]
    gain: float
    noise: float


def race(timer: Timer, versions: int, rng: np.random.Generator) -> Outcome:
    """Race versions 0 … versions - 1.

    Args:
        versions: at least two.
    """
    calls = _calls_of_a_reading(timer)
    first = _turns(timer, range(versions), calls, _FIRST_ROUNDS, rng)
    ratios = {number: float(np.median(first[number] / first[0])) for number in range(1, versions)}
    best = min(ratios, key=ratios.__getitem__)
    last = _turns(timer, (0, CONTROL, best), calls, _LAST_ROUNDS, rng)
    gain = 1.0 - float(np.median(last[best] / last[0]))
    noise = float(np.percentile(np.abs(last[CONTROL] / last[0] - 1.0), _NOISE_PERCENTILE))
    seconds = float(np.median(last[0])), float(np.median(last[best]))
    winner = best if gain > max(noise, _LEAST_GAIN) else 0
    return Outcome(winner, seconds, gain, noise)


def _calls_of_a_reading(timer: Timer) -> int:
    """Calls of version 0 that span a reading; the first ones warm it up."""
    calls = 1
    while timer(0, calls) * calls < _READING_SECONDS:
        calls *= 2
    return calls


def _turns(
    timer: Timer, numbers: Sequence[int], calls: int, rounds: int, rng: np.random.Generator
) -> dict[int, np.ndarray]:
    """Seconds a call of each version, the least reading of each round."""
    turns: dict[int, list[float]] = {number: [] for number in numbers}
    for _ in range(rounds):
        for index in rng.permutation(len(numbers)):
            number = numbers[int(index)]
            turns[number].append(min(timer(number, calls) for _ in range(_READINGS)))
    return {number: np.array(found) for number, found in turns.items()}
