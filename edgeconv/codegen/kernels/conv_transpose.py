"""Transposed convolution, one output at a time: any shape, any width, every instruction set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeconv.codegen.builder import Builder, bind, const
from edgeconv.codegen.kernels.accumulator import ScalarFinish
from edgeconv.codegen.kernels.conv import accumulator_element, conv_constants, largest_sum
from edgeconv.codegen.kernels.registry import halo_demands, kernel
from edgeconv.codegen.layout import Halo
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, T, tirx
from edgeconv.ir import Program
from edgeconv.ir import operators as ops
from edgeconv.ir.geometry import Phase, TransposedWindow

__all__ = ["transposed_halo"]


@halo_demands(ops.ConvTranspose)
def _halo(operator: ops.ConvTranspose, program: Program) -> dict[str, Halo]:
    window = operator.window(program.types[operator.w])
    spatial = program.types[operator.x].shape[2:]
    return {operator.x: Halo(transposed_halo(window, spatial), operator.x_zero_point)}


def transposed_halo(window: TransposedWindow, spatial: Sequence[int]) -> tuple[int, ...]:
    """The border of the input, begins then ends, that the phases of a transposed convolution read."""
    begins, ends = [], []
    for axis, (extent, output) in enumerate(zip(spatial, window.output_shape(tuple(spatial)), strict=True)):
        phases = window.phases(axis, output)
        begins.append(max(0, *(-offset for phase in phases for offset in _reads(phase))))
        ends.append(max(0, *(phase.count + offset - extent for phase in phases for offset in _reads(phase))))
    return (*begins, *ends)


def _reads(phase: Phase) -> tuple[int, ...]:
    # A phase without taps is computed with a weight of zero at offset 0.
    return phase.offsets or (0,)


@kernel(ops.ConvTranspose, "conv_transpose.scalar", fuses=True, parallel=True)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.ConvTranspose)
    w, bias = conv_constants(step)
    element = accumulator_element(largest_sum(step, operator))
    inner = np.ascontiguousarray(np.moveaxis(w, 1, -1))  # (O, kernel…, I)
    weights = build.constant(f"{step.output}/weights", inner.astype(np.min_scalar_type(-int(np.abs(w).max()) - 1)))
    biases = build.constant(f"{step.output}/bias", bias.astype(element))
    x, finish = build.view(operator.x), ScalarFinish(build, step)
    samples, outputs, *spatial = step.type(operator.output).shape
    window, extents = operator.window(step.type(operator.w)), step.type(operator.x).shape[2:]
    with build.parallel_nest([samples, *spatial, outputs]) as (sample, *position, channel):
        acc = build.local(element, 1)
        acc.store(element, 0, biases.load([channel], element))
        group = channel // (outputs // operator.groups) if operator.groups > 1 else 0
        with build.nest(window.kernel) as taps:
            source, inside = _source(position, taps, window, extents)
            with T.If(inside), T.Then(), build.loop(w.shape[1]) as i:
                value = x.load([sample, group * w.shape[1] + i, *source], element)
                centred = value - const(operator.x_zero_point, element)
                weight = weights.load([channel, *taps, i], element)
                acc.store(element, 0, acc.load(element, 0) + centred * weight)
        finish.store([sample, channel, *position], acc.load(element, 0))
    return f"one output at a time, {element} accumulators"


def _source(
    position: Sequence[Expr], taps: Sequence[Expr], window: TransposedWindow, extents: Sequence[int]
) -> tuple[list[Expr], Expr]:
    """The input that an output position reads under a tap, and the condition under which there is one."""
    source, conditions = [], []
    for axis, (p, t, extent) in enumerate(zip(position, taps, extents, strict=True)):
        stride = window.strides[axis]
        reached = bind(const(0) + p + window.pads[axis] - t * window.dilations[axis])
        index = bind(tirx.truncdiv(reached, const(stride)))
        source.append(index)
        conditions += [tirx.GE(reached, const(0)), tirx.LT(index, const(extent))]
        if stride > 1:
            conditions.append(tirx.EQ(index * stride, reached))
    return source, tirx.all(*conditions)
