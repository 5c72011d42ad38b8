"""Linear resampling, one output at a time: any layout and type."""

from __future__ import annotations

from itertools import product

import numpy as np

from edgeconv.codegen.builder import Builder, View, bind, const
from edgeconv.codegen.kernels.accumulator import ScalarFinish
from edgeconv.codegen.kernels.loops import each_element
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr
from edgeconv.ir import operators as ops

__all__: list[str] = []


@kernel(ops.ResizeLinear, "resize_linear.scalar", fuses=True, parallel=True)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.ResizeLinear)
    x, finish = build.view(operator.x), ScalarFinish(build, step)
    element = "int32" if operator.dtype.bits == 32 else "int64"

    def table(label: str, axis: int, values: list[int], kind: str) -> View:
        return build.constant(f"{step.output}/{label}{axis}", np.array(values, kind))

    tables = []
    for axis, (sources, left, right) in enumerate(zip(operator.indices, operator.left, operator.right, strict=True)):
        # Where the right coefficient is 0 there may be no position after the left one.
        after = [index + (b > 0) for index, b in zip(sources, right, strict=True)]
        places = [table("left", axis, list(sources), "int32"), table("right", axis, after, "int32")]
        weights = [table("left.weight", axis, list(left), element), table("right.weight", axis, list(right), element)]
        tables.append(list(zip(places, weights, strict=True)))
    with each_element(build, build.view(step.output).layout) as indices:
        corners: list[list[tuple[Expr, Expr]]] = []
        for index, sides in zip(indices[2:], tables, strict=True):
            corners.append([(bind(p.load([index])), bind(w.load([index], element))) for p, w in sides])
        acc: Expr = const(0, element)
        for corner in product(*corners):
            value = x.load([*indices[:2], *(place for place, _ in corner)], element)
            term = value - const(operator.x_zero_point, element)
            for _, weight in corner:
                term = term * weight
            acc = acc + term
        finish.store(indices, bind(acc))
    return f"one output at a time in {element}"
