"""Matrix products with constant weights by panels of output columns (instruction sets with vectors)."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import Builder, bind
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.conv import conv_constants
from edgeconv.codegen.kernels.dense_blocking import choose_panel, choose_tile
from edgeconv.codegen.kernels.panels import can_finish, cut_panels, make_buckets
from edgeconv.codegen.kernels.product import (
    Product,
    Runs,
    choose_dot,
    may_split,
    product_fits,
    widened,
)
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.starts import started_bias
from edgeconv.codegen.kernels.tiles import rank_rows, sequel_pays
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import operators as ops
from edgeconv.ir.forms import PANEL

_MOST_BLOCKS = 4  # of the widest vector
_MOST_GAPS = 2  # the operand's memory may be this many times longer than its elements


def panel_blocks(rows: int, columns: int, lanes: int) -> int:
    """Vectors in a panel of columns: cut alike for all vector widths, so that their weights may be shared."""
    return min((_MOST_BLOCKS if rows == 1 else 2) * (PANEL // lanes), -(-columns // lanes))


def _rows(step: Step, operator: ops.MatMul) -> int:
    return prod(step.type(operator.x).shape[:-1])


def stored_weights(step: Step, operator: ops.MatMul) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Weights (N, stored elements of a row of x) in the order of x's memory, zero where it holds nothing; and bias.

    The zero point of the weights is removed.
    """
    w, bias = conv_constants(step)
    w = w - operator.w_zero_point
    x = step.layout(operator.x)
    offsets = x.offset([*(0,) * (len(x.axes) - 1), np.arange(w.shape[0])])  # one number where the row has one element
    places = np.broadcast_to(np.asarray(offsets), w.shape[:1]) - x.base
    stored = np.zeros((w.shape[1], int(places.max()) + 1), np.int64)
    stored[:, places] = w.T
    shift = operator.x_zero_point + x.storage.bias
    return stored, bias - shift * w.sum(0)


def _stored_range(step: Step, operator: ops.MatMul) -> tuple[int, int]:
    type_, bias = step.type(operator.x).dtype, step.layout(operator.x).storage.bias
    return type_.lo + bias, type_.hi + bias


def _can_handle(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if isa.lanes == 1 or not isinstance(operator, ops.MatMul) or str(operator.dtype) != "i32":
        return False
    constants = step.plan.program.constants
    if operator.w not in constants or len(constants[operator.w].array.shape) != 2 or operator.x in constants:
        return False
    if operator.bias is not None and operator.bias not in constants:
        return False
    x, y = step.layout(operator.x), step.layout(step.output)
    if y.order != "row_major" or (x.order != "row_major" and _rows(step, operator) > 1):
        return False
    stored, bias = stored_weights(step, operator)
    inner = step.type(operator.x).shape[-1]
    dot = choose_dot(isa, x.storage.element, stored)
    reach = _stored_range(step, operator)
    if stored.shape[1] > _MOST_GAPS * inner + 64 or dot is None or not product_fits(dot, stored, bias, reach):
        return False
    last = len(y.axes) - 1
    axis_fits = step.requant is None or step.requant.linear.channels == 1 or step.requant.linear.axis == last
    return axis_fits and can_finish(isa, step, range(0, len(stored), isa.lanes))


def _goes_on(isa: Isa, step: Step) -> bool:
    """Whether the step's sequel pays at the end of its tiles; that of accumulators does: they stay in registers."""
    if step.requant is None:
        return True
    operator = step.operator
    assert isinstance(operator, ops.MatMul)
    stored, _ = stored_weights(step, operator)
    dot = choose_dot(isa, step.layout(operator.x).storage.element, stored)
    assert dot is not None
    rows, groups = _rows(step, operator), Runs((), (), stored.shape[1]).groups(dot.group)
    blocks = min(isa.panel_blocks, panel_blocks(rows, len(stored), isa.lanes))
    return sequel_pays(rank_rows(isa, dot, blocks, False, groups, rows)[0], rows)


@kernel(ops.MatMul, "matmul.panels", can_handle=_can_handle, priority=10, fuses=True, goes_on=_goes_on, parallel=True)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.MatMul)
    isa, y = build.isa, step.layout(step.output)
    stored, bias = stored_weights(step, operator)
    reach = _stored_range(step, operator)
    x = build.view(operator.x)
    dot = choose_dot(isa, x.layout.storage.element, stored)
    assert dot is not None
    if dot.activation != x.layout.storage.element:
        x = widened(build, x)
    rows, columns = _rows(step, operator), len(stored)
    runs = Runs((), (), stored.shape[1])
    bias, started = started_bias(step, dot, stored, bias, reach)
    groups, blocks = runs.groups(dot.group), min(isa.panel_blocks, panel_blocks(rows, columns, isa.lanes))
    blocks = choose_panel(build, step, "matmul.panels", dot, columns, blocks, groups, rows)
    height, chains = choose_tile(
        *(build, step, "matmul.panels tile", dot, blocks, False, (groups, groups), rows),
        splits=may_split(dot, stored, bias, reach),
    )
    buckets = make_buckets(step, cut_panels(0, columns, isa.lanes, blocks), isa.lanes)
    weights = stored[:, None, :]
    inner = step.type(operator.x).shape[-1]
    for number, bucket in enumerate(buckets):
        product = Product(build, step, bucket, dot, runs, x, weights, bias, f".{number}", started=started)
        first = np.array([panel.first for panel in bucket.panels])
        counts = -(-rows // height), len(first)
        each_tile, each_panel = build.sharing(counts)
        with each_tile(counts[0]) as tile, each_panel(counts[1]) as panel:
            start = tile * height
            if rows % height and not isinstance(tile, int):
                start = bind(tirx.min(start, rows - height))
            column: Expr = int(first[0]) + panel * (bucket.blocks * isa.lanes)
            if len(set(np.diff(first))) > 1:
                column = bind(build.constant(f"{step.output}/columns", first.astype(np.int32)).load([panel]))
            elif len(first) > 1:
                column = int(first[0]) + panel * int(first[1] - first[0])
            windows = [x.layout.base + (start + index) * inner for index in range(height)]
            dense = columns == bucket.blocks * isa.lanes
            y_start = y.base + start * columns + column
            others = [_offsets(step.layout(name).base + start * columns + column, columns) for name in step.others]
            product.tile(panel, windows, _offsets(y_start, columns), chains, dense, others)
    return f"{dot.name}, tile {height}×{blocks}, {chains} chains, {groups} groups"


def _offsets(first: Expr, stride: int) -> Callable[[int], Expr]:
    return lambda row: first + row * stride
