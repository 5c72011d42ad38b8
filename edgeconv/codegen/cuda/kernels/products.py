"""Convolutions and matrix products over bytes: tensor cores where they fill a tile, else dot products of four bytes.

Both work on rows of windows: row r of the output reads a window that consists of a few runs of neighbouring stored
bytes (`edgeconv.codegen.kernels.product.Runs`), and zero points and storage biases are in the bias. The rows of all
samples that a block holds follow one another, so a tile of 16 rows is full even where a sample has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.blob import wrapped
from edgeconv.codegen.builder import Builder, Memory, View, bind, const
from edgeconv.codegen.cuda.builder import CudaBuilder
from edgeconv.codegen.cuda.team import Fragment
from edgeconv.codegen.cuda.tensor_core import COLUMNS, DEPTH, FRAGMENT_WORDS, ROWS
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.conv_panels import conv_geometry, stored_bias, stored_range
from edgeconv.codegen.kernels.matmul_panels import stored_weights
from edgeconv.codegen.kernels.product import Runs, stays_inside
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.requantizer import Requantizer
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, T, tirx
from edgeconv.ir import operators as ops

__all__ = ["WindowKernel", "WindowRows", "conv_rows", "reads_windows"]

_WORD, _LANES = 4, 32
_MOST_COLUMN_BLOCKS = 4  # of a warp's tile: 16 accumulators a thread
_MOST_GAPS = 2  # the operand's memory may be this many times longer than its elements


@dataclass(frozen=True)
class WindowRows:
    """What a product reads and writes, in stored elements from the start of x and y.

    Attributes:
        count: output rows of a sample.
        window, output: offset of the window, and of the first output, of a row.
        aligned: every window and every run begins at a multiple of four bytes.
        even: the first output of every row has an even offset, and there are an even number of outputs.
        weights: (outputs, runs, run length).
        bias: (outputs,), what an accumulator starts with.
    """

    count: int
    window: Callable[[Expr], Expr]
    output: Callable[[Expr], Expr]
    aligned: bool
    even: bool
    runs: Runs
    weights: NDArray[np.int64]
    bias: NDArray[np.int64]

    @property
    def outputs(self) -> int:
        """Output channels."""
        return len(self.weights)


def _fits_bytes(weights: NDArray[np.int64]) -> bool:
    return bool(weights.min(initial=0) >= -128 and weights.max(initial=0) <= 127)


def _can_convolve(isa: Isa, step: Step) -> bool:
    operator = step.operator
    assert isinstance(operator, ops.Conv)
    return isa.gpu and operator.groups == 1 and reads_windows(step, operator)


def reads_windows(step: Step, operator: ops.Conv) -> bool:
    """Whether a convolution reads bytes of channels-last rows, padding from the halo, and its sums fit 32 bits."""
    if str(operator.dtype) != "i32" or operator.x in step.plan.program.constants:
        return False
    x, y = step.layout(operator.x), step.layout(step.output)
    if x.order != "channels_last" or y.order != "channels_last" or x.shape[0] != 1 or x.storage.element != "uint8":
        return False
    if any(operator.pads) and (x.halo is None or not x.halo.covers(operator.pads, operator.x_zero_point)):
        return False
    w, bias = stored_bias(step, operator)
    axis_fits = step.requant is None or step.requant.linear.channels == 1 or step.requant.linear.axis == 1
    return axis_fits and _fits_bytes(w) and stays_inside(w, bias, stored_range(step, operator.x))


@kernel(ops.Conv, "conv.products", can_handle=_can_convolve, priority=40, fuses=True, parallel=True)
def _conv(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Conv)
    w, bias = stored_bias(step, operator)
    return _emit(build, step, build.view(operator.x), conv_rows(step, operator, w, bias))


def conv_rows(step: Step, operator: ops.Conv, w: NDArray[np.int64], bias: NDArray[np.int64]) -> WindowRows:
    """The rows of a convolution; of a group, those of its first channel."""
    x, y = step.layout(operator.x), step.layout(step.output)
    g = conv_geometry(step, operator, x, y, w.shape[1])
    weights = np.moveaxis(w, 1, -1).reshape(len(w), g.runs.number, -1)

    def place(row: Expr, first: int, by_row: int, by_position: int) -> Expr:
        if g.rows == 1:
            return first + row * by_position
        line = bind(tirx.truncdiv(row, const(g.row_length)))
        return first + line * by_row + (row - line * g.row_length) * by_position

    return WindowRows(
        count=g.rows * g.row_length,
        window=lambda row: place(row, g.x_first, g.x_row, g.x_position),
        output=lambda row: place(row, y.base, g.y_row, y.shape[1]),
        aligned=not any(value % _WORD for value in (g.x_first, g.x_row, g.x_position, *g.runs.strides)),
        even=not any(value % 2 for value in (y.base, g.y_row, y.shape[1], len(w))),
        runs=g.runs,
        weights=weights,
        bias=bias,
    )


def _can_multiply(isa: Isa, step: Step) -> bool:
    operator = step.operator
    assert isinstance(operator, ops.MatMul)
    constants = step.plan.program.constants
    if not isa.gpu or str(operator.dtype) != "i32" or operator.w not in constants or operator.x in constants:
        return False
    if len(constants[operator.w].array.shape) != 2 or (operator.bias is not None and operator.bias not in constants):
        return False
    x, y = step.layout(operator.x), step.layout(step.output)
    single = prod(step.type(operator.x).shape[:-1]) == 1
    if y.order != "row_major" or x.storage.element != "uint8" or (x.order != "row_major" and not single):
        return False
    stored, bias = stored_weights(step, operator)
    last = len(y.axes) - 1
    axis_fits = step.requant is None or step.requant.linear.channels == 1 or step.requant.linear.axis == last
    dense = stored.shape[1] <= _MOST_GAPS * step.type(operator.x).shape[-1] + 64
    return axis_fits and dense and _fits_bytes(stored) and stays_inside(stored, bias, stored_range(step, operator.x))


@kernel(ops.MatMul, "matmul.products", can_handle=_can_multiply, priority=40, fuses=True, parallel=True)
def _matmul(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.MatMul)
    x, y = step.layout(operator.x), step.layout(step.output)
    stored, bias = stored_weights(step, operator)
    length, outputs = stored.shape[1], len(stored)
    rows = WindowRows(
        count=prod(step.type(operator.x).shape[:-1]),
        window=lambda row: x.base + row * length,
        output=lambda row: y.base + row * outputs,
        aligned=x.base % _WORD == 0 and (length % _WORD == 0 or prod(step.type(operator.x).shape[:-1]) == 1),
        even=y.base % 2 == 0 and outputs % 2 == 0,
        runs=Runs((), (), length),
        weights=stored[:, None, :],
        bias=bias,
    )
    return _emit(build, step, build.view(operator.x), rows)


def _emit(build: Builder, step: Step, x: View, rows: WindowRows) -> str:
    assert isinstance(build, CudaBuilder)
    kind = _TensorCores if build.team.samples * rows.count >= COLUMNS and rows.outputs >= COLUMNS else _DotProducts
    return kind(build, step, x, rows).emit()


def load_word(memory: Memory, offset: Expr, *, aligned: bool) -> Expr:
    """Four bytes of a memory from an offset on, the first in the low byte; unless aligned they lie across two words."""
    if aligned:
        return memory.load("int32", tirx.shift_right(offset, const(2)))
    first = bind(tirx.shift_right(offset, const(2)))
    low = memory.load("uint32", first).astype("uint64")
    high = memory.load("uint32", first + 1).astype("uint64")
    both = bind(tirx.bitwise_or(low, tirx.shift_left(high, const(32, "uint64"))))
    shift = tirx.bitwise_and(offset, const(3)) * 8
    return tirx.shift_right(both, shift.astype("uint64")).astype("int32")


class WindowKernel:
    """What both kernels share: loads of four activations, loops over runs, and the end of an accumulator."""

    def __init__(self, build: CudaBuilder, step: Step, x: View, rows: WindowRows) -> None:
        self._build, self._x, self._rows, self._y = build, x, rows, build.view(step.output)
        self._name = step.output
        self._requantizer = Requantizer(build, step, step.requant.grid) if step.requant else None
        self._per_channel = step.requant is not None and step.requant.linear.channels > 1
        self._bias = build.constant(f"{step.output}/bias", wrapped(rows.bias))

    def _word(self, offset: Expr) -> Expr:
        """Four activations from an offset of x's memory on, the first in the low byte."""
        return load_word(self._x.memory, offset, aligned=self._rows.aligned)

    @contextmanager
    def _steps(self, count: int) -> Iterator[tuple[Expr, Expr, Expr]]:
        """Loops over all runs and `count` steps of each; yields offset of the run in a window, step of all, step."""
        runs = self._rows.runs
        with self._build.nest([*runs.counts, count]) as (*at, step):
            number: Expr = 0
            place: Expr = 0
            for index, extent, stride in zip(at, runs.counts, runs.strides, strict=True):
                number, place = number * extent + index, place + index * stride
            yield place, number * count + step, step

    def _padded_weights(self, outputs: int, length: int) -> NDArray[np.int64]:
        """(outputs, runs, length), zero beyond what there is."""
        weights = self._rows.weights
        padded = np.zeros((outputs, weights.shape[1], length), np.int64)
        padded[: len(weights), :, : weights.shape[2]] = weights
        return padded

    def _finish(self, acc: Expr, row: Expr, channel: Expr) -> None:
        """Store an accumulator; row and sample are the current ones."""
        self._y.vstore(row + channel, self._value(acc, channel).astype(self._y.layout.storage.element), 1)

    def _value(self, acc: Expr, channel: Expr) -> Expr:
        """The stored number of an accumulator, requantized where the step says so."""
        value = bind(acc)
        if self._requantizer is not None:
            value = self._requantizer.scalar(value, channel if self._per_channel else 0)
        bias = self._y.layout.storage.bias
        return value + bias if bias else value


