"""The selective scan: integers to integers, so lowering only puts the table of its step sizes before it."""

from __future__ import annotations

import numpy as np

from edgeconv.importer.graph import Node
from edgeconv.integer.state import Handler, State, integer_tuple, uncovered
from edgeconv.integer.values import ONE, Affine, Integers, Value, make_linear
from edgeconv.ir import dtype
from edgeconv.ir import operators as ops
from edgeconv.ir.types import smallest_dtype

_LOWEST_STEP = 128
"""Row entry of dt = 0: the tables of a model cover int8, whatever narrower type dt has."""


def selective_scan(state: State, node: Node) -> Value:
    """The table of step sizes, then the scan; an accumulator."""
    builder = state.builder
    names = []
    for name in node.inputs:
        value = state.values[name]
        if not isinstance(value, Integers):
            raise uncovered(f"reads '{name}', which is on no integer grid")
        names.append(value.tensor)
    x, dt, b, c, a, skip, steps = names
    kind = builder.types[dt].dtype
    rows = builder.array(steps)[:, _LOWEST_STEP + kind.lo : _LOWEST_STEP + kind.hi + 1]
    table = builder.constant(f"{node.output}.steps", rows[0] if len(rows) == 1 else rows, dtype("u16"))
    delta = builder.emit(ops.Table("", dt, table), f"{node.output}.delta", (int(rows.min()), int(rows.max())))
    factors = builder.array(skip)
    narrow = smallest_dtype(min(int(factors.min()), -1), int(factors.max()))
    exp_bits, state_bits = node.attributes["exp_bits"], node.attributes["state_bits"]
    assert isinstance(exp_bits, int)
    assert isinstance(state_bits, int)
    scan = ops.SelectiveScan(
        "", x, delta, builder.constant(f"{node.output}.a", builder.array(a), dtype("u8")), b, c,
        builder.constant(f"{node.output}.skip", factors, narrow),
        _collapsed(integer_tuple(node, "decay_shifts")), _collapsed(integer_tuple(node, "input_shifts")),
        exp_bits, state_bits,
    )  # fmt: skip
    sums = builder.emit(scan, node.output, _bounds(state, scan, factors))
    return Affine((sums,), make_linear(((ONE,),)), builder.types[sums].shape)


def _bounds(
    state: State, scan: ops.SelectiveScan, skip: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
) -> tuple[int, int]:
    """Of the sums over all states at their ends, and the skipped input."""
    builder = state.builder
    c, x = (max(map(abs, builder.bounds[name])) for name in (scan.c, scan.x))
    reach = builder.types[scan.a].shape[1] * c * (1 << (scan.state_bits - 1)) + int(np.abs(skip).max()) * x
    return -reach, reach


def _collapsed(shifts: tuple[int, ...]) -> tuple[int, ...]:
    return shifts[:1] if len(set(shifts)) == 1 else shifts


HANDLERS: dict[str, Handler] = {"SelectiveScan": selective_scan}
