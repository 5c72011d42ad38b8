"""Matrix products of two activations: the right side is packed at run time into what a dot product reads.

The dot product takes unsigned bytes on the left and signed ones on the right. Both sides are stored unsigned, so the
right side becomes w' = stored - 128 (its highest bit flipped) on the way into [block][group][lane][4], zero beyond the
inner extent. x is what the dot product multiplies: the stored byte less its `offset`. With

    a = zero point + storage bias - offset of the left side,  b = zero point + storage bias - 128 of the right

    Σ_k (x_k - a)·(w'_k - b) = Σ_k x_k·w'_k - a·Σ_k w'_k - b·Σ_k x_k + K·a·b

The column sums Σ w' are dot products with ones on the left, the row sums Σ x, needed where b is not 0, with ones on the
right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeconv.codegen.builder import Builder, Memory, View, bind, const, reinterpret
from edgeconv.codegen.isa.base import Dot, Isa
from edgeconv.codegen.isa.vectors import shuffle
from edgeconv.codegen.kernels.loops import broadcast_indices
from edgeconv.codegen.kernels.panels import Bucket, Finish, can_finish, cut_panels, make_buckets
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.layout import Layout
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import operators as ops

_GROUP = 4
_BLOCKS = 2
_LONGEST = 8192
"""Inner extent up to which no partial sum leaves int32: 8192·(255·128 + 255·(128 + 255) + 255·255 + …) < 2³¹."""
_FLIP = 0x80
_LONGEST_LOAD = 64


def _can_handle(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if isa.lanes == 1 or not isinstance(operator, ops.MatMul) or str(operator.dtype) != "i32":
        return False
    if operator.bias is not None or _byte_dot(isa) is None:
        return False
    constants, plan = step.plan.program.constants, step.plan
    if any(plan.root(name) in constants for name in (operator.x, operator.w)):
        return False
    x, w, y = step.layout(operator.x), step.layout(operator.w), step.layout(step.output)
    if x.storage.element != "uint8" or w.storage.element != "uint8" or y.order != "row_major":
        return False
    if _stride(x, -1) != 1 or x.shape[-1] > _LONGEST:
        return False
    last = len(y.axes) - 1
    axis_fits = step.requant is None or step.requant.linear.channels == 1 or step.requant.linear.axis == last
    return axis_fits and can_finish(isa, step, range(0, y.shape[-1], isa.lanes))


def _byte_dot(isa: Isa) -> Dot | None:
    """The dot product of bytes whose weights lie in memory as they are packed here."""
    dot = isa.dot("uint8", -128, 127)
    if dot is None or dot.group != _GROUP:
        return None
    places = np.arange(isa.lanes * _GROUP).reshape(isa.lanes, _GROUP)
    return dot if np.array_equal(dot.arranged(places), places) else None


def _stride(layout: Layout, axis: int) -> int | None:
    """The stride of an axis of one component, 1 where it has one element; None for an axis of several."""
    components = layout.axes[axis]
    return None if len(components) > 1 else (1 if components[0][0] == 1 else components[0][1])


@dataclass(frozen=True)
class _Shape:
    """rows × inner times inner × columns, in blocks of `lanes` columns and groups of four."""

    rows: int
    inner: int
    columns: int
    lanes: int

    @property
    def groups(self) -> int:
        return -(-self.inner // _GROUP)

    @property
    def blocks(self) -> int:
        return -(-self.columns // self.lanes)

    def offset(self, block: Expr, group: Expr) -> Expr:
        """Where the bytes of a group of a block of columns begin."""
        return (block * self.groups + group) * (self.lanes * _GROUP)


@kernel(ops.MatMul, "matmul.dynamic", can_handle=_can_handle, priority=5, fuses=True)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.MatMul)
    x, w, y = build.view(operator.x), build.view(operator.w), build.view(step.output)
    dot = _byte_dot(build.isa)
    assert dot is not None
    *leading, rows, columns = y.layout.shape
    shape = _Shape(rows, x.layout.shape[-1], columns, build.isa.lanes)
    packed = build.temporary("int8", shape.blocks * shape.groups * shape.lanes * _GROUP)
    starts = build.temporary("int32", shape.blocks * shape.lanes)
    blocks = min(_BLOCKS, shape.blocks)
    most = min(rows, max(1, build.isa.accumulators // blocks))
    (height,) = build.choose(step, "matmul.dynamic", ("rows",), [(count,) for count in range(most, 0, -1)])
    buckets = make_buckets(step, cut_panels(0, columns, shape.lanes, blocks), shape.lanes)
    tiles = [_Tiles(build, step, operator, bucket, f".{number}", dot, shape) for number, bucket in enumerate(buckets)]
    with build.nest(leading) as outer:
        left = broadcast_indices(outer, x.layout.shape[:-2])
        way = _pack(build, w, broadcast_indices(outer, w.layout.shape[:-2]), packed, shape)
        _column_starts(build, operator, dot, packed, starts, shape)
        with build.loop(-(-rows // height)) as tile:
            first = tile * height
            if rows % height and not isinstance(tile, int):
                first = bind(tirx.min(first, rows - height))
            windows = [bind(x.layout.offset([*left, first + row, 0]) + 0) for row in range(height)]
            outputs = [y.layout.offset([*outer, first + row, 0]) for row in range(height)]
            for part in tiles:
                part.emit(x, packed, starts, windows, outputs)
    return f"{dot.name}, tile {height}×{blocks}, {shape.groups} groups, {way}"


def _pack(build: Builder, w: View, leading: Sequence[Expr], packed: View, shape: _Shape) -> str:
    """Put one matrix of the right side into the packed order; how, for the report."""
    start = bind(w.layout.offset([*leading, 0, 0]) + 0)
    along_inner, along_columns = _stride(w.layout, -2), _stride(w.layout, -1)
    if along_columns == 1 and along_inner is not None:
        _interleave(build, w, start, along_inner, packed, shape)
        return "rows interleaved"
    if along_inner == 1 and along_columns is not None:
        _copy_words(build, w, start, along_columns, packed, shape)
        return "words copied"
    with build.nest([shape.blocks * shape.lanes, shape.groups * _GROUP]) as (column, k):
        inside = tirx.all(column < shape.columns, k < shape.inner)
        at = [*leading, tirx.min(k, shape.inner - 1), tirx.min(column, shape.columns - 1)]
        stored = w.vload(w.layout.offset(at), 1).astype("int32") - const(_FLIP)
        target = shape.offset(column // shape.lanes, k // _GROUP) + column % shape.lanes * _GROUP + k % _GROUP
        packed.vstore(target, tirx.Select(inside, stored, const(0)).astype("int8"), 1)
    return "byte by byte"


def _interleave(build: Builder, w: View, start: Expr, stride: int, packed: View, shape: _Shape) -> None:
    """Rows whose columns are neighbours: four vectors of bytes become one. Columns beyond the last hold anything."""
    lanes = shape.lanes
    order = [row * lanes + lane for lane in range(lanes) for row in range(_GROUP)]
    flip = const(_FLIP, "uint8", lanes * _GROUP)

    def group(block: Expr, index: Expr, present: int) -> None:
        source = bind(start + index * (_GROUP * stride) + block * lanes)
        vectors = [bind(w.vload(source + row * stride, lanes)) for row in range(present)]
        vectors += [const(_FLIP, "uint8", lanes)] * (_GROUP - present)
        target = packed.origin + shape.offset(block, index)
        packed.memory.store("uint8", target, shuffle(vectors, order) ^ flip, lanes * _GROUP)

    whole, rest = divmod(shape.inner, _GROUP)
    with build.loop(shape.blocks) as block:
        if whole:
            with build.loop(whole) as index:
                group(block, index, _GROUP)
        if rest:
            group(block, whole, rest)


def _copy_words(build: Builder, w: View, start: Expr, stride: int, packed: View, shape: _Shape) -> None:
    """Columns whose rows are neighbours: each group is a word of memory."""
    rest = shape.inner % _GROUP
    mask = const((1 << (8 * rest)) - 1 if rest else -1)
    flip = const(np.array(0x80808080, np.uint32).view(np.int32).item())

    def word(column: Expr, index: Expr) -> Expr:
        return reinterpret("int32", w.vload(start + column * stride + index * _GROUP, _GROUP)) ^ flip

    def store(column: Expr, index: Expr, value: Expr) -> None:
        target = packed.origin // _GROUP + shape.offset(column // shape.lanes, index) // _GROUP + column % shape.lanes
        packed.memory.store("int32", target, value)

    with build.loop(shape.columns) as column:
        if shape.groups > 1:
            with build.loop(shape.groups - 1) as index:
                store(column, index, word(column, index))
        store(column, shape.groups - 1, word(column, shape.groups - 1) & mask)
    beyond = shape.blocks * shape.lanes - shape.columns
    if beyond:
        with build.nest([beyond, shape.groups]) as (column, index):
            store(column + shape.columns, index, const(0))


def _column_starts(build: Builder, operator: ops.MatMul, dot: Dot, packed: View, starts: View, shape: _Shape) -> None:
    """What the sum of a column begins with: K·a·b - a·Σ w'."""
    a, b = _corrections(build, operator, dot)
    stored = build.constant("ones/activations", np.full(_LONGEST_LOAD, 1 + dot.offset, np.uint8))
    ones = dot.member(dot.activations(stored, 0), 0)
    with build.loop(shape.blocks) as block:
        total = build.local("int32", shape.lanes)
        total.store("int32", 0, const(0, "int32", shape.lanes), shape.lanes)
        if a:
            with build.loop(shape.groups, opaque=True) as group:
                weights = dot.weights(packed.memory, "int8", packed.origin + shape.offset(block, group))
                sums = dot.accumulate(total.load("int32", 0, shape.lanes), ones, weights)
                total.store("int32", 0, sums, shape.lanes)
        scaled = total.load("int32", 0, shape.lanes) * const(a, "int32", shape.lanes)
        starts.vstore(block * shape.lanes, const(shape.inner * a * b, "int32", shape.lanes) - scaled, shape.lanes)


