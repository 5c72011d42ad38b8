"""From the core of a program to passes of the array."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.compiler import lines
from edgeconv.hw.compiler.accumulators import ACCUMULATORS, Accumulators, macs_of, plane, two_axes
from edgeconv.hw.compiler.memory import Buffer, View, channels_last, code_offset
from edgeconv.hw.compiler.movement import alias_concats, moved
from edgeconv.hw.compiler.operators import no_such_operator, require_operators
from edgeconv.hw.compiler.passes import Channels, Layer, Pass
from edgeconv.hw.compiler.scaling import copied, raw, rescaled
from edgeconv.hw.compiler.sums import sum_passes
from edgeconv.hw.compiler.tables import check_table, following_table, with_table
from edgeconv.hw.compiler.windows import Line, Window
from edgeconv.hw.spec import LANES, ArrayConfig
from edgeconv.ir import Program, describe
from edgeconv.ir import operators as ops
from edgeconv.ir.forms import Form, ProvedForms

__all__ = ["Lowered", "lower"]

Ints = NDArray[np.int64]


@dataclass(eq=False)
class Lowered:
    """A program as passes.

    Attributes:
        layers: what was asked of the array, in order; a pass names its layer by index.
        inputs: where the host writes what the array reads.
        results: place of each element of an output in the result memory, in results.
        result_words: words of 8 results that are used.
    """

    layers: list[Layer] = field(default_factory=list)
    passes: list[Pass] = field(default_factory=list)
    buffers: list[Buffer] = field(default_factory=list)
    inputs: dict[str, View] = field(default_factory=dict)
    results: dict[str, Ints] = field(default_factory=dict)
    result_words: int = 0


def lower(core: Program, forms: Mapping[str, ProvedForms], config: ArrayConfig) -> Lowered:
    """Passes for a program of integers.

    Raises:
        UnsupportedModelError: an operator, a layout or a width that the array does not have; names it and the limit.
    """
    require_operators(core)
    work = _Work(core, forms, config)
    for name in core.inputs:
        work.add_input(name)
    alias_concats(core, work.views, work.new_view)
    for operator in core.operators:
        work.add(operator)
    for name in core.outputs:
        work.add_result(name)
    return work.lowered


class _Work:
    """The state of lowering: views of what was written, accumulators that wait for their rounding."""

    def __init__(self, program: Program, forms: Mapping[str, ProvedForms], config: ArrayConfig) -> None:
        self.program, self.config = program, config
        self.forms = forms
        self.sums = Accumulators(program, config, self.view)
        self.lowered = Lowered()
        self.views: dict[str, View] = {}
        self.waiting: dict[str, ops.Operator] = {}
        self.fused: set[str] = set()

    # --- tensors -------------------------------------------------------------------------------------------------

    def add_input(self, name: str) -> None:
        """Memory for what the host writes; wide inputs have a plane for their high and one for their low bytes."""
        type_ = self.program.types[name]
        planes = 1 if type_.dtype.bits <= 8 else 2
        if type_.dtype.bits > 16:
            raise UnsupportedModelError(
                f"input %{name} has {type_.dtype.bits} bits", expected="at most 16 bits on the accelerator"
            )
        self._require_one_sample(name)
        stride = -(-type_.size // LANES) * LANES
        buffer = Buffer(name, planes * stride, -1, -1)
        self.lowered.buffers.append(buffer)
        index = channels_last(type_.shape)
        view = View(buffer, index, type_.dtype.lo, type_.dtype.hi, planes, stride if planes > 1 else 0)
        self.views[name] = self.lowered.inputs[name] = view

    def new_view(self, name: str, index: Ints | None = None) -> View:
        """Memory for a tensor of at most 8 bits, channels last."""
        type_ = self.program.types[name]
        if type_.dtype.bits > 8:
            raise UnsupportedModelError(
                f"%{name} has {type_.dtype.bits} bits",
                expected="at most 8 bits between the layers of the accelerator",
                advice="quantize that activation to 8 bits",
            )
        self._require_one_sample(name)
        buffer = Buffer(name, type_.size, 1 << 30, -1)
        self.lowered.buffers.append(buffer)
        return View(buffer, channels_last(type_.shape) if index is None else index, type_.dtype.lo, type_.dtype.hi)

    def _require_one_sample(self, name: str) -> None:
        shape = self.program.types[name].shape
        if len(shape) > 4 or (len(shape) > 1 and shape[0] != 1):
            raise UnsupportedModelError(
                f"%{name} has shape {shape}", expected="(1, channels, …) with at most two spatial axes"
            )

    def view(self, name: str, reader: ops.Operator) -> View:
        """The memory of a tensor that an operator reads."""
        if name not in self.views:
            raise UnsupportedModelError(
                f"{describe(reader)} reads %{name}, which is not rounded to 8 bits before it",
                expected="an input or a rounded tensor",
                advice="put a quantizer between the two",
            )
        return self.views[name]

    # --- operators -----------------------------------------------------------------------------------------------

    def add(self, operator: ops.Operator) -> None:
        """One operator of the core, unless it was fused into the one before it."""
        if operator.output in self.fused:
            return
        if isinstance(operator, ACCUMULATORS):
            self.waiting[operator.output] = operator
        elif isinstance(operator, ops.Requant):
            self._requant(operator)
        elif isinstance(operator, ops.Add):
            self._add(operator)
        elif isinstance(operator, (ops.MaxPool, ops.ReduceMax)):
            self._max(operator)
        elif isinstance(operator, ops.Table):
            self._table(operator)
        elif isinstance(operator, ops.Concat):
            self._concat(operator)
        else:
            view = moved(operator, self.program, lambda name: self.view(name, operator))
            if view is None:
                raise no_such_operator(describe(operator))
            self.views[operator.output] = view

    def _requant(self, operator: ops.Requant) -> None:
        source = self.waiting.get(operator.x)
        if source is None:
            x = self.view(operator.x, operator)
            index = plane(x.index, operator)
            count, biases = index.shape[0], [0] * index.shape[0]
            window = self.sums.window(operator, x, index, np.ones((1, 1, 1, 1), np.int64), 1, 0, diagonal=True)
            self._finish(operator, (), window, lines.row_lines, count, biases, operator.linear.axis)
            return
        window, make, biases = self.sums.of(source)
        self._finish(operator, (source.output,), window, make, len(biases), biases, operator.linear.axis)

    def _finish(
        self,
        operator: ops.Requant,
        before: tuple[str, ...],
        window: Window,
        make: Callable[[Ints], Iterable[Line]],
        count: int,
        biases: list[int],
        axis: int,
    ) -> None:
        """Round an accumulator, look the result up where a table follows alone, and write it where it is read."""
        rows = isinstance(self.waiting.get(operator.x), ops.MatMul)
        rank = len(self.program.types[operator.output].shape)
        if operator.linear.channels > 1 and axis != (rank - 1 if rows else 1):
            raise UnsupportedModelError(
                f"{describe(operator)}: scales along axis {axis}", expected="one scale, or one for each output channel"
            )
        forms = self.forms[operator.output].forms
        self._write(operator, (*before, operator.output), window, make, forms, count, biases, rows)

    def _write(
        self,
        operator: ops.Requant | ops.Add,
        computes: tuple[str, ...],
        window: Window,
        make: Callable[[Ints], Iterable[Line]],
        forms: tuple[Form, ...],
        count: int,
        biases: list[int],
        rows: bool = False,
    ) -> None:
        name, type_ = operator.output, self.program.types[operator.output]
        table = following_table(self.program, name)
        if not self.program.consumers[name] and table is None and name in self.program.outputs:
            channels = rescaled(describe(operator), forms, count, biases, operator.grid, 0)
            self._result(name, operator, computes, window, make, channels, rows)
            return
        channels = rescaled(describe(operator), forms, count, biases, operator.grid, code_offset(type_.dtype.lo))
        if table is not None:
            channels = with_table(self.program, channels, table)
            name, computes = table.output, (*computes, table.output)
            self.fused.add(table.output)
        index = None
        if rows:
            shape = self.program.types[name].shape
            index = np.arange(prod(shape), dtype=np.int64).reshape(shape)
        view = self.views.get(name) or self.new_view(name, index)
        self.views[name] = view
        out = lines.as_rows(view.index) if rows else plane(view.index, operator)
        self._emit(operator, name, computes, window, make(_contiguous(out, operator)), channels, view.buffer)

    def _emit(
        self,
        operator: ops.Operator,
        name: str,
        computes: tuple[str, ...],
        window: Window,
        found: Iterable[Line],
        channels: Channels,
        to: Buffer | None,
    ) -> None:
        layer = len(self.lowered.layers)
        macs = sum(macs_of(self.program, self.program.producers[each]) for each in computes)
        keyword = self.program.producers[computes[0]].keyword
        self.lowered.layers.append(Layer(name, keyword, operator.origin, macs, computes))
        window.layer = layer
        for line in found:
            self.lowered.passes += window.passes(line, channels, to)

    def _result(
        self,
        name: str,
        operator: ops.Operator,
        computes: tuple[str, ...],
        window: Window,
        make: Callable[[Ints], Iterable[Line]],
        channels: Channels,
        rows: bool,
    ) -> None:
        """Write a tensor to the result memory: 8 channels a word, positions one after the other."""
        shape = self.program.types[name].shape
        width = -(-len(channels) // LANES) * LANES
        base = self.lowered.result_words * LANES
        positions = prod(shape) // len(channels)
        places = base + np.arange(positions)[:, None] * width + np.arange(len(channels))
        if rows:
            index = places.reshape(shape)
            out = lines.as_rows(index)
        else:
            spatial = shape[2:]
            index = np.moveaxis(places.reshape(shape[0], *spatial, shape[1]), -1, 1)
            out = lines.as_plane(index)
        self.lowered.results[name] = index
        self.lowered.result_words += positions * width // LANES
        self._emit(operator, name, computes, window, make(out), channels, None)

    # --- the others ----------------------------------------------------------------------------------------------

    def _add(self, operator: ops.Add) -> None:
        shape = self.program.types[operator.output].shape
        views = [self.view(name, operator) for name in operator.inputs]
        offset = code_offset(self.program.types[operator.output].dtype.lo)
        layer = Layer(operator.output, operator.keyword, operator.origin, 0, (operator.output,))
        view = self.views.get(operator.output) or self.new_view(operator.output)
        self.views[operator.output] = view
        self.lowered.layers.append(layer)
        planes = [plane(np.broadcast_to(each.index, shape), operator) for each in views]
        self.lowered.passes += sum_passes(
            operator,
            len(self.lowered.layers) - 1,
            views,
            planes,
            _contiguous(plane(view.index, operator), operator),
            view.buffer,
            self.forms[operator.output],
            offset,
            self.config,
        )

    def _max(self, operator: ops.MaxPool | ops.ReduceMax) -> None:
        x = self.view(operator.x, operator)
        if x.planes > 1:
            raise UnsupportedModelError(
                f"{describe(operator)} over more than 8 bits", expected="at most 8 bits on the accelerator"
            )
        index = plane(x.index, operator)
        spatial = index.shape[1:]
        over = (
            two_axes(operator.window)
            if isinstance(operator, ops.MaxPool)
            else self.sums.reduction(operator, operator.axes, x.index.ndim, spatial)
        )
        ones = np.ones((1, 1, *over.kernel), np.int64)
        # Bytes are unsigned: 0 is the least of them, and what padding counts as.
        window = self.sums.window(operator, x, index, ones, 1, -x.offset, maximum=True, diagonal=True)
        view = self.views.get(operator.output) or self.new_view(operator.output)
        self.views[operator.output] = view
        found = lines.conv_lines(over, spatial, _contiguous(plane(view.index, operator), operator))
        self._emit(operator, operator.output, (operator.output,), window, found, copied(index.shape[0]), view.buffer)

    def _table(self, operator: ops.Table) -> None:
        """A table that could not be fused: bytes go through the array as they are and are looked up at its end."""
        x = self.view(operator.x, operator)
        view = self.views.get(operator.output) or self.new_view(operator.output)
        check_table(self.program, operator)
        self.views[operator.output] = view
        channels = with_table(self.program, copied(plane(x.index, operator).shape[0]), operator)
        self._copy(operator, operator.output, x, view, channels, (operator.output,))

    def _copy(
        self, operator: ops.Operator, name: str, x: View, view: View, channels: Channels, computes: tuple[str, ...]
    ) -> None:
        index = plane(x.index, operator)
        ones = np.ones((1, 1, 1, 1), np.int64)
        window = self.sums.window(operator, x, index, ones, 1, -x.offset, diagonal=True)
        found = lines.row_lines(_contiguous(plane(view.index, operator), operator))
        self._emit(operator, name, computes, window, found, channels, view.buffer)

    def _concat(self, operator: ops.Concat) -> None:
        view = self.views[operator.output]
        start = 0
        for name in operator.inputs:
            extent = self.program.types[name].shape[operator.axis]
            part = view.moved(np.take(view.index, range(start, start + extent), operator.axis))
            start += extent
            mine = self.view(name, operator)
            if mine.buffer is view.buffer and np.array_equal(mine.index, part.index):
                continue
            channels = copied(plane(mine.index, operator).shape[0])
            self._copy(operator, operator.output, mine, part, channels, (operator.output,))

    def add_result(self, name: str) -> None:
        """An output that is not in the result memory yet: an accumulator as it is, or a copy of a tensor."""
        if name in self.lowered.results:
            return
        source = self.waiting.get(name)
        if source is not None:
            if str(self.program.types[name].dtype) != "i32":
                raise UnsupportedModelError(f"output %{name} has 64 bits", expected="32 bits on the accelerator")
            window, make, biases = self.sums.of(source)
            self._result(name, source, (name,), window, make, raw(biases), isinstance(source, ops.MatMul))
            return
        operator = self.program.producers[name]
        x = self.view(name, operator)
        rank = self.program.types[name].shape
        index = plane(x.index, operator)
        window = self.sums.window(operator, x, index, np.ones((1, 1, 1, 1), np.int64), 1, 0, diagonal=True)
        self._result(name, operator, (name,), window, lines.row_lines, raw([0] * index.shape[0]), len(rank) < 2)


def _contiguous(out: Ints, operator: ops.Operator) -> Ints:
    """Places of results (C, H, W), which must be written channel by channel.

    Raises:
        UnsupportedModelError: they are not.
    """
    if not np.array_equal(out, out[:1] + np.arange(out.shape[0])[:, None, None]):
        raise UnsupportedModelError(
            f"{describe(operator)}: its result does not lie with its channels together in memory",
            advice="concatenate along the channels, or along space",
        )
    return out
