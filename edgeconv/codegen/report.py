"""What was generated, kernel by kernel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edgeconv.codegen.blob import Blob
from edgeconv.codegen.plan import Step
from edgeconv.ir.operators import Operator

__all__ = ["KernelReport", "Reporter"]


@dataclass(frozen=True)
class KernelReport:
    """What was generated for one step: the tensor written, operators, kernel, tiling, and bytes of its constants."""

    output: str
    operators: tuple[str, ...]
    kernel: str
    detail: str
    constant_bytes: int


class Reporter:
    """Counts the bytes of constants that steps bring, while their code is emitted."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self._added: dict[str, int] = {}

    @contextmanager
    def constants_of(self, step: Step) -> Iterator[None]:
        """What enters the blob inside counts for a step."""
        before = set(self._blob.sections)
        yield
        added = sum(self._blob.sections[name][1] for name in self._blob.sections if name not in before)
        self._added[step.output] = self._added.get(step.output, 0) + added

    def report(self, step: Step, kernel: str, detail: str) -> KernelReport:
        """The report of a step, after its code."""
        keyword = getattr(step.operator, "keyword", type(step.operator).__name__.lower())
        operators = (*("resize",) * step.upsamples, keyword, *("requant",) * (step.requant is not None))
        operators += tuple(later.operator.keyword for later in step.sequel if isinstance(later.operator, Operator))
        return KernelReport(step.output, operators, kernel, detail, self._added.get(step.output, 0))
