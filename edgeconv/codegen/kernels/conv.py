"""Convolution, one output at a time: any shape, any width, every instruction set."""

from __future__ import annotations

import numpy as np

from edgeconv.codegen.builder import Builder, const
from edgeconv.codegen.kernels.accumulator import ScalarFinish
from edgeconv.codegen.kernels.registry import halo_demands, kernel
from edgeconv.codegen.layout import Halo
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, T, tirx
from edgeconv.ir import Program
from edgeconv.ir import operators as ops
from edgeconv.ir.geometry import Window

__all__ = ["accumulator_element", "conv_constants"]


@halo_demands(ops.Conv)
def _halo(operator: ops.Conv, program: Program) -> dict[str, Halo]:
    return {operator.x: Halo(operator.pads, operator.x_zero_point)}


def conv_constants(step: Step) -> tuple[np.ndarray, np.ndarray]:
    """Weights (O, I, kernel…) and bias (O,), both int64."""
    operator = step.operator
    assert isinstance(operator, (ops.Conv, ops.MatMul))
    constants = step.plan.program.constants
    w = constants[operator.w].array.astype(np.int64)
    outputs = w.shape[0] if isinstance(operator, ops.Conv) else w.shape[-1]
    bias = np.zeros(outputs, np.int64) if operator.bias is None else constants[operator.bias].array.astype(np.int64)
    return w, bias


def accumulator_element(largest: int) -> str:
    """The type in which a sum whose partial sums stay within ±largest is computed."""
    return "int32" if largest < 1 << 31 else "int64"


def _largest_sum(step: Step, operator: ops.Conv) -> int:
    w, bias = conv_constants(step)
    x = step.type(operator.x).dtype
    reach = max(abs(x.lo - operator.x_zero_point), abs(x.hi - operator.x_zero_point))
    return int((np.abs(w).reshape(w.shape[0], -1).sum(1) * reach + np.abs(bias)).max())


@kernel(ops.Conv, "conv.scalar", fuses=True)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Conv)
    w, bias = conv_constants(step)
    element = accumulator_element(_largest_sum(step, operator))
    inner = np.ascontiguousarray(np.moveaxis(w, 1, -1))  # (O, kernel…, I)
    stored = build.constant(f"{step.output}/weights", inner.astype(np.min_scalar_type(-int(np.abs(w).max()) - 1)))
    biases = build.constant(f"{step.output}/bias", bias.astype(element))
    finish = ScalarFinish(build, step)
    samples, outputs, *spatial = step.type(operator.output).shape
    with build.nest([samples, *spatial, outputs]) as (sample, *position, channel):
        acc = build.local(element, 1)
        acc.store(element, 0, biases.load([channel], element))
        group = channel // (outputs // operator.groups) if operator.groups > 1 else 0
        window = operator.window(step.type(operator.w))
        with build.nest([*window.kernel, w.shape[1]]) as (*taps, i):
            source = [p * s + t * d - b for p, s, t, d, b in _tap_terms(position, taps, window)]
            value = _Product(build, step, operator, element)
            inside = _inside(source, step.type(operator.x).shape[2:], window)
            weight = stored.load([channel, *taps, i], element)
            x_channel = group * w.shape[1] + i
            if inside is None:
                acc.store(element, 0, acc.load(element, 0) + value.of([sample, x_channel, *source]) * weight)
            else:
                with T.If(inside), T.Then():
                    acc.store(element, 0, acc.load(element, 0) + value.of([sample, x_channel, *source]) * weight)
        finish.store([sample, channel, *position], acc.load(element, 0))
    return f"one output at a time, {element} accumulators"


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
