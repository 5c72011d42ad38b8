"""What kernels of accumulating operators do with a finished accumulator: requantize it, or store it as it is.

They may go on with the value: add other tensors, and behind a requantization look it up in tables (the step's sequel).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgeconv.codegen.builder import Builder, bind, const
from edgeconv.codegen.kernels.requantizer import Requantizer
from edgeconv.codegen.kernels.sums import sum_function
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr
from edgeconv.ir import operators as ops

__all__ = ["ScalarFinish"]


class ScalarFinish:
    """Writes one output of a step, through the fused requant where there is one."""

    def __init__(self, build: Builder, step: Step) -> None:
        self._view = build.view(step.output)
        self._requant = step.requant
        self._requantizer = Requantizer(build, step, step.requant.grid) if step.requant else None
        self._sequel = [_continuation(build, later) for later in step.sequel]
        self._names = [step.rounded, *(later.output for later in step.sequel)]

    def store(self, indices: Sequence[Expr], acc: Expr) -> None:
        """Store the output at a logical position.

        Args:
            acc: int32 or int64 scalar.
        """
        value = acc
        if self._requantizer is not None and self._requant is not None:
            channel = indices[self._requant.linear.axis] if self._requant.linear.channels > 1 else 0
            value = self._requantizer.scalar(bind(acc), channel)
        values: dict[str, Expr] = {}
        for name, following in zip(self._names, self._sequel, strict=False):
            values[name] = bind(value)
            value = following(indices, values)
        self._view.store(indices, value)


def _continuation(build: Builder, later: Step) -> Callable[[Sequence[Expr], dict[str, Expr]], Expr]:
    """(logical position, scalars that are known there) -> the value of an addition or a table."""
    operator = later.operator
    if isinstance(operator, ops.Table):
        return _looked_up(build, later, operator)
    assert isinstance(operator, ops.Add)
    function, _ = sum_function(build, later, operator)
    views = {name: build.view(name) for name in operator.inputs if name in build.plan.layouts}

    def total(indices: Sequence[Expr], known: dict[str, Expr]) -> Expr:
        channel = indices[operator.linear.axis] if operator.linear.channels > 1 else 0
        values = [
            bind(known[name].astype("int64") if name in known else views[name].load(indices, "int64"))
            for name in operator.inputs
        ]
        return function(values, channel)

    return total


def _looked_up(build: Builder, later: Step, operator: ops.Table) -> Callable[[Sequence[Expr], dict[str, Expr]], Expr]:
    table = build.view(operator.values)
    element = "float32" if later.type(operator.values).dtype.is_float else "int32"
    per_channel = len(later.type(operator.values).shape) == 2
    lowest = later.type(operator.x).dtype.lo

    def value(indices: Sequence[Expr], known: dict[str, Expr]) -> Expr:
        entry = bind(known[operator.x].astype("int32") - const(lowest))
        return table.load([indices[operator.axis], entry] if per_channel else [entry], element)

    return value
