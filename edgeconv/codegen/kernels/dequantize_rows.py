"""Dequantize of rows that follow one another in the user's array, a vector at a time, by one float32 product.

`dequantize_float` says where the product is the exact value rounded once.
"""

from __future__ import annotations

from edgeconv.codegen.builder import Builder, bind, const
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.dequantize_float import clipped_floats, product_of
from edgeconv.codegen.kernels.elementwise_rows import load_values, store_elements
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.rows import Rows, each_vector
from edgeconv.codegen.layout import Layout
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr
from edgeconv.ir import operators as ops

_TOGETHER = 4  # vectors


def _rows_of(x: Layout, y: Layout) -> Rows | None:
    """Rows whose elements are neighbours in x and in y: everything, or the rows of an image of one channel."""
    if x.order == "row_major" and y.order == "row_major":
        return Rows(1, x.size, (x.base, y.base), (0, 0))
    if x.order != "channels_last" or x.shape[:2] != (1, 1) or y.order == "channels_last":
        return None
    if len(x.shape) == 3:
        return Rows(1, x.shape[2], (x.base, y.base), (0, 0))
    return Rows(x.shape[2], x.shape[3], (x.base, y.base), (x.stride(2), y.stride(2)))


def _can_multiply(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if isa.lanes == 1 or not isa.has_fma or not isinstance(operator, ops.Dequantize) or operator.linear.channels > 1:
        return False
    product, x = product_of(step), step.layout(operator.inputs[0])
    narrow = x.storage.element in ("uint8", "int16", "int32")
    return product is not None and product.single and narrow and _rows_of(x, step.layout(step.output)) is not None


@kernel(ops.Dequantize, "dequantize.rows", can_handle=_can_multiply, priority=20, parallel=True, by_rows=True)
def _dequantize(build: Builder, step: Step) -> str:
    operator, product = step.operator, product_of(step)
    assert isinstance(operator, ops.Dequantize)
    assert product is not None
    x, y, lanes = build.view(operator.inputs[0]), build.view(step.output), build.isa.lanes
    rows = _rows_of(x.layout, y.layout)
    assert rows is not None
    (shift,), (factor,) = product.shifts, product.factors

    def body(offsets: list[Expr], count: int) -> None:
        for done in range(0, count, lanes):
            number = load_values(x, offsets[0] + done, lanes)
            number = bind(number + const(shift, "int32", lanes) if shift else number)
            value = bind(number.astype(f"float32x{lanes}") * const(factor, "float32", lanes))
            finished = bind(clipped_floats(operator, value, lanes))
            store_elements(y, offsets[1] + done, finished, lanes, min(lanes, count - done))

    each_vector(build, rows, _TOGETHER * lanes, body)
    return f"{_TOGETHER * lanes} elements at a time"
