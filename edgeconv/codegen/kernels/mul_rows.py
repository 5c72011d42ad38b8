"""Products of equal rows, a vector at a time."""

from __future__ import annotations

from edgeconv.codegen.builder import Builder, bind, const
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.elementwise_rows import load_values
from edgeconv.codegen.kernels.panels import Finish, Panel, can_finish, make_buckets
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.rows import common_rows, each_vector
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr
from edgeconv.ir import operators as ops

_NARROW = ("uint8", "int16")


def _can_handle(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if not isinstance(operator, ops.Mul) or isa.lanes == 1 or operator.dtype.bits != 32:
        return False
    if step.requant is not None and step.requant.linear.channels > 1:
        return False
    layouts = [step.layout(name) for name in (operator.x, operator.y, step.output)]
    narrow = all(layout.storage.element in _NARROW for layout in layouts[:2])
    return narrow and common_rows(layouts) is not None and can_finish(isa, step, [0])


@kernel(ops.Mul, "mul.rows", can_handle=_can_handle, priority=10, fuses=True)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Mul)
    x, y, out = build.view(operator.x), build.view(operator.y), build.view(step.output)
    rows = common_rows([x.layout, y.layout, out.layout])
    assert rows is not None
    lanes = build.isa.lanes
    (bucket,) = make_buckets(step, [Panel(0, lanes, 1)], lanes)
    finish = Finish(build, step, bucket, "requant")
    zeros = [const(zero, "int32", lanes) for zero in (operator.x_zero_point, operator.y_zero_point)]

    def body(offsets: list[Expr], count: int) -> None:
        parts = -(-count // lanes)
        products = []
        for part in range(parts):
            left = load_values(x, offsets[0] + part * lanes, lanes) - zeros[0]
            right = load_values(y, offsets[1] + part * lanes, lanes) - zeros[1]
            products.append(bind(left * right))
        counts = [min(lanes, count - part * lanes) for part in range(parts)]
        places: list[Expr] = [offsets[2], *[None] * (parts - 1)]
        finish.store(places, finish.values(0, 0, products), counts)

    each_vector(build, rows, 4 * lanes, body)
    return f"{4 * lanes} elements at a time"
