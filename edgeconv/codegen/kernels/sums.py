"""Sums of several operands, one element at a time: any form, every instruction set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import lcm

import numpy as np

from edgeconv.codegen.builder import Builder, const
from edgeconv.codegen.kernels.float_bits import held
from edgeconv.codegen.kernels.requantizer import divided, proved_forms
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.errors import ProgramError, UnsupportedModelError
from edgeconv.ir import DType, Grid, Rounding, describe
from edgeconv.ir import operators as ops
from edgeconv.ir.exact import ChannelLinear
from edgeconv.ir.forms import MAGIC_F32, MAGIC_F32_BITS, AddFmaF32, AddMulShift, Ratio

__all__ = ["SumFunction", "sum_function"]

_RATIO_LIMIT = 1 << 62
SumFunction = Callable[[Sequence[Expr], Expr], Expr]


def sum_function(build: Builder, step: Step, operator: ops.Add) -> tuple[SumFunction, str]:
    """(values of the operands, channel) -> the sum on its grid, as int64; and how it is computed.

    Args:
        step: of the sum, for its forms.
    """
    forms = proved_forms(step).forms
    channels = operator.linear.channels
    floats = [form for form in forms if isinstance(form, AddFmaF32)]
    shifts = [form for form in forms if isinstance(form, AddMulShift)]
    if build.isa.has_fma and len(floats) == len(forms):
        return _fma_sum(build, step, operator.grid, floats), "float32 fma"
    if len(shifts) == len(forms):
        return _shifted_sum(build, step, operator.grid, shifts), "multiply and shift"
    # A ratio is the definition itself, so it may stand for any proved form; panels of mixed kinds take it too.
    ratios = [form if isinstance(form, Ratio) else None for form in forms] * (channels if len(forms) == 1 else 1)
    dtypes = [step.type(name).dtype for name in operator.inputs]
    rows = [form or _ratio_of(operator.linear.channel(k), dtypes) for k, form in enumerate(ratios)]
    if any(row is None for row in rows):
        raise UnsupportedModelError(
            f"{describe(operator)}: no integer form of its sum on {build.isa.name}",
            advice="leave that instruction set out",
        )
    return _ratio_sum(build, step, operator.grid, [row for row in rows if row is not None]), "integer division"


def _ratio_of(function: ChannelLinear, dtypes: Sequence[DType]) -> Ratio | None:
    """The sum of operands of these types as one exact integer division; None where irrational or too wide for int64."""
    rational = function.as_rational()
    if rational is None:
        return None
    denominator = lcm(rational.offset.denominator, *(factor.denominator for factor in rational.factors))
    numerators = tuple(int(factor * denominator) for factor in rational.factors)
    addend = int(rational.offset * denominator)
    widest = [max(-type_.lo, type_.hi) for type_ in dtypes]
    reach = abs(addend) + sum(abs(n) * bound for n, bound in zip(numerators, widest, strict=True)) + denominator
    return Ratio(numerators, addend, denominator) if reach < _RATIO_LIMIT else None


def _columns(build: Builder, step: Step, label: str, values: Sequence[object], element: str) -> Callable[[Expr], Expr]:
    view = build.constant(f"{step.output}/{label}", np.array(values, element))
    single = len(values) == 1
    return lambda channel: view.load([0 if single else channel], element)


def _ratio_sum(build: Builder, step: Step, grid: Grid, forms: Sequence[Ratio]) -> SumFunction:
    operands = len(forms[0].numerators)
    numerators = [
        _columns(build, step, f"numerator{i}", [form.numerators[i] for form in forms], "int64") for i in range(operands)
    ]
    addend = _columns(build, step, "addend", [form.addend for form in forms], "int64")
    denominator = _columns(build, step, "denominator", [form.denominator for form in forms], "int64")

    def rounded_sum(values: Sequence[Expr], channel: Expr) -> Expr:
        total = addend(channel)
        for value, numerator in zip(values, numerators, strict=True):
            total = total + value * numerator(channel)
        below = held(denominator(channel))
        return _clipped(divided(held(total), below, half_even=grid.rounding is Rounding.HALF_EVEN), grid)

    return rounded_sum


def _shifted_sum(build: Builder, step: Step, grid: Grid, forms: Sequence[AddMulShift]) -> SumFunction:
    operands = len(forms[0].multipliers)
    multipliers = [
        _columns(build, step, f"multiplier{i}", [form.multipliers[i] for form in forms], "int64")
        for i in range(operands)
    ]
    addend = _columns(build, step, "addend", [form.addend for form in forms], "int64")
    shift = _columns(build, step, "shift", [form.shift for form in forms], "int64")
    # Half-even adds half - 1 + (the lowest kept bit), half-up adds half.
    half = _columns(build, step, "half", [(1 << (form.shift - 1)) - form.half_even for form in forms], "int64")
    even = _columns(build, step, "even", [int(form.half_even) for form in forms], "int64")

    def rounded_sum(values: Sequence[Expr], channel: Expr) -> Expr:
        total = addend(channel)
        for value, multiplier in zip(values, multipliers, strict=True):
            total = total + value * multiplier(channel)
        total, amount = held(total), held(shift(channel))
        odd = tirx.bitwise_and(tirx.shift_right(total, amount), even(channel))
        return _clipped(tirx.shift_right(total + half(channel) + odd, amount), grid)

    return rounded_sum


def _fma_sum(build: Builder, step: Step, grid: Grid, forms: Sequence[AddFmaF32]) -> SumFunction:
    operands = len(forms[0].factors)
    factors = [
        _columns(build, step, f"factor{i}", [form.factors[i] for form in forms], "float32") for i in range(operands)
    ]
    offset = _columns(build, step, "offset", [form.offset for form in forms], "float32")
    if any(len(form.factors) != operands for form in forms):
        raise ProgramError(f"{describe(step.operator)}: forms with different numbers of operands")  # type: ignore[arg-type]

    def rounded_sum(values: Sequence[Expr], channel: Expr) -> Expr:
        total = offset(channel)
        for value, factor in reversed(list(zip(values, factors, strict=True))):
            total = tirx.call_llvm_pure_intrin(
                "float32", "llvm.fma.f32", value.astype("float32"), factor(channel), total
            )
        rounded = tirx.reinterpret("int32", total + const(MAGIC_F32, "float32")) - const(MAGIC_F32_BITS)
        return _clipped(rounded.astype("int64"), grid)

    return rounded_sum


def _clipped(rounded: Expr, grid: Grid) -> Expr:
    lo, hi = (const(bound - grid.zero_point, "int64") for bound in (grid.lo, grid.hi))
    return tirx.max(tirx.min(rounded, hi), lo) + const(grid.zero_point, "int64")
