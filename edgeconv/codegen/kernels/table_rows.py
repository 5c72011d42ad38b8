"""Tables of bytes over whole rows, a vector at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import Builder, bind
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.elementwise_rows import store_elements
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.rows import common_rows, each_vector
from edgeconv.codegen.layout import storage_of
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr
from edgeconv.ir import operators as ops

_ENTRIES = 256


def _can_look_up(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if not isinstance(operator, ops.Table) or isa.lanes == 1 or len(step.type(operator.values).shape) > 1:
        return False
    x, y = step.layout(operator.x), step.layout(step.output)
    return x.storage.element == y.storage.element == "uint8" and common_rows([x, y]) is not None


@kernel(
    *(ops.Table, "table.rows"),
    can_handle=_can_look_up,
    priority=10,
    in_place=lambda isa, step: step.operands[:1],
    parallel=True,
    by_rows=True,
)
def _table(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Table)
    x, y = build.view(operator.x), build.view(step.output)
    rows = common_rows([x.layout, y.layout])
    assert rows is not None
    width = 4 * build.isa.lanes
    entries = build.isa.look_up_bytes(build, f"{step.output}/table", _stored_table(step, operator))

    def body(offsets: list[Expr], count: int) -> None:
        store_elements(y, offsets[1], entries(bind(x.vload(offsets[0], width))), width, count)

    each_vector(build, rows, width, body)
    return f"{width} elements at a time"


def _stored_table(step: Step, operator: ops.Table) -> NDArray[np.uint8]:
    """The stored number of the result for each stored number of the operand."""
    x, y = step.type(operator.x).dtype, step.type(operator.values).dtype
    values = step.plan.program.constants[operator.values].array.astype(np.int64)
    table = np.zeros(_ENTRIES, np.int64)
    first = x.lo + storage_of(x).bias
    table[first : first + len(values)] = values + storage_of(y).bias
    return table.astype(np.uint8)
