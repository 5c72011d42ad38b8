"""Matrix products, one output at a time: any layout, constant or dynamic right side, every instruction set."""

from __future__ import annotations

from edgeconv.codegen.builder import Builder, const
from edgeconv.codegen.kernels.accumulator import ScalarFinish
from edgeconv.codegen.kernels.conv import accumulator_element
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr
from edgeconv.ir import operators as ops


def _largest_sum(step: Step, operator: ops.MatMul) -> int:
    x, w = step.type(operator.x), step.type(operator.w)
    x_reach = max(abs(x.dtype.lo - operator.x_zero_point), abs(x.dtype.hi - operator.x_zero_point))
    w_reach = max(abs(w.dtype.lo - operator.w_zero_point), abs(w.dtype.hi - operator.w_zero_point))
    bias = 0
    if operator.bias is not None:
        values = step.plan.program.constants.get(operator.bias)
        bias = 1 << 62 if values is None else int(abs(values.array.astype(object)).max())
    return x.shape[-1] * x_reach * w_reach + bias


def _broadcast(leading: list[Expr], shape: tuple[int, ...]) -> list[Expr]:
    """Leading indices of an operand, given those of the output: numpy's broadcasting."""
    own = leading[len(leading) - (len(shape) - 2) :]
    return [0 if extent == 1 else index for index, extent in zip(own, shape[:-2], strict=True)]


@kernel(ops.MatMul, "matmul.scalar", fuses=True)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.MatMul)
    element = accumulator_element(_largest_sum(step, operator))
    x, w = build.view(operator.x), build.view(operator.w)
    bias = build.view(operator.bias) if operator.bias is not None else None
    finish = ScalarFinish(build, step)
    shape = step.type(operator.output).shape
    with build.nest(shape) as indices:
        *leading, row, column = indices
        acc = build.local(element, 1)
        acc.store(element, 0, bias.load([column], element) if bias else const(0, element))
        with build.loop(step.type(operator.x).shape[-1]) as k:
            left = x.load([*_broadcast(leading, step.type(operator.x).shape), row, k], element)
            right = w.load([*_broadcast(leading, step.type(operator.w).shape), k, column], element)
            left = left - const(operator.x_zero_point, element) if operator.x_zero_point else left
            right = right - const(operator.w_zero_point, element) if operator.w_zero_point else right
            acc.store(element, 0, acc.load(element, 0) + left * right)
        finish.store(indices, acc.load(element, 0))
    return f"one output at a time, {element} accumulators"
