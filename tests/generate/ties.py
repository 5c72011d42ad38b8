"""Whether exact ties occurred: rounding modes and one-bit errors show only there."""

from __future__ import annotations

import numpy as np

from edgeconv import reference
from edgeconv.ir import Program
from edgeconv.ir import operators as ops
from edgeconv.ir.exact import ChannelLinear
from tests.generate.builder import Case

_MAX_POINTS = 400


def count_ties(case: Case) -> int:
    """How many values of the case's samples lie exactly half-way before a requantization or add."""
    program = case.program
    rounding = [op for op in program.operators if isinstance(op, ops.Requant | ops.Add)]
    wanted = {name for op in rounding for name in op.operands if name not in program.constants}
    arrays = reference.run(program, case.inputs, keep=sorted(wanted))
    return sum(_ties(program, op, arrays) for op in rounding)


def _ties(program: Program, op: ops.Requant | ops.Add, arrays: dict[str, np.ndarray]) -> int:
    shape = program.types[op.output].shape
    samples = max(len(array) for array in arrays.values())
    xs = []
    for name in op.operands:
        array = arrays[name] if name in arrays else program.constants[name].array[None]
        missing = 1 + len(shape) - array.ndim
        xs.append(np.broadcast_to(array.reshape(len(array), *(1,) * missing, *array.shape[1:]), (samples, *shape)))
    found = 0
    for channel in range(op.linear.channels):
        function = op.linear.channel(channel).as_rational()
        if function is not None:
            picked = [x.take([channel], 1 + op.linear.axis) if op.linear.channels > 1 else x for x in xs]
            found += _half_way(function, picked)
    return found


def _half_way(function: ChannelLinear, xs: list[np.ndarray]) -> int:
    points = np.unique(np.stack([x.ravel() for x in xs]), axis=1).T[:_MAX_POINTS]
    values = (sum((f * int(v) for f, v in zip(function.factors, p, strict=True)), function.offset) for p in points)
    return sum(value.denominator == 2 for value in values)