class _DotProducts(WindowKernel):
    """A thread for each output."""

    def emit(self) -> str:
        rows, build = self._rows, self._build
        groups = rows.runs.groups(_WORD)
        padded = self._padded_weights(rows.outputs, groups * _WORD)
        # Threads next to each other have channels next to each other: (run, group, output, byte).
        packed = padded.reshape(rows.outputs, rows.runs.number, groups, _WORD).transpose(1, 2, 0, 3)
        weights = build.constant(f"{self._name}/weights", np.ascontiguousarray(packed).astype(np.int8))
        with build.parallel_nest([rows.count, rows.outputs]) as (row, channel):
            acc = build.local("int32", 1)
            acc.store("int32", 0, self._bias.load([channel]))
            window = bind(self._x.start + rows.window(row))
            first = weights.origin // _WORD + channel
            with self._steps(groups) as (place, number, group):
                loaded = bind(self._word(window + place + group * _WORD))
                weight = weights.memory.load("int32", first + number * rows.outputs)
                acc.store("int32", 0, build.team.dot(acc.load("int32", 0), loaded, weight))
            self._finish(acc.load("int32", 0), rows.output(row), channel)
        return f"dp4a, {rows.runs.number} runs of {groups} groups"


class _TensorCores(WindowKernel):
    """A warp for each tile of 16 rows and a few blocks of 8 channels."""

    def emit(self) -> str:
        rows, build, team = self._rows, self._build, self._build.team
        total = team.samples * rows.count
        tiles = -(-total // ROWS)
        wide, columns = _column_blocks(-(-rows.outputs // COLUMNS), tiles, team.tiles_wanted)
        steps = -(-rows.runs.length // DEPTH)
        weights = self._packed(columns * wide, steps)
        self._full = columns * wide * COLUMNS == rows.outputs
        # A block that has fewer samples than it could take has fewer tiles.
        lines = tiles if team.samples == 1 else bind(tirx.truncdiv(team.active * rows.count + (ROWS - 1), const(ROWS)))
        with team.tiles(tiles * columns, lines * columns) as tile:
            line = bind(tirx.truncdiv(tile, const(columns)))
            first_block = bind((tile - line * columns) * wide)
            acc, windows = team.fragment(FRAGMENT_WORDS["c"] * wide), team.fragment(2)
            with team.lanes() as lane:
                for half in range(2):
                    row = bind(tirx.min(line * ROWS + 8 * half + (lane >> 2), const(total - 1)))
                    sample, own = self._split(row)
                    with build.of_sample(sample):
                        windows.store(lane, half, self._x.start + rows.window(own) + (lane & 3) * _WORD)
                self._begin(acc, lane, first_block, wide)
            with self._steps(steps) as (place, number, step):
                a, b = team.fragment(FRAGMENT_WORDS["a"]), [team.fragment(FRAGMENT_WORDS["b"]) for _ in range(wide)]
                with team.lanes() as lane:
                    for word in range(FRAGMENT_WORDS["a"]):
                        at = windows.load(lane, word & 1) + place + step * DEPTH + (word >> 1) * (DEPTH // 2)
                        a.store(lane, word, self._word(bind(at)))
                    for block in range(wide):
                        at = ((first_block + block) * (steps * rows.runs.number) + number) * _LANES + lane
                        pair = bind(weights.memory.load("uint64", weights.origin // (2 * _WORD) + at))
                        b[block].store(lane, 0, pair.astype("int32"))
                        b[block].store(lane, 1, tirx.shift_right(pair, const(32, "uint64")).astype("int32"))
                for block in range(wide):
                    team.multiply(acc, FRAGMENT_WORDS["c"] * block, a, b[block])
            with team.lanes() as lane:
                self._end(acc, lane, line, first_block, wide, total)
        return f"mma 16×{COLUMNS * wide}×32, {rows.runs.number} runs of {steps} steps"

    def _packed(self, blocks: int, steps: int) -> View:
        """Weights in the order in which the lanes of a warp load them: (block, step, lane, word, byte)."""
        rows = self._rows
        padded = self._padded_weights(blocks * COLUMNS, steps * DEPTH)
        # k = 16·word + 4·(lane mod 4) + byte, column = lane / 4.
        split = padded.reshape(blocks, COLUMNS, rows.runs.number * steps, 2, 4, _WORD)
        packed = np.ascontiguousarray(split.transpose(0, 2, 1, 4, 3, 5)).astype(np.int8)
        return self._build.constant(f"{self._name}/weights", packed)

    def _split(self, row: Expr) -> tuple[Expr, Expr]:
        """Sample and row in it of a row of all samples."""
        count = self._rows.count
        if self._build.team.samples == 1:
            return 0, row
        sample = bind(tirx.truncdiv(row, const(count)))
        return sample, bind(row - sample * count)

    def _begin(self, acc: Fragment, lane: Expr, first_block: Expr, wide: int) -> None:
        for block in range(wide):
            for word in range(2):
                channel = bind((first_block + block) * COLUMNS + (lane & 3) * 2 + word)
                inside = channel if self._full else tirx.min(channel, const(self._rows.outputs - 1))
                start = bind(self._bias.load([inside]))
                for half in range(2):
                    acc.store(lane, FRAGMENT_WORDS["c"] * block + 2 * half + word, start)

    def _end(self, acc: Fragment, lane: Expr, line: Expr, first_block: Expr, wide: int, total: int) -> None:
        """Requantize and store a tile: constants of a channel serve both of a lane's rows."""
        rows, build = self._rows, self._build
        inside = bind(tirx.min(build.team.active * rows.count, const(total)))
        targets = []
        for half in range(2):
            row = bind(line * ROWS + 8 * half + (lane >> 2))
            sample, own = self._split(row)
            with build.of_sample(sample):
                targets.append((row, bind(self._y.start + rows.output(own))))
        together = ((0, 1),) if self._stores_pairs() else ((0,), (1,))
        for block in range(wide):
            for words in together:
                channel = bind((first_block + block) * COLUMNS + (lane & 3) * 2 + words[0])
                with nullcontext() if self._full else _when(channel < const(rows.outputs)):
                    numbers = [[FRAGMENT_WORDS["c"] * block + 2 * half + word for word in words] for half in range(2)]
                    values = [
                        [bind(self._value(acc.load(lane, number), channel + at)) for at, number in enumerate(of_half)]
                        for of_half in numbers
                    ]
                    for (row, target), stored in zip(targets, values, strict=True):
                        with _when(row < inside):
                            self._store_row(bind(target + channel), stored)

    def _stores_pairs(self) -> bool:
        """Whether two neighbouring channels are one aligned word of 16 bits; a user's array may lie anywhere."""
        y = self._y
        return self._rows.even and y.memory is self._build.scratch and y.layout.storage.element == "uint8"

    def _store_row(self, offset: Expr, values: list[Expr]) -> None:
        """Store one value, or two neighbouring bytes as one word."""
        if len(values) == 1:
            self._y.memory.store(
                self._y.layout.storage.element, offset, values[0].astype(self._y.layout.storage.element)
            )
            return
        word = tirx.bitwise_or(values[0], tirx.shift_left(values[1], const(8))).astype("uint16")
        self._y.memory.store("uint16", tirx.shift_right(offset, const(1)), word)


def _column_blocks(blocks: int, lines: int, wanted: int) -> tuple[int, int]:
    """How many blocks of 8 channels a tile has, and how many such tiles stand side by side.

    Wide tiles load each activation less often; where there would be fewer than `wanted` tiles, warps would be idle.
    """
    for most in range(_MOST_COLUMN_BLOCKS, 0, -1):
        wide = -(-blocks // -(-blocks // most))
        columns = -(-blocks // wide)
        if lines * columns >= wanted:
            return wide, columns
    return 1, blocks


@contextmanager
def _when(condition: Expr) -> Iterator[None]:
    with T.If(condition), T.Then():
        yield
