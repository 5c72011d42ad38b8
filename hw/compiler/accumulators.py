"""Operators that sum: their windows, the lines these make, and their biases."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.compiler import lines
from edgeconv.hw.compiler.memory import View
from edgeconv.hw.compiler.windows import Line, Window
from edgeconv.hw.spec import ArrayConfig
from edgeconv.ir import Program, describe, geometry
from edgeconv.ir import operators as ops

__all__ = ["ACCUMULATORS", "Accumulators", "macs_of", "plane", "two_axes"]

Ints = NDArray[np.int64]
ACCUMULATORS = (ops.Conv, ops.ConvTranspose, ops.MatMul, ops.AvgPool, ops.ReduceSum)


class Accumulators:
    """What the array sums for operators of a program.

    Args:
        view: the memory of a tensor that an operator reads.
    """

    def __init__(self, program: Program, config: ArrayConfig, view: Callable[[str, ops.Operator], View]) -> None:
        self.program, self.config, self.view = program, config, view

    def window(
        self, operator: ops.Operator, x: View, index: Ints, w: Ints, groups: int, zero: int, **kind: bool
    ) -> Window:
        return Window(-1, describe(operator), x, index, w, groups, zero, self.config, **kind)

    def of(self, operator: ops.Operator) -> tuple[Window, Callable[[Ints], Iterable[Line]], list[int]]:
        """The window of an operator that sums, its lines, and its biases."""
        if isinstance(operator, (ops.Conv, ops.ConvTranspose)):
            return self._convolution(operator)
        if isinstance(operator, ops.MatMul):
            return self._product(operator)
        assert isinstance(operator, (ops.AvgPool, ops.ReduceSum))
        x = self.view(operator.x, operator)
        index = plane(x.index, operator)
        spatial = index.shape[1:]
        weights = None
        if isinstance(operator, ops.AvgPool):
            over = two_axes(operator.window)
            rank = len(operator.kernel)
            counts = operator.window.counts(x.index.shape[2:], operator.counted_pads)
            weights = operator.window.count_multiple(x.index.shape[2:], operator.counted_pads) // counts
            weights = weights.reshape(*(1,) * (2 - rank), *counts.shape)
        else:
            over = self.reduction(operator, operator.axes, x.index.ndim, spatial)
        ones = np.ones((1, 1, *over.kernel), np.int64)
        window = self.window(operator, x, index, ones, 1, operator.x_zero_point, diagonal=True)
        return window, lambda out: lines.conv_lines(over, spatial, out, weights), [0] * index.shape[0]

    def _convolution(
        self, operator: ops.Conv | ops.ConvTranspose
    ) -> tuple[Window, Callable[[Ints], Iterable[Line]], list[int]]:
        x = self.view(operator.x, operator)
        index = plane(x.index, operator)
        w = self._constant(operator.w, operator)
        biases = self._biases(operator.bias, w.shape[0], operator)
        type_ = self.program.types[operator.w]
        w = w.reshape(*w.shape[:2], *(1,) * (4 - w.ndim), *w.shape[2:])
        window = self.window(operator, x, index, w, operator.groups, operator.x_zero_point)
        spatial = index.shape[1:]
        if isinstance(operator, ops.Conv):
            over = two_axes(operator.window(type_))
            return window, lambda out: lines.conv_lines(over, spatial, out), biases
        across = two_axes_transposed(operator.window(type_))
        return window, lambda out: lines.transposed_lines(across, spatial, out), biases

    def _product(self, operator: ops.MatMul) -> tuple[Window, Callable[[Ints], Iterable[Line]], list[int]]:
        x = self.view(operator.x, operator)
        w = self._constant(operator.w, operator)
        if w.ndim != 2:
            raise UnsupportedModelError(
                f"{describe(operator)}: weights of shape {w.shape}", expected="one matrix on the accelerator"
            )
        weights = (w - operator.w_zero_point).T[:, :, None, None]
        window = self.window(operator, x, lines.as_rows(x.index), weights, 1, operator.x_zero_point)
        return window, lines.row_lines, self._biases(operator.bias, w.shape[1], operator)

    def reduction(
        self, operator: ops.Operator, axes: tuple[int, ...], rank: int, spatial: tuple[int, ...]
    ) -> geometry.Window:
        if any(axis < 2 for axis in axes):
            raise UnsupportedModelError(
                f"{describe(operator)}: a reduction over axes {axes}",
                expected="spatial axes on the accelerator",
                advice="a convolution of one tap sums over channels",
            )
        whole = {axis - rank + 2 for axis in axes}
        return geometry.Window.of(tuple(extent if axis in whole else 1 for axis, extent in enumerate(spatial)))

    def _constant(self, name: str, operator: ops.Operator) -> Ints:
        if name not in self.program.constants:
            raise UnsupportedModelError(
                f"{describe(operator)}: a product of two activations", expected="constant weights on the accelerator"
            )
        return self.program.constants[name].array.astype(np.int64)

    def _biases(self, name: str | None, count: int, operator: ops.Operator) -> list[int]:
        return [0] * count if name is None else [int(value) for value in self._constant(name, operator)]


def plane(index: Ints, operator: ops.Operator) -> Ints:
    """A tensor (1, C, …) as (C, H, W).

    Raises:
    UnsupportedModelError: another shape.
    """
    if index.ndim < 2 or index.shape[0] != 1:
        raise UnsupportedModelError(
            f"{describe(operator)} over shape {index.shape}", expected="(1, channels, …) on the accelerator"
        )
    return lines.as_plane(index)


def macs_of(program: Program, operator: ops.Operator) -> int:
    if isinstance(operator, (ops.Conv, ops.ConvTranspose)):
        spatial = program.types[operator.output if isinstance(operator, ops.Conv) else operator.x].shape[2:]
        return prod(program.types[operator.w].shape) * prod(spatial)
    if isinstance(operator, ops.MatMul):
        return prod(program.types[operator.output].shape) * program.types[operator.x].shape[-1]
    return 0


def two_axes(window: geometry.Window) -> geometry.Window:
    """The window over two axes; the first one is new where there was one."""
    if window.rank == 2:
        return window
    (begin, end) = window.pads
    return geometry.Window((1, *window.kernel), (1, *window.strides), (1, *window.dilations), (0, begin, 0, end))


def two_axes_transposed(window: geometry.TransposedWindow) -> geometry.TransposedWindow:
    if window.rank == 2:
        return window
    (begin, end) = window.pads
    return geometry.TransposedWindow(
        (1, *window.kernel),
        (1, *window.strides),
        (1, *window.dilations),
        (0, begin, 0, end),
        (0, *window.output_padding),
    )
