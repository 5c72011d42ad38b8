"""Search spaces: named choices, some of which count only where another one is large enough.

A genome holds one index per choice. Choices that do not count stand at index 0, so two genomes of the same network are
equal, and the size of a space is its number of different networks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UsageError

__all__ = ["Analysis", "Choice", "Genome", "Space", "Value", "Values"]

Value = int | float | str
Genome = tuple[int, ...]
"""One index per choice of a space."""
Values = Mapping[str, Value]
"""What a genome means: the value of every choice that counts, by name."""


@dataclass(frozen=True)
class Choice:
    """One decision.

    Attributes:
        name: "layer.property", or one word for a decision about the whole network.
        values: all that may be chosen, different from one another.
        needs: (name, least): the choice counts only where the choice of that name is at least `least`; that choice
            must always count.
        bits: the values are bit widths. How far apart two of them are is told by the noise that rounding to them makes.
    """

    name: str
    values: tuple[Value, ...]
    needs: tuple[str, int] | None = None
    bits: bool = False

    def __post_init__(self) -> None:
        if not self.values or len(set(self.values)) != len(self.values):
            raise UsageError(f"choice '{self.name}' of {self.values}", expected="at least one value, none twice")
        if not self.name or set(self.name) & set(" =,"):
            raise UsageError(f"choice named '{self.name}'", expected="a name without blanks, '=' and ','")
        if self.bits and not all(isinstance(value, int) for value in self.values):
            raise UsageError(f"choice '{self.name}' of bits {self.values}", expected="whole numbers")

    @cached_property
    def coordinates(self) -> tuple[float, ...]:
        """Where each value stands on a scale: its place from 1, or for bit widths 4^-bits, the power of their noise."""
        return tuple(4.0 ** -int(v) if self.bits else place for place, v in enumerate(self.values, 1))


class Analysis(Protocol):
    """What can be computed of a genome's network without building it, such as multiply-accumulates layer by layer.

    A predictor that is given these terms does not have to learn products of widths from samples.
    """

    def terms(self, values: Values) -> Sequence[float]:
        """Always the same number of terms, 0 for what is not there."""
        ...


@dataclass(frozen=True)
class Space:
    """Choices in order.

    Attributes:
        name: of the family or sweep.
        choices: their order is that of a genome's indices.
        analysis: terms that features carry beside the one-hot encoding.
    """

    name: str
    choices: tuple[Choice, ...]
    analysis: Analysis | None = None

    def __post_init__(self) -> None:
        if len(self.position) != len(self.choices) or not self.choices:
            names = [choice.name for choice in self.choices]
            raise UsageError(f"space '{self.name}' with choices {names}", expected="at least one choice, no name twice")
        for choice in self.choices:
            if choice.needs is None:
                continue
            parent = self.position.get(choice.needs[0])
            if parent is None or self.choices[parent].needs is not None:
                raise UsageError(
                    f"choice '{choice.name}' needs '{choice.needs[0]}'",
                    expected="a choice of the same space that always counts",
                )
            if not all(isinstance(value, int) for value in self.choices[parent].values):
                raise UsageError(f"choice '{choice.needs[0]}', which others need", expected="whole numbers as values")

    @cached_property
    def position(self) -> dict[str, int]:
        """Index of a choice in a genome, by name."""
        return {choice.name: index for index, choice in enumerate(self.choices)}

    @cached_property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of values of each choice."""
        return np.array([len(choice.values) for choice in self.choices], np.int64)

    @property
    def size(self) -> int:
        """Number of different networks."""
        dependents: dict[str, list[Choice]] = {}
        for choice in self.choices:
            if choice.needs is not None:
                dependents.setdefault(choice.needs[0], []).append(choice)
        total = 1
        for choice in self.choices:
            if choice.needs is not None:
                continue
            children = dependents.get(choice.name, [])
            total *= sum(
                math.prod(len(c.values) for c in children if c.needs and int(value) >= c.needs[1]) if children else 1
                for value in choice.values
            )
        return total

    def active(self, genome: Sequence[int]) -> list[bool]:
        """Which choices count."""
        return [
            choice.needs is None
            or int(self._value(genome, self.position[choice.needs[0]])) >= choice.needs[1]
            for choice in self.choices
        ]  # fmt: skip

    def repair(self, indices: Sequence[int] | NDArray[np.integer]) -> Genome:
        """The genome nearest to any indices: each within its bounds, those that do not count at 0.

        Raises:
            UsageError: another number of indices than choices.
        """
        if len(indices) != len(self.choices):
            raise UsageError(f"{len(indices)} indices for space '{self.name}'", expected=f"{len(self.choices)}")
        bounded = [int(index) for index in np.clip(np.asarray(indices), 0, self.cardinalities - 1)]
        return tuple(i if counts else 0 for i, counts in zip(bounded, self.active(bounded), strict=True))

    def sample(self, rng: np.random.Generator) -> Genome:
        """A random genome, each choice uniform."""
        return self.repair(rng.integers(0, self.cardinalities))

    def mutate(self, genome: Genome, rng: np.random.Generator, rate: float | None = None) -> Genome:
        """Another genome with some choices drawn anew; the same only if the space holds no other.

        Args:
            rate: probability for each choice; 1.5 of them on average when None.
        """
        if self.size == 1:
            return genome
        rate = 1.5 / len(self.choices) if rate is None else rate
        while True:
            drawn = rng.random(len(self.choices)) < rate
            drawn[rng.integers(len(self.choices))] = True
            changed = self.repair(np.where(drawn, rng.integers(0, self.cardinalities), genome))
            if changed != genome:
                return changed

    def crossover(self, one: Genome, other: Genome, rng: np.random.Generator) -> Genome:
        """Each choice from either parent."""
        return self.repair(np.where(rng.random(len(self.choices)) < 0.5, one, other))

    def encode(self, genomes: Sequence[Genome] | NDArray[np.integer]) -> NDArray[np.float64]:
        """One-hot rows (genomes, sum of cardinalities); choices that do not count have no hot column."""
        offsets = np.concatenate([[0], np.cumsum(self.cardinalities)[:-1]])
        rows = np.zeros((len(genomes), int(self.cardinalities.sum())))
        for row, genome in zip(rows, genomes, strict=True):
            counts = np.array(self.active([int(index) for index in genome]))
            row[(offsets + np.asarray(genome))[counts]] = 1
        return rows

    def coordinates(self, genomes: Sequence[Genome]) -> NDArray[np.float64]:
        """Each choice's value on its scale, (genomes, choices); 0 where it does not count."""
        rows = np.zeros((len(genomes), len(self.choices)))
        for row, genome in zip(rows, genomes, strict=True):
            row[:] = [c.coordinates[i] for c, i in zip(self.choices, genome, strict=True)]
            row[~np.array(self.active(genome))] = 0
        return rows

    def features(self, genomes: Sequence[Genome]) -> NDArray[np.float64]:
        """What predictors learn from: coordinates, one-hot rows, and the analysis' terms if there is one.

        Coordinates come first. They let a tree ask for "at least 4 bits" in one question.
        """
        columns = [self.coordinates(genomes), self.encode(genomes)]
        if self.analysis is not None and len(genomes):
            columns.append(np.array([list(self.analysis.terms(self.values(genome))) for genome in genomes]))
        return np.hstack(columns)

    def terms_in(self, features: NDArray[np.float64]) -> int:
        """How many trailing columns of these features are the analysis' terms."""
        return features.shape[1] - len(self.choices) - int(self.cardinalities.sum())

    def grid(self) -> Iterator[Genome]:
        """Every genome once, in lexicographic order of indices."""
        for indices in product(*(range(count) for count in self.cardinalities)):
            if self.repair(indices) == indices:
                yield indices

    def values(self, genome: Sequence[int]) -> dict[str, Value]:
        """The value of every choice that counts, by name."""
        return {
            choice.name: self._value(genome, index)
            for index, (choice, counts) in enumerate(zip(self.choices, self.active(genome), strict=True))
            if counts
        }

    def genome(self, values: Values) -> Genome:
        """The genome that means these values.

        Raises:
            UsageError: an unknown choice or value, or one that is missing.
        """
        unknown = sorted(set(values) - set(self.position))
        if unknown:
            raise UsageError(
                f"space '{self.name}' has no choice {', '.join(unknown)}", expected=", ".join(self.position)
            )
        indices = [self._index(choice, values[choice.name]) if choice.name in values else 0 for choice in self.choices]
        genome = self.repair(indices)
        missing = sorted(set(self.values(genome)) - set(values))
        if missing:
            raise UsageError(f"a genome of space '{self.name}' without {', '.join(missing)}")
        return genome

    def text(self, genome: Sequence[int]) -> str:
        """A genome for people: "depth=4  conv1 width=16 kernel=5  conv2 …"; `parse` reads it back."""
        parts: list[str] = []
        layer = ""
        for name, value in self.values(genome).items():
            head, _, own = name.rpartition(".")
            if head != layer or not head:
                layer = head
                parts.append(f" {head}" if head and parts else head)
            parts.append(f"{own}={value}")
        return " ".join(part for part in parts if part)

    def parse(self, text: str) -> Genome:
        """The genome that `text` printed.

        Raises:
            UsageError: as `genome`.
        """
        values: dict[str, Value] = {}
        layer = ""
        for word in text.split():
            if "=" not in word:
                layer = word
                continue
            own, _, value = word.partition("=")
            name = own if own in self.position else f"{layer}.{own}"
            known = self.choices[self.position[name]].values if name in self.position else ()
            values[name] = next((v for v in known if str(v) == value), value)
        return self.genome(values)

    def _value(self, genome: Sequence[int], index: int) -> Value:
        return self.choices[index].values[genome[index]]

    def _index(self, choice: Choice, value: Value) -> int:
        if value not in choice.values:
            raise UsageError(f"{choice.name} = {value}", expected=f"one of {', '.join(map(str, choice.values))}")
        return choice.values.index(value)