def _corrections(build: Builder, operator: ops.MatMul, dot: Dot) -> tuple[int, int]:
    """a and b of the module's docstring."""
    layouts = build.plan.layouts
    left = operator.x_zero_point + layouts[operator.x].storage.bias - dot.offset
    return left, operator.w_zero_point + layouts[operator.w].storage.bias - _FLIP


class _Tiles:
    """The panels of one bucket against a tile of rows."""

    def __init__(
        self, build: Builder, step: Step, operator: ops.MatMul, bucket: Bucket, label: str, dot: Dot, shape: _Shape
    ) -> None:
        self._build, self._bucket, self._dot, self._shape = build, bucket, dot, shape
        self._correction = _corrections(build, operator, dot)[1]
        self._finish = Finish(build, step, bucket, f"requant{label}")
        firsts = np.array([panel.first // shape.lanes for panel in bucket.panels], np.int32)
        self._firsts = build.constant(f"{step.output}/panels{label}", firsts)

    def emit(self, x: View, packed: View, starts: View, windows: Sequence[Expr], outputs: Sequence[Expr]) -> None:
        """Compute and store all panels of the bucket for these rows."""
        build, shape, blocks, rows = self._build, self._shape, self._bucket.blocks, len(windows)
        lanes = shape.lanes
        slots = rows * blocks
        with build.loop(len(self._bucket.panels)) as panel:
            first = bind(self._firsts.load([panel]))
            acc = build.local("int32", (slots + rows) * lanes)
            for row in range(rows):
                for block in range(blocks):
                    start = starts.vload((first + block) * lanes, lanes)
                    acc.store("int32", (row * blocks + block) * lanes, start, lanes)
                acc.store("int32", (slots + row) * lanes, const(0, "int32", lanes), lanes)

            whole, span = shape.inner // _GROUP, self._dot.span
            if whole >= span:
                with build.loop(whole // span, opaque=True) as index:
                    self._steps(acc, x, packed, windows, first, index * span, [_GROUP] * span)
            present = [_GROUP] * (whole % span) + ([shape.inner % _GROUP] if shape.inner % _GROUP else [])
            for start in range(0, len(present), span):
                begin = whole // span * span + start
                self._steps(acc, x, packed, windows, first, begin, present[start : start + span])
            self._write(acc, panel, first, outputs)

    def _steps(
        self,
        acc: Memory,
        x: View,
        packed: View,
        windows: Sequence[Expr],
        first: Expr,
        begin: Expr,
        present: Sequence[int],
    ) -> None:
        """The groups of one load of activations, each with so many elements that count."""
        blocks, lanes, dot = self._bucket.blocks, self._shape.lanes, self._dot
        loaded = [dot.activations(x, window + begin * _GROUP) for window in windows]
        for index, count in enumerate(present):
            places = [self._shape.offset(first + block, begin + index) for block in range(blocks)]
            weights = [dot.weights(packed.memory, "int8", packed.origin + place) for place in places]
            for row in range(len(windows)):
                activations = dot.member(loaded[row], index)
                pairs = [(row * blocks + block, weights[block]) for block in range(blocks)]
                if self._correction:
                    pairs.append((len(windows) * blocks + row, _ones(count, lanes)))
                for slot, weight in pairs:
                    value = dot.accumulate(acc.load("int32", slot * lanes, lanes), activations, weight)
                    acc.store("int32", slot * lanes, value, lanes)

    def _write(self, acc: Memory, panel: Expr, first: Expr, outputs: Sequence[Expr]) -> None:
        blocks, lanes, rows = self._bucket.blocks, self._shape.lanes, len(outputs)
        count = self._bucket.panels[0].count
        counts = [min(lanes, count - block * lanes) for block in range(blocks)]
        by_block = []
        for block in range(blocks):
            sums = []
            for row in range(rows):
                total = acc.load("int32", (row * blocks + block) * lanes, lanes)
                if self._correction:
                    of_row = acc.load("int32", (rows * blocks + row) * lanes, lanes)
                    total = total - of_row * const(self._correction, "int32", lanes)
                sums.append(bind(total))
            by_block.append(self._finish.values(panel, block, sums))
        offsets: list[Expr] = []
        for output in outputs:
            offsets += [bind(output + first * lanes), *[None] * (blocks - 1)]
        vectors = [by_block[block][row] for row in range(rows) for block in range(blocks)]
        self._finish.store(offsets, vectors, counts * rows)


def _ones(present: int, lanes: int) -> Expr:
    """Weights of 1 for the first `present` elements of each group."""
    word = sum(1 << (8 * index) for index in range(present))
    return reinterpret(f"int8x{lanes * _GROUP}", const(word, "int32", lanes))
