"""Blockings: how a kernel cuts its work into tiles, where several ways give the same results.

Every kernel that has such a choice asks for it in one place, `Builder.choose`, with its candidates in the order of its
cycle model, and gets the first of them, unless another one is picked: by measurement (edgeconv.tune), or by a test. A
blocking never changes a result: a candidate is only ever an order of the same exact integer sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Blocking", "Choices", "Question"]

Blocking = tuple[int, ...]
"""One number for each axis of a question, such as (8, 1) for 8 rows and one chain."""


@dataclass(frozen=True)
class Question:
    """A choice of a kernel.

    Attributes:
        output: the tensor that the step writes.
        part: of the step: the kernel's name, and which of its loops it is about.
        axes: what the numbers of a blocking count.
        candidates: all different and all right, the cycle model's pick first, then by its costs.
    """

    output: str
    part: str
    axes: tuple[str, ...]
    candidates: tuple[Blocking, ...]

    def text(self, blocking: Blocking) -> str:
        """A blocking for people: "8 rows, 1 chains"."""
        return ", ".join(f"{number} {axis}" for axis, number in zip(self.axes, blocking, strict=True))


class Choices:
    """Answers questions, and keeps those that were asked, each once, in order.

    Args:
        pick: a candidate of the question, or None for the model's; what is no candidate counts as None.
    """

    def __init__(self, pick: Callable[[Question], Blocking | None] = lambda question: None) -> None:
        self._pick = pick
        self._asked: dict[tuple[str, str], Question] = {}

    @staticmethod
    def of(picks: Mapping[tuple[str, str], Blocking]) -> Choices:
        """Picks by output and part."""
        return Choices(lambda question: picks.get((question.output, question.part)))

    @property
    def asked(self) -> tuple[Question, ...]:
        """The questions so far that had more than one candidate."""
        return tuple(self._asked.values())

    def answer(self, question: Question) -> Blocking:
        """The blocking to take."""
        if len(question.candidates) > 1:
            self._asked.setdefault((question.output, question.part), question)
        picked = self._pick(question)
        return picked if picked in question.candidates else question.candidates[0]
