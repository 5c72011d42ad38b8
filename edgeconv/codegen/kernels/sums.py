"""Sums of several operands, one element at a time: any form, every instruction set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import lcm

import numpy as np

from edgeconv.codegen.builder import Builder, const
from edgeconv.codegen.kernels.float_bits import held
from edgeconv.codegen.kernels.requantizer import divided, proved_forms
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, T, tirx
from edgeconv.errors import UnsupportedModelError
from edgeconv.ir import Grid, Rounding, describe
from edgeconv.ir import operators as ops
from edgeconv.ir.exact import ChannelLinear
from edgeconv.ir.forms import MAGIC_F32, MAGIC_F32_BITS, MAGIC_F64, AddFmaF32, AddFmaF64, AddMulShift, Form, Ratio

__all__ = ["SumFunction", "sum_function"]

_RATIO_LIMIT = 1 << 62
SumFunction = Callable[[Sequence[Expr], Expr], Expr]


def sum_function(build: Builder, step: Step, operator: ops.Add) -> tuple[SumFunction, str]:
    """(values of the operands, channel) -> the sum on its grid, as int64; and how it is computed.

    Args:
        step: of the sum, for its forms.

    Raises:
        UnsupportedModelError: an instruction set without fused multiply-add, and a float form that no integer division
            can stand for.
    """
    forms = list(proved_forms(step).forms)
    if not build.isa.has_fma:
        forms = _without_floats(build, step, operator)
    kinds = list(dict.fromkeys(type(form) for form in forms))
    emitted = {kind: _EMITTERS[kind](build, step, forms) for kind in kinds}
    detail = " or ".join(_DETAILS[kind] for kind in kinds)
    per_channel = len(forms) > 1

    def clipped(values: Sequence[Expr], channel: Expr) -> Expr:
        channel = channel if per_channel else 0
        if len(kinds) == 1:
            return _clipped(emitted[kinds[0]](values, channel), operator.grid)
        result = build.local("int64", 1)
        result.store("int64", 0, const(0, "int64"))  # each channel has one of the kinds, which a C compiler cannot know
        for number, kind in enumerate(kinds):
            with T.If(tirx.EQ(numbers.load([channel]), number)), T.Then():
                result.store("int64", 0, emitted[kind](values, channel))
        return _clipped(result.load("int64", 0), operator.grid)

    if len(kinds) > 1:
        numbers = build.constant(f"{step.output}/kinds", np.array([kinds.index(type(f)) for f in forms], np.int32))
    return clipped, detail


def _without_floats(build: Builder, step: Step, operator: ops.Add) -> list[Form]:
    """The forms, with divisions for those of floats: a ratio is the definition, so it may stand for any proved form."""
    proved = proved_forms(step)
    forms: list[Form] = []
    for k, form in enumerate(proved.forms):
        if isinstance(form, (AddFmaF32, AddFmaF64)):
            ranges = [bounds[k if len(bounds) > 1 else 0] for bounds in proved.ranges]
            ratio = _ratio_of(operator.linear.channel(k), ranges)
            if ratio is None:
                raise UnsupportedModelError(
                    f"{describe(operator)}: no integer form of its sum on {build.isa.name}",
                    advice="leave that instruction set out",
                )
            forms.append(ratio)
        else:
            forms.append(form)
    return forms


def _ratio_of(function: ChannelLinear, ranges: Sequence[tuple[int, int]]) -> Ratio | None:
    """The sum of operands in these ranges as one exact integer division; None if irrational or too wide for int64."""
    rational = function.as_rational()
    if rational is None:
        return None
    denominator = lcm(rational.offset.denominator, *(factor.denominator for factor in rational.factors))
    numerators = tuple(int(factor * denominator) for factor in rational.factors)
    addend = int(rational.offset * denominator)
    widest = [max(-lo, hi) for lo, hi in ranges]
    reach = abs(addend) + sum(abs(n) * bound for n, bound in zip(numerators, widest, strict=True)) + denominator
    return Ratio(numerators, addend, denominator) if reach < _RATIO_LIMIT else None


def _columns(build: Builder, step: Step, label: str, values: Sequence[object], element: str) -> Callable[[Expr], Expr]:
    view = build.constant(f"{step.output}/{label}", np.array(values, element))
    return lambda channel: view.load([channel], element)


def _ratio_sum(build: Builder, step: Step, forms: Sequence[Form]) -> SumFunction:
    operands = len(_operator(step).inputs)
    rows = [form if isinstance(form, Ratio) else Ratio((0,) * operands, 0, 1) for form in forms]
    numerators = [
        _columns(build, step, f"numerator{i}", [form.numerators[i] for form in rows], "int64") for i in range(operands)
    ]
    addend = _columns(build, step, "dividend", [form.addend for form in rows], "int64")
    denominator = _columns(build, step, "denominator", [form.denominator for form in rows], "int64")
    half_even = _operator(step).grid.rounding is Rounding.HALF_EVEN

    def rounded_sum(values: Sequence[Expr], channel: Expr) -> Expr:
        total = addend(channel)
        for value, numerator in zip(values, numerators, strict=True):
            total = total + value * numerator(channel)
        below = held(denominator(channel))
        return divided(held(total), below, half_even=half_even)

    return rounded_sum


def _shifted_sum(build: Builder, step: Step, forms: Sequence[Form]) -> SumFunction:
    operands = len(_operator(step).inputs)
    rows = [form if isinstance(form, AddMulShift) else AddMulShift((0,) * operands, 0, 1) for form in forms]
    multipliers = [
        _columns(build, step, f"multiplier{i}", [form.multipliers[i] for form in rows], "int64")
        for i in range(operands)
    ]
    addend = _columns(build, step, "addend", [form.addend for form in rows], "int64")
    shift = _columns(build, step, "shift", [form.shift for form in rows], "int64")
    # Half-even adds half - 1 + (the lowest kept bit), half-up adds half.
    half = _columns(build, step, "half", [(1 << (form.shift - 1)) - form.half_even for form in rows], "int64")
    even = _columns(build, step, "even", [int(form.half_even) for form in rows], "int64")

    def rounded_sum(values: Sequence[Expr], channel: Expr) -> Expr:
        total = addend(channel)
        for value, multiplier in zip(values, multipliers, strict=True):
            total = total + value * multiplier(channel)
        total, amount = held(total), held(shift(channel))
        odd = tirx.bitwise_and(tirx.shift_right(total, amount), even(channel))
        return tirx.shift_right(total + half(channel) + odd, amount)

    return rounded_sum


def _single_sum(build: Builder, step: Step, forms: Sequence[Form]) -> SumFunction:
    total = _fma_total(build, step, AddFmaF32, forms, "float32")

    def rounded_sum(values: Sequence[Expr], channel: Expr) -> Expr:
        shifted = total(values, channel) + const(MAGIC_F32, "float32")
        return (tirx.reinterpret("int32", shifted) - const(MAGIC_F32_BITS)).astype("int64")

    return rounded_sum


def _double_sum(build: Builder, step: Step, forms: Sequence[Form]) -> SumFunction:
    total = _fma_total(build, step, AddFmaF64, forms, "float64")

    def rounded_sum(values: Sequence[Expr], channel: Expr) -> Expr:
        shifted = total(values, channel) + const(MAGIC_F64, "float64")
        return tirx.reinterpret("int64", shifted).astype("int32").astype("int64")

    return rounded_sum


def _fma_total(
    build: Builder, step: Step, kind: type[AddFmaF32 | AddFmaF64], forms: Sequence[Form], element: str
) -> SumFunction:
    """The sum before it is rounded."""
    operands = len(_operator(step).inputs)
    rows = [form if isinstance(form, kind) else kind((0.0,) * operands, 0.0) for form in forms]
    factors = [
        _columns(build, step, f"{element}/factor{i}", [form.factors[i] for form in rows], element)
        for i in range(operands)
    ]
    offset = _columns(build, step, f"{element}/offset", [form.offset for form in rows], element)

    def total(values: Sequence[Expr], channel: Expr) -> Expr:
        below = offset(channel)
        for value, factor in reversed(list(zip(values, factors, strict=True))):
            name = f"llvm.fma.f{element[-2:]}"
            below = tirx.call_llvm_pure_intrin(element, name, value.astype(element), factor(channel), below)
        return below

    return total


def _operator(step: Step) -> ops.Add:
    assert isinstance(step.operator, ops.Add)
    return step.operator


def _clipped(rounded: Expr, grid: Grid) -> Expr:
    lo, hi = (const(bound - grid.zero_point, "int64") for bound in (grid.lo, grid.hi))
    return tirx.max(tirx.min(rounded, hi), lo) + const(grid.zero_point, "int64")


_EMITTERS: dict[type, Callable[[Builder, Step, Sequence[Form]], SumFunction]] = {
    AddFmaF32: _single_sum,
    AddFmaF64: _double_sum,
    AddMulShift: _shifted_sum,
    Ratio: _ratio_sum,
}
_DETAILS: dict[type, str] = {
    AddFmaF32: "float32 fma",
    AddFmaF64: "float64 fma",
    AddMulShift: "multiply and shift",
    Ratio: "integer division",
}
