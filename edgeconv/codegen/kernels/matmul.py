"""Matrix products, one output at a time: any layout, constant or dynamic right side, every instruction set."""

from __future__ import annotations

from math import prod

from edgeconv.codegen.builder import Builder, const
from edgeconv.codegen.kernels.accumulator import ScalarFinish
from edgeconv.codegen.kernels.conv import accumulator_element
from edgeconv.codegen.kernels.matmul_panels import panel_blocks, stored_weights
from edgeconv.codegen.kernels.registry import always, kernel
from edgeconv.codegen.kernels.shared_weights import SharedWeights
from edgeconv.codegen.plan import Step
from edgeconv.codegen.sequels import in_place_over
from edgeconv.codegen.tir import Expr
from edgeconv.ir import operators as ops
from edgeconv.ir.forms import PANEL


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


class _Right:
    """Reads the right side, its zero point removed; constants in the order of the vector kernels, where these apply."""

    def __init__(self, build: Builder, step: Step, operator: ops.MatMul) -> None:
        self._zero, self._shape = operator.w_zero_point, step.type(operator.w).shape
        self._x, self._shared = step.layout(operator.x), None
        constants = step.plan.program.constants
        shareable = operator.w in constants and len(self._shape) == 2 and operator.x not in constants
        if shareable and not build.isa.plain:
            stored, _ = stored_weights(step, operator)
            if stored.shape[1] == self._shape[0] and SharedWeights.fits(stored):
                blocks = panel_blocks(prod(step.type(operator.x).shape[:-1]), self._shape[1], PANEL)
                self._shared = SharedWeights(build, f"{step.output}/weights", stored[:, None, :], blocks)
        if self._shared is None:
            self._plain = build.view(operator.w)

    def begin(self, column: Expr) -> Expr:
        """What `of` needs to know of a column."""
        return column if self._shared is None else self._shared.begin(column)

    def of(self, leading: list[Expr], k: Expr, begin: Expr, element: str) -> Expr:
        """The value in row k of a column."""
        if self._shared is not None:
            position = self._x.offset([*(0,) * (len(self._x.axes) - 1), k]) - self._x.base
            return self._shared.load(begin, 0, position, element)
        value = self._plain.load([*_broadcast(leading, self._shape), k, begin], element)
        return value - const(self._zero, element) if self._zero else value


@kernel(ops.MatMul, "matmul.scalar", fuses=True, goes_on=always, in_place=in_place_over, parallel=True)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.MatMul)
    element = accumulator_element(_largest_sum(step, operator))
    x, w = build.view(operator.x), _Right(build, step, operator)
    bias = build.view(operator.bias) if operator.bias is not None else None
    finish = ScalarFinish(build, step)
    shape = step.type(operator.output).shape
    with build.parallel_nest(shape) as indices:
        *leading, row, column = indices
        acc = build.local(element, 1)
        acc.store(element, 0, bias.load([column], element) if bias else const(0, element))
        begin = w.begin(column)
        with build.loop(step.type(operator.x).shape[-1]) as k:
            left = x.load([*_broadcast(leading, step.type(operator.x).shape), row, k], element)
            right = w.of(leading, k, begin, element)
            left = left - const(operator.x_zero_point, element) if operator.x_zero_point else left
            acc.store(element, 0, acc.load(element, 0) + left * right)
        finish.store(indices, acc.load(element, 0))
    return f"one output at a time, {element} accumulators"
