"""What kernels of accumulating operators do with a finished accumulator: requantize it, or store it as it is."""

from __future__ import annotations

from collections.abc import Sequence

from edgeconv.codegen.builder import Builder, bind
from edgeconv.codegen.kernels.requantizer import Requantizer
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr

__all__ = ["ScalarFinish"]


class ScalarFinish:
    """Writes one output of a step, through the fused requant where there is one."""

    def __init__(self, build: Builder, step: Step) -> None:
        self._view = build.view(step.output)
        self._requant = step.requant
        self._requantizer = Requantizer(build, step, step.requant.grid) if step.requant else None

    def store(self, indices: Sequence[Expr], acc: Expr) -> None:
        """Store the output at a logical position.

        Args:
            acc: int32 or int64 scalar.
        """
        if self._requantizer is None or self._requant is None:
            self._view.store(indices, acc)
        else:
            channel = indices[self._requant.linear.axis] if self._requant.linear.channels > 1 else 0
            self._view.store(indices, self._requantizer.scalar(bind(acc), channel))
