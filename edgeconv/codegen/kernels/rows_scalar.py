"""Softmax and normalizations, one element at a time: any layout and type."""

from __future__ import annotations

from math import prod

import numpy as np

from edgeconv.codegen.builder import Builder, bind, const
from edgeconv.codegen.kernels.reduce import each_reduced
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.row_parts import rescaler, row_constants
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import operators as ops
from edgeconv.ir.operators.reduce import reduced_shape
from edgeconv.ir.operators.rows import EXP_BITS, LOW_BITS

__all__ = ["softmax_rows"]


@kernel(ops.Softmax, "softmax.scalar")
def _softmax(build: Builder, step: Step) -> str:
    return softmax_rows(build, step, keeps_row=True)


def softmax_rows(build: Builder, step: Step, *, keeps_row: bool) -> str:
    """Emit a softmax.

    Args:
        keeps_row: the exponentials of a row are kept in memory, which only one thread can use; else they are looked up
            twice, and threads share the rows.
    """
    operator = step.operator
    assert isinstance(operator, ops.Softmax)
    x, y, shape = build.view(operator.x), build.view(step.output), step.type(operator.x).shape
    low = build.view(operator.exp_low)
    high = build.view(operator.exp_high) if operator.exp_high is not None else None
    rescaled = rescaler(build, step, operator.rescale, operator.grid)
    row = build.temporary("int32", shape[operator.axis]) if keeps_row else None
    axes = (operator.axis,)

    def exponential(distance: Expr) -> Expr:
        if high is None:
            return low.load([distance], "int64")
        distance = bind(distance)
        product = high.load([distance >> LOW_BITS], "int64") * low.load([distance & ((1 << LOW_BITS) - 1)], "int64")
        return (product + const(1 << (EXP_BITS - 1), "int64")) >> const(EXP_BITS, "int64")

    each_row = build.nest if keeps_row else build.parallel_nest
    with each_row(reduced_shape(axes, shape)) as outer:
        best, total = build.local("int32", 1), build.local("int64", 1)
        best.store("int32", 0, const(np.iinfo(np.int32).min))
        with each_reduced(build, axes, shape, outer) as position:
            best.store("int32", 0, tirx.max(best.load("int32", 0), x.load(position)))
        total.store("int64", 0, const(0, "int64"))
        with each_reduced(build, axes, shape, outer) as position:
            exp = bind(exponential(best.load("int32", 0) - x.load(position)))
            if row is not None:
                row.store([position[operator.axis]], exp)
            total.store("int64", 0, total.load("int64", 0) + exp)
        reciprocal = bind(tirx.truncdiv(const(1 << 61, "int64"), total.load("int64", 0)))
        with each_reduced(build, axes, shape, outer) as position:
            if row is not None:
                exp = row.load([position[operator.axis]], "int64")
            else:
                exp = bind(exponential(best.load("int32", 0) - x.load(position)))
            share = bind((exp * reciprocal) >> const(EXP_BITS, "int64"))
            y.store(position, rescaled(share, position[operator.rescale.axis] if operator.rescale.channels > 1 else 0))
    return "one element at a time"


@kernel(ops.Normalize, "normalize.scalar", parallel=True)
def _normalize(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Normalize)
    x, y, shape = build.view(operator.x), build.view(step.output), step.type(operator.x).shape
    rescaled = rescaler(build, step, operator.rescale, operator.grid)
    first, n = operator.axes[0], const(operator.row(shape), "int64")
    zero = const(operator.x_zero_point, "int64")
    part = shape[first] // operator.groups
    inside = tuple(part if axis == first else extent for axis, extent in enumerate(shape))
    outer_shape = reduced_shape(operator.axes, shape)
    assert prod(inside) * operator.groups == prod(shape)
    with build.parallel_nest([operator.groups, *outer_shape]) as (group, *outer):
        start = bind(group * part + 0)

        def place(position: list[Expr], start: Expr = start) -> list[Expr]:
            return [start + index if axis == first else index for axis, index in enumerate(position)]

        total, squares = build.local("int64", 1), build.local("int64", 1)
        total.store("int64", 0, const(0, "int64"))
        squares.store("int64", 0, const(0, "int64"))
        with each_reduced(build, operator.axes, inside, outer) as position:
            c = bind(x.load(place(position), "int64") - zero)
            total.store("int64", 0, total.load("int64", 0) + c)
            squares.store("int64", 0, squares.load("int64", 0) + c * c)
        mean = bind(total.load("int64", 0)) if operator.centered else const(0, "int64")
        inverse, drop = row_constants(build, operator, bind(n * squares.load("int64", 0) - mean * mean))
        with each_reduced(build, operator.axes, inside, outer) as position:
            at = place(position)
            d = n * (x.load(at, "int64") - zero) - mean
            channel = at[operator.rescale.axis] if operator.rescale.channels > 1 else 0
            y.store(at, rescaled(bind((d * inverse) >> drop), channel))
    return "one element at a time"
