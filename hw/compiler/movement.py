"""Movements of integers cost nothing: they are other indices of the same bytes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgeconv.hw.compiler.memory import View, code_offset
from edgeconv.ir import Program
from edgeconv.ir import operators as ops

__all__ = ["alias_concats", "moved"]

_WRITERS = (ops.Requant, ops.Add, ops.MaxPool, ops.ReduceMax, ops.Table)


def moved(operator: ops.Operator, program: Program, view_of: Callable[[str], View]) -> View | None:
    """The view that a movement makes of its operand; None for other operators."""
    if isinstance(operator, ops.Reshape):
        x = view_of(operator.x)
        return x.moved(x.index.reshape(operator.shape))
    if isinstance(operator, ops.Transpose):
        x = view_of(operator.x)
        return x.moved(x.index.transpose(operator.permutation))
    if isinstance(operator, ops.Slice):
        x = view_of(operator.x)
        index = x.index
        for axis, (start, size, step) in enumerate(zip(operator.starts, operator.sizes, operator.steps, strict=True)):
            index = np.take(index, start + step * np.arange(size), axis)
        return x.moved(index)
    if isinstance(operator, ops.Resize):
        x = view_of(operator.x)
        index = x.index
        for axis, indices in enumerate(operator.indices):
            index = np.take(index, np.array(indices), 2 + axis)
        return x.moved(index)
    if isinstance(operator, ops.Cast):
        x, out = view_of(operator.x), program.types[operator.output].dtype
        same = out.bits <= 8 and code_offset(out.lo) == x.offset and x.planes == 1
        return View(x.buffer, x.index, out.lo, out.hi) if same else None
    return None


def alias_concats(program: Program, views: dict[str, View], new_view: Callable[[str], View]) -> None:
    """Give the result of each concatenation its memory, and its operands parts of it where they are written anew.

    The last concatenation comes first, so that one that is part of another one lies inside of it. Operands that are
    not written by a layer of the array alone are copied later.
    """
    written = {op.output for op in program.operators if isinstance(op, (*_WRITERS, ops.Concat))}
    for operator in reversed(program.operators):
        if not isinstance(operator, ops.Concat):
            continue
        view = views.get(operator.output) or new_view(operator.output)
        views[operator.output] = view
        start = 0
        for name in operator.inputs:
            extent = program.types[name].shape[operator.axis]
            part = np.take(view.index, range(start, start + extent), operator.axis)
            start += extent
            if name in written and name not in views:
                views[name] = view.moved(part)
