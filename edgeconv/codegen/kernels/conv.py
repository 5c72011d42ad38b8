"""Convolution, one output at a time: any shape, any width, every instruction set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeconv.codegen.builder import Builder, const
from edgeconv.codegen.kernels.accumulator import ScalarFinish
from edgeconv.codegen.kernels.registry import always, halo_demands, kernel
from edgeconv.codegen.kernels.shared_weights import GROUP, SharedWeights
from edgeconv.codegen.layout import Halo
from edgeconv.codegen.plan import Step
from edgeconv.codegen.sequels import in_place_over
from edgeconv.codegen.tir import Expr, T, tirx
from edgeconv.ir import Program
from edgeconv.ir import operators as ops
from edgeconv.ir.forms import PANEL
from edgeconv.ir.geometry import Window

__all__ = ["accumulator_element", "conv_constants", "largest_sum", "panel_blocks"]

_MOST_BLOCKS = 3  # of the widest vector


@halo_demands(ops.Conv)
def _halo(operator: ops.Conv, program: Program) -> dict[str, Halo]:
    return {operator.x: Halo(operator.pads, operator.x_zero_point)}


def conv_constants(step: Step) -> tuple[np.ndarray, np.ndarray]:
    """Weights (O, I, kernel…) and bias (O,), both int64."""
    operator = step.operator
    assert isinstance(operator, (ops.Conv, ops.ConvTranspose, ops.MatMul))
    constants = step.plan.program.constants
    w = constants[operator.w].array.astype(np.int64)
    outputs = w.shape[-1] if isinstance(operator, ops.MatMul) else w.shape[0]
    bias = np.zeros(outputs, np.int64) if operator.bias is None else constants[operator.bias].array.astype(np.int64)
    return w, bias


def panel_blocks(outputs: int, lanes: int) -> int:
    """Vectors in a panel of output channels: cut alike for all vector widths, so that their weights may be shared."""
    widest = -(-outputs // PANEL)
    return (widest if widest <= _MOST_BLOCKS else 2) * (PANEL // lanes)


def accumulator_element(largest: int) -> str:
    """The type in which a sum whose partial sums stay within ±largest is computed."""
    return "int32" if largest < 1 << 31 else "int64"


def largest_sum(step: Step, operator: ops.Conv | ops.ConvTranspose) -> int:
    """What no partial sum of a convolution exceeds in magnitude."""
    w, bias = conv_constants(step)
    x = step.type(operator.x).dtype
    reach = max(abs(x.lo - operator.x_zero_point), abs(x.hi - operator.x_zero_point))
    return int((np.abs(w).reshape(w.shape[0], -1).sum(1) * reach + np.abs(bias)).max())


@kernel(ops.Conv, "conv.scalar", fuses=True, goes_on=always, in_place=in_place_over, parallel=True)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Conv)
    w, bias = conv_constants(step)
    element = accumulator_element(largest_sum(step, operator))
    weights = _Weights(build, step, operator, w)
    biases = build.constant(f"{step.output}/bias", bias.astype(element))
    finish = ScalarFinish(build, step)
    samples, outputs, *spatial = step.type(operator.output).shape
    with build.parallel_nest([samples, *spatial, outputs]) as (sample, *position, channel):
        acc = build.local(element, 1)
        acc.store(element, 0, biases.load([channel], element))
        group = channel // (outputs // operator.groups) if operator.groups > 1 else 0
        window = operator.window(step.type(operator.w))
        begin = weights.begin(channel)
        with build.nest([*window.kernel, *weights.channels]) as indices:
            taps, channel_indices = list(indices[: window.rank]), indices[window.rank :]
            i = weights.channel_of(channel_indices)
            source = [p * s + t * d - b for p, s, t, d, b in _tap_terms(position, taps, window)]
            value = _Product(build, step, operator, element)
            halo = step.layout(operator.x).halo
            covered = halo is not None and halo.covers(operator.pads, operator.x_zero_point)
            inside = None if covered else _inside(source, step.type(operator.x).shape[2:], window)
            weight = weights.of(begin, taps, channel_indices, element)
            x_channel = group * w.shape[1] + i
            if inside is None:
                acc.store(element, 0, acc.load(element, 0) + value.of([sample, x_channel, *source]) * weight)
            else:
                with T.If(inside), T.Then():
                    acc.store(element, 0, acc.load(element, 0) + value.of([sample, x_channel, *source]) * weight)
        finish.store([sample, channel, *position], acc.load(element, 0))
    return f"one output at a time, {element} accumulators"


class _Weights:
    """Reads weights, in the order of the vector kernels where these have one.

    Attributes:
        channels: extents of the loops over input channels: whole groups of four, where they fit, else one by one.
    """

    def __init__(self, build: Builder, step: Step, operator: ops.Conv, w: np.ndarray) -> None:
        inner = np.ascontiguousarray(np.moveaxis(w, 1, -1))  # (O, kernel…, I)
        self._kernel, self._channels = inner.shape[1:-1], inner.shape[-1]
        # Without dilation a row of the kernel is one run of neighbouring elements, else each tap is one.
        self._joined = 1 if operator.dilations[-1] == 1 else 0
        self._shared = None
        self.channels: tuple[int, ...] = (self._channels,)
        name = f"{step.output}/weights"
        if operator.groups == 1 and not build.isa.plain and SharedWeights.fits(w):
            length = self._channels * (self._kernel[-1] if self._joined else 1)
            self._shared = SharedWeights(build, name, inner.reshape(len(w), -1, length), panel_blocks(len(w), PANEL))
            if self._channels % GROUP == 0:
                self.channels = (self._channels // GROUP, GROUP)
        else:
            self._plain = build.constant(name, inner.astype(np.min_scalar_type(-int(np.abs(w).max()) - 1)))

    def begin(self, channel: Expr) -> Expr:
        """What `of` needs to know of an output channel."""
        return channel if self._shared is None else self._shared.begin(channel)

    @staticmethod
    def channel_of(indices: Sequence[Expr]) -> Expr:
        """The input channel that indices of the loops over `channels` mean."""
        return indices[0] if len(indices) == 1 else indices[0] * GROUP + indices[1]

    def of(self, begin: Expr, taps: list[Expr], indices: Sequence[Expr], element: str) -> Expr:
        """The weight of an input channel under a tap."""
        if self._shared is None:
            return self._plain.load([begin, *taps, *indices], element)
        split = len(taps) - self._joined
        run: Expr = 0
        for extent, tap in zip(self._kernel[:split], taps[:split], strict=True):
            run = run * extent + tap
        first = taps[-1] * self.channels[0] + indices[0] if self._joined else indices[0]
        if len(indices) == 1:
            return self._shared.load(begin, run, first, element)
        return self._shared.load_in_group(begin, run, first, indices[1], element)


class _Product:
    """Reads x - zero point."""

    def __init__(self, build: Builder, step: Step, operator: ops.Conv, element: str) -> None:
        self._view, self._zero, self._element = build.view(operator.x), operator.x_zero_point, element

    def of(self, indices: list[Expr]) -> Expr:
        value = self._view.load(indices, self._element)
        return value - const(self._zero, self._element) if self._zero else value


def _tap_terms(position: list[Expr], taps: list[Expr], window: Window) -> list[tuple[Expr, int, Expr, int, int]]:
    begins = [window.begin(axis) for axis in range(window.rank)]
    return list(zip(position, window.strides, taps, window.dilations, begins, strict=True))


def _inside(source: list[Expr], extents: tuple[int, ...], window: Window) -> Expr | None:
    """Whether a tap lies inside the input; None where it always does."""
    conditions = []
    for axis, (index, extent) in enumerate(zip(source, extents, strict=True)):
        if window.begin(axis):
            conditions.append(
                tirx.GE(index, const(0)) if not isinstance(index, int) else tirx.const(index >= 0, "bool")
            )
        if window.end(axis):
            conditions.append(
                tirx.LT(index, const(extent)) if not isinstance(index, int) else tirx.const(index < extent, "bool")
            )
    return tirx.all(*conditions) if conditions else None
