"""The phases of a transposed convolution, each a convolution of stride 1 over stored elements."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product as combinations
from math import prod

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.kernels.conv import conv_constants
from edgeconv.codegen.kernels.conv_transpose import transposed_halo
from edgeconv.codegen.kernels.product import Runs
from edgeconv.codegen.layout import Layout
from edgeconv.codegen.plan import Step
from edgeconv.ir import operators as ops
from edgeconv.ir.geometry import Phase

__all__ = ["SubConvolution", "all_phases", "make_phase", "phase_weights", "reads_halo", "stored_bias", "stored_range"]


def reads_halo(step: Step, operator: ops.ConvTranspose) -> bool:
    """Whether the kernels by phases may run: dense channels-last tensors, and a halo around x that covers its reads."""
    x, y = step.layout(operator.x), step.layout(step.output)
    if str(operator.dtype) != "i32" or x.order != "channels_last" or y.order != "channels_last" or x.shape[0] != 1:
        return False
    needed = transposed_halo(operator.window(step.type(operator.w)), x.shape[2:])
    return not any(needed) or (x.halo is not None and x.halo.covers(needed, operator.x_zero_point))


@dataclass(frozen=True)
class SubConvolution:
    """One phase of all spatial axes.

    Attributes:
        rows: (O, runs, run length) weights.
        bias: what turns sums of stored activations into accumulators, (O,).
        x_first, y_first: offsets of the first window and of the first output, in stored elements.
        counts: output rows, and positions along one.
    """

    rows: NDArray[np.int64]
    bias: NDArray[np.int64]
    runs: Runs
    x_first: int
    y_first: int
    counts: tuple[int, int]


def all_phases(step: Step, operator: ops.ConvTranspose) -> list[tuple[Phase, ...]]:
    """The phases of all spatial axes, combined."""
    window = operator.window(step.type(operator.w))
    axes = [window.phases(axis, extent) for axis, extent in enumerate(step.type(operator.output).shape[2:])]
    return list(combinations(*axes))


def phase_weights(step: Step, operator: ops.ConvTranspose, phases: tuple[Phase, ...]) -> NDArray[np.int64]:
    """The weights of a phase (O, I, taps…); a phase without taps has one weight of zero."""
    w, _ = conv_constants(step)
    for axis, phase in enumerate(phases):
        w = w.take(phase.taps or (0,), axis=2 + axis) * (1 if phase.taps else 0)
    return w


def stored_bias(step: Step, operator: ops.ConvTranspose, w: NDArray[np.int64]) -> NDArray[np.int64]:
    """The bias that turns sums of stored activations into accumulators, given the weights of a phase."""
    shift = operator.x_zero_point + step.layout(operator.x).storage.bias
    return conv_constants(step)[1] - shift * w.reshape(len(w), -1).sum(1)


def make_phase(
    step: Step, operator: ops.ConvTranspose, phases: tuple[Phase, ...], x: Layout, y: Layout
) -> SubConvolution:
    w, rank = phase_weights(step, operator, phases), len(phases)
    x_strides, y_strides = ([layout.stride(2 + axis) for axis in range(rank)] for layout in (x, y))
    offsets = [phase.offsets or (0,) for phase in phases]
    steps = [taken[1] - taken[0] if len(taken) > 1 else 1 for taken in offsets]
    counts = tuple(map(len, offsets))
    strides = tuple(step_ * stride for step_, stride in zip(steps, x_strides, strict=True))
    channels = w.shape[1]
    if steps[-1] == 1 and channels == x.shape[1]:
        runs = Runs(counts[:-1], strides[:-1], counts[-1] * channels)
    else:
        runs = Runs(counts, strides, channels)
    rows = np.moveaxis(w, 1, -1).reshape(len(w), runs.number, -1)
    x_first = x.base + sum(taken[0] * stride for taken, stride in zip(offsets, x_strides, strict=True))
    y_first = y.base + sum(phase.first * stride for phase, stride in zip(phases, y_strides, strict=True))
    extents = [phase.count for phase in phases]
    return SubConvolution(
        rows, stored_bias(step, operator, w), runs, x_first, y_first, (prod(extents[:-1]), extents[-1])
    )


def stored_range(step: Step, name: str) -> tuple[int, int]:
    """Smallest and largest stored value of a tensor."""
    type_, bias = step.type(name).dtype, step.layout(name).storage.bias
    return type_.lo + bias, type_.hi + bias
