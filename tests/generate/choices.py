"""Where a generator takes its decisions from: a seed, or Hypothesis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from hypothesis import strategies as st

T = TypeVar("T")


@dataclass(frozen=True)
class Choices:
    """Random decisions; `source` is a numpy generator, or Hypothesis' data object so that failures shrink."""

    source: np.random.Generator | st.DataObject

    @staticmethod
    def seeded(seed: int) -> Choices:
        """Decisions that follow from a seed."""
        return Choices(np.random.default_rng(seed))

    def integer(self, lo: int, hi: int) -> int:
        """An integer of [lo, hi]."""
        if isinstance(self.source, np.random.Generator):
            return int(self.source.integers(lo, hi, endpoint=True))
        return int(self.source.draw(st.integers(lo, hi)))

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.integer(0, len(options) - 1)]

    def chance(self, percent: int) -> bool:
        """True in about `percent` of 100 cases."""
        return self.integer(0, 99) < percent

    def numbers(self) -> np.random.Generator:
        """A generator for bulk data (weights, samples), seeded by one decision."""
        if isinstance(self.source, np.random.Generator):
            return self.source
        return np.random.default_rng(self.integer(0, 2**32 - 1))
