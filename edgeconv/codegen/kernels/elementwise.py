"""Operators that work on each element alone: requant, add, mul, table, threshold; any layout, type and form."""

from __future__ import annotations

import numpy as np

from edgeconv.codegen.builder import Builder, bind, const
from edgeconv.codegen.kernels.accumulator import ScalarFinish
from edgeconv.codegen.kernels.float_bits import held
from edgeconv.codegen.kernels.loops import broadcast_indices, each_element
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.requantizer import Requantizer
from edgeconv.codegen.kernels.sums import sum_function
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import operators as ops


@kernel(ops.Requant, "requant.scalar", parallel=True, by_rows=True)
def _requant(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Requant)
    x, y = build.view(operator.x), build.view(step.output)
    requantizer = Requantizer(build, step, operator.grid)
    shape = step.type(operator.x).shape
    with each_element(build, y.layout) as indices:
        channel = indices[operator.linear.axis] if operator.linear.channels > 1 else 0
        acc = bind(x.load(broadcast_indices(indices, shape), "int64"))
        y.store(indices, requantizer.scalar(acc, channel))
    return "element by element"


@kernel(ops.Mul, "mul.scalar", fuses=True, parallel=True)
def _mul(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Mul)
    x, y = build.view(operator.x), build.view(operator.y)
    element = "int32" if operator.dtype.bits == 32 else "int64"
    finish = ScalarFinish(build, step)
    with each_element(build, build.view(step.output).layout) as indices:
        left = x.load(broadcast_indices(indices, step.type(operator.x).shape), element)
        right = y.load(broadcast_indices(indices, step.type(operator.y).shape), element)
        product = (left - const(operator.x_zero_point, element)) * (right - const(operator.y_zero_point, element))
        finish.store(indices, product)
    return f"element by element in {element}"


@kernel(ops.Table, "table.scalar", parallel=True, by_rows=True)
def _table(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Table)
    x, values, y = build.view(operator.x), build.view(operator.values), build.view(step.output)
    element = "float32" if step.type(operator.values).dtype.is_float else "int32"
    per_channel = len(step.type(operator.values).shape) == 2
    lowest = step.type(operator.x).dtype.lo
    with each_element(build, y.layout) as indices:
        entry = bind(x.load(indices) - const(lowest))
        y.store(indices, values.load([indices[operator.axis], entry] if per_channel else [entry], element))
    return "element by element"


@kernel(ops.Threshold, "threshold.scalar", parallel=True)
def _threshold(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Threshold)
    x, y = build.view(operator.x), build.view(step.output)
    rows = step.plan.program.constants[operator.thresholds].array.astype(np.int64)
    increasing = np.broadcast_to(np.array(operator.increasing), rows.shape[:1])
    bases = np.broadcast_to(np.array(operator.base, np.int64), rows.shape[:1])
    bits = rows.shape[1].bit_length()
    padding = np.full((len(rows), (1 << bits) - 1 - rows.shape[1]), np.iinfo(np.int64).max)
    table = build.constant(f"{step.output}/thresholds", np.concatenate([rows, padding], 1))
    signs = build.constant(f"{step.output}/sign", np.where(increasing, 1, -1).astype(np.int64))
    base = build.constant(f"{step.output}/base", bases.copy())
    with each_element(build, y.layout) as indices:
        row = indices[operator.axis] if len(rows) > 1 else 0
        acc = bind(x.load(indices, "int64"))
        strict = bind(signs.load([row], "int64") < 0)
        count: Expr = const(0)
        for bit in reversed(range(bits)):
            threshold = table.load([row, count + ((1 << bit) - 1)], "int64")
            reached = tirx.any(threshold < acc, tirx.all(tirx.EQ(threshold, acc), tirx.Not(strict)))
            count = held(count + tirx.Select(reached, const(1 << bit), const(0)), "int32")
        # A padding entry equals the largest int64 and would count for an accumulator that equals it too.
        count = tirx.min(count, const(rows.shape[1]))
        y.store(indices, base.load([row], "int64") + signs.load([row], "int64") * count.astype("int64"))
    return f"binary search in {rows.shape[1]} thresholds"


@kernel(ops.Add, "add.scalar", parallel=True, by_rows=True)
def _add(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Add)
    views, y = [build.view(name) for name in operator.inputs], build.view(step.output)
    function, detail = sum_function(build, step, operator)
    with each_element(build, y.layout) as indices:
        channel = indices[operator.linear.axis] if operator.linear.channels > 1 else 0
        values = [
            bind(view.load(broadcast_indices(indices, step.type(name).shape), "int64"))
            for name, view in zip(operator.inputs, views, strict=True)
        ]
        y.store(indices, function(values, channel))
    return detail
