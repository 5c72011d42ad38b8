"""Which operators the accelerator has."""

from __future__ import annotations

from math import prod

from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.compiler.accumulators import ACCUMULATORS
from edgeconv.ir import Program, describe
from edgeconv.ir import operators as ops

__all__ = ["KNOWN", "SCAN_UPDATE_CYCLES", "no_such_operator", "require_operators"]

KNOWN = (
    *ACCUMULATORS,
    *(ops.Requant, ops.Add, ops.MaxPool, ops.ReduceMax, ops.Table, ops.Concat),
    *(ops.Reshape, ops.Transpose, ops.Slice, ops.Resize, ops.Cast),
)
"""Operators that can run; attributes and layouts that cannot are found when they are lowered."""


SCAN_UPDATE_CYCLES = 3200
"""Of the system's processor for one state of a selective scan at one time (tests/hw/soc/test_core.py measures it)."""


def require_operators(core: Program) -> None:
    """Check a program of integers before anything is proved about it.

    Raises:
        UnsupportedModelError: operators that the accelerator does not have, all of them.
    """
    lacking = [describe(operator) for operator in core.operators if not isinstance(operator, KNOWN)]
    if lacking:
        raise no_such_operator("; ".join(lacking), _scan_cycles(core))


def _scan_cycles(core: Program) -> int:
    """What the selective scans of a sample would take the system's processor."""
    updates = 0
    for operator in core.operators:
        if isinstance(operator, ops.SelectiveScan):
            updates += prod(core.constants[operator.a].array.shape) * core.types[operator.x].shape[2]
    return updates * SCAN_UPDATE_CYCLES


def no_such_operator(named: str, scan_cycles: int = 0) -> UnsupportedModelError:
    """The error for operators, described.

    Args:
        scan_cycles: an estimate for the selective scans among them, of the processor beside the array.
    """
    cost = f"; the scans alone would take its processor {scan_cycles / 1e6:,.1f} million cycles a sample"
    return UnsupportedModelError(
        f"the accelerator has no such operator: {named}",
        expected="convolutions, matrix products with constants, pools, sums, concatenations, tables of 8 bits, "
        "reshapes, transposes and slices",
        advice="compile for --target cpu, or leave that operator to the host" + (cost if scan_cycles else ""),
    )
