"""Softmax and normalizations of rows that are contiguous in memory, a vector at a time."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from edgeconv.codegen.builder import Builder, View, bind, const
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.elementwise_rows import RowWriter, load_values
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.row_parts import row_constants
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import Grid, Rounding
from edgeconv.ir import operators as ops
from edgeconv.ir.operators.rows import EXP_BITS, LOW_BITS
from edgeconv.ir.rescale import Rescale

_LONGEST_ROW = 1 << 15  # sums of squares of bytes stay inside int32 lane by lane


def _trailing_row(step: Step, axes: tuple[int, ...], rescale: Rescale) -> bool:
    """Whether the rows over `axes` are contiguous in x and y, and constants vary along nothing but their elements."""
    x, y = step.layout(step.operands[0]), step.layout(step.output)
    rank = len(x.axes)
    dense = x.order == y.order == "row_major" and axes == tuple(range(rank - len(axes), rank))
    channels = rescale.channels == 1 or (axes == (rank - 1,) and rescale.axis == rank - 1)
    return dense and channels and y.storage.element in ("uint8", "int16")


class _Rescaler:
    """int64 vectors of fixed-point numbers to what memory holds, as int32 vectors, not yet clipped to narrow types."""

    def __init__(self, build: Builder, step: Step, rescale: Rescale, grid: Grid, length: int) -> None:
        self._lanes, self._rescale, self._grid = build.isa.lanes, rescale, grid
        self._bias = step.layout(step.output).storage.bias
        self._many = rescale.channels > 1
        size = length + self._lanes if self._many else self._lanes
        self._tables = []
        for name, values in (("multipliers", rescale.multipliers), ("addends", rescale.addends)):
            column = np.zeros(size, np.int64)
            column[: length if self._many else size] = values
            self._tables.append(build.constant(f"{step.output}/{name}", column))

    def __call__(self, value: Expr, element: Expr) -> Expr:
        lanes, grid, shift = self._lanes, self._grid, self._rescale.shift

        def wide(number: int) -> Expr:
            return const(number, "int64", lanes)

        at = element if self._many else 0
        multiplier, addend = (table.vload(at, lanes) for table in self._tables)
        scaled = bind(value * multiplier + addend)
        if grid.rounding is Rounding.HALF_EVEN:
            up = (scaled >> wide(shift)) & wide(1)
        else:
            up = wide(1) + (scaled >> wide(63))
        rounded = bind((scaled + wide((1 << (shift - 1)) - 1) + up) >> wide(shift))
        inside = tirx.max(tirx.min(rounded, wide(grid.hi - grid.zero_point)), wide(grid.lo - grid.zero_point))
        return bind(inside.astype(f"int32x{lanes}") + const(grid.zero_point + self._bias, "int32", lanes))


def _each_part(build: Builder, length: int, width: int, body: Callable[[Expr, int], None]) -> None:
    """Call `body(first element, elements)` for runs of at most `width` elements that cover a row."""
    whole, rest = divmod(length, width)
    if whole:
        with build.loop(whole, opaque=True) as index:
            body(index * width, width)
    if rest:
        body(whole * width, rest)


def _store_row(
    build: Builder, step: Step, grid: Grid, target: Expr, length: int, values: Callable[[Expr], Expr]
) -> None:
    """Write a row; `values(first)` gives one vector of what memory holds from an element on."""
    y = build.view(step.output)
    lanes, bias = build.isa.lanes, y.layout.storage.bias
    writer = RowWriter(build, y, grid.lo + bias, grid.hi + bias)

    def body(first: Expr, count: int) -> None:
        vectors = [values(first + part * lanes) for part in range(-(-count // lanes))]
        writer.store(target + first, vectors, count)

    _each_part(build, length, writer.width, body)


def _can_softmax(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if not isinstance(operator, ops.Softmax) or isa.lanes == 1:
        return False
    narrow = step.layout(operator.x).storage.element in ("uint8", "int16")
    return narrow and _trailing_row(step, (operator.axis,), operator.rescale)


@kernel(ops.Softmax, "softmax.rows", priority=10, can_handle=_can_softmax)
def _softmax(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Softmax)
    x, y, lanes = build.view(operator.x), build.view(step.output), build.isa.lanes
    low = build.view(operator.exp_low)
    high = build.view(operator.exp_high) if operator.exp_high is not None else None
    length = x.layout.shape[-1]
    row = build.temporary("int32", length + 4 * lanes)
    rescaled = _Rescaler(build, step, operator.rescale, operator.grid, length)

    def exponential(distance: Expr) -> Expr:
        if high is None:
            return low.load([distance], "int64")
        product = high.load([distance >> LOW_BITS], "int64") * low.load([distance & ((1 << LOW_BITS) - 1)], "int64")
        return (product + const(1 << (EXP_BITS - 1), "int64")) >> const(EXP_BITS, "int64")

    with build.loop(prod(x.layout.shape[:-1])) as index:
        source, target = bind(x.layout.base + index * length), bind(y.layout.base + index * length)
        best = _largest(build, x, source, length)
        total = build.local("int64", 1)
        total.store("int64", 0, const(0, "int64"))
        with build.loop(length, opaque=True) as element:
            stored = x.memory.load(x.layout.storage.element, x.origin + source + element).astype("int32")
            exp = bind(exponential(bind(best - stored)))
            row.store([element], exp)
            total.store("int64", 0, total.load("int64", 0) + exp)
        reciprocal = tirx.Broadcast(bind(tirx.truncdiv(const(1 << 61, "int64"), total.load("int64", 0))), lanes)

        def values(first: Expr, reciprocal: Expr = reciprocal) -> Expr:
            exp = row.vload(first, lanes).astype(f"int64x{lanes}")
            return rescaled(bind((exp * reciprocal) >> const(EXP_BITS, "int64", lanes)), first)

        _store_row(build, step, operator.grid, target, length, values)
    return f"tables element by element, then {lanes} at a time"


def _largest(build: Builder, x: View, source: Expr, length: int) -> Expr:
    """The largest stored number of a row, as int32."""
    storage = x.layout.storage
    lanes = min(64 // storage.bytes, 4 * build.isa.lanes)
    whole, rest = divmod(length, lanes)
    best = build.local("int32", 1)
    best.store("int32", 0, const(np.iinfo(np.int32).min))
    if whole:
        vector = build.local(storage.element, lanes)
        vector.store(storage.element, 0, x.vload(source, lanes), lanes)
        if whole > 1:
            with build.loop(whole - 1, opaque=True) as index:
                larger = tirx.max(vector.load(storage.element, 0, lanes), x.vload(source + (index + 1) * lanes, lanes))
                vector.store(storage.element, 0, larger, lanes)
        for lane in range(lanes):
            best.store("int32", 0, tirx.max(best.load("int32", 0), vector.load(storage.element, lane).astype("int32")))
    if rest:
        with build.loop(rest) as index:
            value = x.vload(source + whole * lanes + index, 1).astype("int32")
            best.store("int32", 0, tirx.max(best.load("int32", 0), value))
    return bind(best.load("int32", 0))


def _can_normalize(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if not isinstance(operator, ops.Normalize) or isa.lanes == 1:
        return False
    x = step.layout(operator.x)
    type_ = step.type(operator.x).dtype
    reach = max(abs(type_.lo - operator.x_zero_point), abs(type_.hi - operator.x_zero_point))
    short = x.storage.element == "uint8" and reach < 1 << 8 and operator.row(x.shape) <= _LONGEST_ROW
    # One group, or channels that do not vary inside of it.
    plain = operator.groups == 1 or operator.rescale.channels == 1
    return short and plain and _trailing_row(step, operator.axes, operator.rescale)


@kernel(ops.Normalize, "normalize.rows", priority=10, can_handle=_can_normalize)
def _normalize(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Normalize)
    x, y, lanes = build.view(operator.x), build.view(step.output), build.isa.lanes
    length = operator.row(x.layout.shape)
    rescaled = _Rescaler(build, step, operator.rescale, operator.grid, length)
    zero = const(operator.x_zero_point, "int32", lanes)
    n = const(length, "int64")
    with build.loop(prod(x.layout.shape) // length) as index:
        source, target = bind(x.layout.base + index * length), bind(y.layout.base + index * length)
        total, squares = _sums(build, x, source, length, operator.x_zero_point)
        mean = total if operator.centered else const(0, "int64")
        inverse, drop = row_constants(build, operator, bind(n * squares - mean * mean))
        constants = [bind(tirx.Broadcast(value, lanes)) for value in (mean, inverse, drop)]

        def values(first: Expr, source: Expr = source, constants: list[Expr] = constants) -> Expr:
            mean, inverse, drop = constants
            c = (load_values(x, source + first, lanes) - zero).astype(f"int64x{lanes}")
            d = c * const(length, "int64", lanes) - mean
            return rescaled(bind((d * inverse) >> drop), first)

        _store_row(build, step, operator.grid, target, length, values)
    return f"{lanes} elements at a time"


def _sums(build: Builder, x: View, source: Expr, length: int, zero_point: int) -> tuple[Expr, Expr]:
    """Σ c and Σ c² of a row of bytes, as int64."""
    lanes = build.isa.lanes
    whole, rest = divmod(length, lanes)
    sums = build.local("int32", 2 * lanes)
    total, squares = build.local("int64", 1), build.local("int64", 1)
    total.store("int64", 0, const(0, "int64"))
    squares.store("int64", 0, const(0, "int64"))
    if whole:
        for slot in range(2):
            sums.store("int32", slot * lanes, const(0, "int32", lanes), lanes)
        with build.loop(whole, opaque=True) as index:
            c = bind(load_values(x, source + index * lanes, lanes) - const(zero_point, "int32", lanes))
            sums.store("int32", 0, sums.load("int32", 0, lanes) + c, lanes)
            sums.store("int32", lanes, sums.load("int32", lanes, lanes) + c * c, lanes)
        for lane in range(lanes):
            total.store("int64", 0, total.load("int64", 0) + sums.load("int32", lane).astype("int64"))
            squares.store("int64", 0, squares.load("int64", 0) + sums.load("int32", lanes + lane).astype("int64"))
    if rest:
        with build.loop(rest) as index:
            stored = x.vload(source + whole * lanes + index, 1).astype("int64")
            c = bind(stored - const(x.layout.storage.bias + zero_point, "int64"))
            total.store("int64", 0, total.load("int64", 0) + c)
            squares.store("int64", 0, squares.load("int64", 0) + c * c)
    return bind(total.load("int64", 0)), bind(squares.load("int64", 0))
