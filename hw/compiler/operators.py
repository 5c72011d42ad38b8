"""Which operators the accelerator has."""

from __future__ import annotations

from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.compiler.accumulators import ACCUMULATORS
from edgeconv.ir import Program, describe
from edgeconv.ir import operators as ops

__all__ = ["KNOWN", "no_such_operator", "require_operators"]

KNOWN = (
    *ACCUMULATORS,
    *(ops.Requant, ops.Add, ops.MaxPool, ops.ReduceMax, ops.Table, ops.Concat),
    *(ops.Reshape, ops.Transpose, ops.Slice, ops.Resize, ops.Cast),
)
"""Operators that can run; attributes and layouts that cannot are found when they are lowered."""


def require_operators(core: Program) -> None:
    """Check a program of integers before anything is proved about it.

    Raises:
        UnsupportedModelError: operators that the accelerator does not have, all of them.
    """
    lacking = [describe(operator) for operator in core.operators if not isinstance(operator, KNOWN)]
    if lacking:
        raise no_such_operator("; ".join(lacking))


def no_such_operator(named: str) -> UnsupportedModelError:
    """The error for operators, described."""
    return UnsupportedModelError(
        f"the accelerator has no such operator: {named}",
        expected="convolutions, matrix products with constants, pools, sums, concatenations, tables of 8 bits, "
        "reshapes, transposes and slices",
        advice="compile for --target cpu, or leave that operator to the host",
    )
