"""Depthwise convolution: a thread for four neighbouring channels of a position, which are one word of memory.

A dot product of a word of activations with a word of weights that has one byte alone is the product of one channel.
"""

from __future__ import annotations

import numpy as np

from edgeconv.codegen.builder import Builder, bind, const
from edgeconv.codegen.cuda.builder import CudaBuilder
from edgeconv.codegen.cuda.kernels.products import WindowKernel, WindowRows, conv_rows, reads_windows
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.conv_panels import stored_bias
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import operators as ops

_WORD = 4


def _can_handle(isa: Isa, step: Step) -> bool:
    operator = step.operator
    assert isinstance(operator, ops.Conv)
    channels = step.layout(operator.x).shape[1]
    single = operator.groups == channels == step.layout(step.output).shape[1]
    return isa.gpu and single and channels % _WORD == 0 and reads_windows(step, operator)


@kernel(ops.Conv, "conv.depthwise_words", can_handle=_can_handle, priority=50, fuses=True, parallel=True)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Conv)
    assert isinstance(build, CudaBuilder)
    w, bias = stored_bias(step, operator)
    return _Depthwise(build, step, build.view(operator.x), conv_rows(step, operator, w, bias)).emit()


class _Depthwise(WindowKernel):
    """Emits the kernel; the rows' windows are those of channel 0."""

    def emit(self) -> str:
        rows, build = self._rows, self._build
        taps, words = rows.runs.number, rows.outputs // _WORD
        weights = build.constant(f"{self._name}/weights", self._masked(rows, words))
        with build.parallel_nest([rows.count, words]) as (row, word):
            accs = [build.local("int32", 1) for _ in range(_WORD)]
            for index, acc in enumerate(accs):
                acc.store("int32", 0, self._bias.load([word * _WORD + index]))
            window = bind(self._x.start + rows.window(row) + word * _WORD)
            first = weights.origin // (2 * _WORD) + word * 2
            with self._steps(1) as (place, tap, _):
                loaded = bind(self._word(window + place))
                for half in range(2):
                    pair = bind(weights.memory.load("uint64", first + tap * (2 * words) + half))
                    masked = pair.astype("int32"), tirx.shift_right(pair, const(32, "uint64")).astype("int32")
                    for index, weight in enumerate(masked):
                        acc = accs[2 * half + index]
                        acc.store("int32", 0, build.team.dot(acc.load("int32", 0), loaded, weight))
            self._finish_word([acc.load("int32", 0) for acc in accs], rows.output(row), word * _WORD)
        return f"dp4a, {taps} taps of {_WORD} channels"

    @staticmethod
    def _masked(rows: WindowRows, words: int) -> np.ndarray:
        """(tap, word, channel of the word, byte): each channel's weight in its own byte, the others zero."""
        weights = rows.weights[:, :, 0].T.reshape(rows.runs.number, words, _WORD)
        masked = np.zeros((*weights.shape, _WORD), np.int8)
        for index in range(_WORD):
            masked[:, :, index, index] = weights[:, :, index]
        return masked

    def _finish_word(self, accs: list[Expr], row: Expr, channel: Expr) -> None:
        """Store four accumulators, as one word where the output has bytes."""
        values = [bind(self._value(acc, channel + index)) for index, acc in enumerate(accs)]
        if self._y.layout.storage.element != "uint8":
            for index, value in enumerate(values):
                self._y.vstore(row + channel + index, value.astype(self._y.layout.storage.element), 1)
            return
        word: Expr = const(0)
        for index, value in enumerate(values):
            word = tirx.bitwise_or(word, tirx.shift_left(value.astype("int32"), const(8 * index)))
        offset = bind(self._y.start + row + channel)
        self._y.memory.store("int32", tirx.shift_right(offset, const(2)), word)
