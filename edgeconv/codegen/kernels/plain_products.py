"""Convolutions and matrix products for C source: one output at a time, over runs of neighbouring bytes.

Zero points and storage biases are subtracted from the bias beforehand, Σ w·(x - z) = Σ w·x - z·Σ w, so that the inner
loop is one multiplication and one addition, and padding is read from the halo.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.blob import narrowed
from edgeconv.codegen.builder import Builder, View, bind
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.accumulator import ScalarFinish
from edgeconv.codegen.kernels.conv import accumulator_element, conv_constants
from edgeconv.codegen.kernels.matmul_panels import stored_weights
from edgeconv.codegen.kernels.registry import always, kernel
from edgeconv.codegen.layout import Layout
from edgeconv.codegen.plan import Step
from edgeconv.codegen.sequels import in_place_over
from edgeconv.codegen.tir import Expr
from edgeconv.ir import operators as ops


class _Sum:
    """Σ w·x of stored numbers, in a type that no partial sum leaves.

    Args:
        weights: (outputs, …), the zero point removed.
        bias: (outputs,), with the zero point of x and its storage bias taken in.
    """

    def __init__(self, build: Builder, step: Step, x: str, weights: NDArray[np.int64], bias: NDArray[np.int64]) -> None:
        type_, layout = step.type(x).dtype, step.layout(x)
        self._build, self._memory, self._origin = build, build.view(x).memory, build.view(x).origin
        self._stored = layout.storage.element
        reach = max(abs(type_.lo + layout.storage.bias), abs(type_.hi + layout.storage.bias))
        rows = np.abs(weights).reshape(len(weights), -1).sum(1)
        self.element = accumulator_element(int((rows * reach + np.abs(bias)).max()))
        self._weights = build.constant(f"{step.output}/weights", narrowed(weights.reshape(-1)))
        self._bias: View = build.constant(f"{step.output}/bias", bias.astype(self.element))
        self._acc = build.local(self.element, 1)

    def start(self, channel: Expr) -> None:
        """Begin with the bias of an output channel."""
        self._acc.store(self.element, 0, self._bias.load([channel], self.element))

    def run(self, x: Expr, w: Expr, length: int) -> None:
        """Add the products of `length` neighbouring elements; x and w are the offsets of the first ones."""
        with self._build.loop(length) as index:
            left = self._memory.load(self._stored, self._origin + x + index).astype(self.element)
            right = self._weights.load([w + index], self.element)
            self._acc.store(self.element, 0, self.value + left * right)

    @property
    def value(self) -> Expr:
        """The sum so far."""
        return self._acc.load(self.element, 0)


def _single_strides(layout: Layout) -> bool:
    return all(len(axis) == 1 for axis in layout.axes)


def _can_conv(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if not isa.plain or not isinstance(operator, ops.Conv) or operator.x in step.plan.program.constants:
        return False
    x = step.layout(operator.x)
    covered = not any(operator.pads) or (x.halo is not None and x.halo.covers(operator.pads, operator.x_zero_point))
    return covered and x.order == "channels_last" and _single_strides(x) and _fits_int64(step, operator)


def _fits_int64(step: Step, operator: ops.Conv | ops.MatMul) -> bool:
    """Taking the zero point apart makes the partial sums larger, by less than a factor of four."""
    w, bias = conv_constants(step)
    zero = operator.w_zero_point if isinstance(operator, ops.MatMul) else 0
    rows = int(np.abs(w).sum()) + abs(zero) * w.size + int(np.abs(bias).max())
    return rows.bit_length() + step.type(operator.x).dtype.bits + 3 < 63


@kernel(ops.Conv, "conv.c", can_handle=_can_conv, priority=5, fuses=True, goes_on=always, in_place=in_place_over)
def _conv(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Conv)
    w, bias = conv_constants(step)
    x, window = step.layout(operator.x), operator.window(step.type(operator.w))
    outputs, inputs, *kernel_shape = w.shape
    shift = operator.x_zero_point + x.storage.bias
    inner = np.ascontiguousarray(np.moveaxis(w, 1, -1))  # (O, kernel…, I)
    total = _Sum(build, step, operator.x, inner, bias - shift * w.reshape(outputs, -1).sum(1))
    finish = ScalarFinish(build, step)
    # Neighbouring taps of a row are neighbours in memory where all channels take part.
    joined = operator.groups == 1 and operator.dilations[-1] == 1
    taps, length = (kernel_shape[:-1], kernel_shape[-1] * inputs) if joined else (kernel_shape, inputs)
    samples, _, *spatial = step.type(operator.output).shape
    with build.nest([samples, *spatial, outputs]) as (sample, *position, channel):
        group = channel // (outputs // operator.groups) if operator.groups > 1 else 0
        first: Expr = x.offset([sample, 0, *(0,) * len(spatial)]) + group * inputs
        for axis, index in enumerate(position):
            first = first + (index * window.strides[axis] - window.begin(axis)) * x.stride(axis + 2)
        first, weight = bind(first + 0), bind(channel * prod(kernel_shape) * inputs + 0)
        total.start(channel)
        with build.nest(taps) as indices:
            at: Expr = first
            number: Expr = 0
            for axis, index in enumerate(indices):
                at = at + index * (window.dilations[axis] * x.stride(axis + 2))
                number = number * kernel_shape[axis] + index
            total.run(at, weight + number * length, length)
        finish.store([sample, channel, *position], total.value)
    return f"runs of {length}, {total.element} accumulators"


def _has_dense_rows(step: Step, operator: ops.MatMul) -> bool:
    stored, _ = stored_weights(step, operator)
    return stored.shape[1] == step.type(operator.x).shape[-1]


def _can_matmul(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if not isa.plain or not isinstance(operator, ops.MatMul) or operator.x in step.plan.program.constants:
        return False
    if operator.bias is not None and operator.bias not in step.plan.program.constants:
        return False
    constant = operator.w in step.plan.program.constants and len(step.type(operator.w).shape) == 2
    return constant and _fits_int64(step, operator) and _has_dense_rows(step, operator)


@kernel(ops.MatMul, "matmul.c", can_handle=_can_matmul, priority=5, fuses=True, goes_on=always, in_place=in_place_over)
def _matmul(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.MatMul)
    stored, bias = stored_weights(step, operator)
    x, length = step.layout(operator.x), stored.shape[1]
    total = _Sum(build, step, operator.x, stored, bias)
    finish = ScalarFinish(build, step)
    with build.nest(step.type(operator.output).shape) as indices:
        *leading, row, column = indices
        first = bind(x.offset([*leading, row, 0]) + 0)
        total.start(column)
        total.run(first, bind(column * length + 0), length)
        finish.store(indices, total.value)
    return f"runs of {length}, {total.element} accumulators"
