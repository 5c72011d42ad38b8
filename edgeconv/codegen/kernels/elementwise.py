"""Operators that work on each element alone: requant, add, mul, table, threshold; any layout, type and form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import lcm

import numpy as np

from edgeconv.codegen.builder import Builder, bind, const
from edgeconv.codegen.kernels.accumulator import ScalarFinish
from edgeconv.codegen.kernels.float_bits import held
from edgeconv.codegen.kernels.loops import broadcast_indices, each_element
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.requantizer import Requantizer, divided, proved_forms
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.errors import ProgramError, UnsupportedModelError
from edgeconv.ir import DType, Grid, Rounding, describe
from edgeconv.ir import operators as ops
from edgeconv.ir.exact import ChannelLinear
from edgeconv.ir.forms import MAGIC_F32, MAGIC_F32_BITS, AddFmaF32, AddMulShift, Ratio

__all__ = ["ratio_of"]

_RATIO_LIMIT = 1 << 62


@kernel(ops.Requant, "requant.scalar", parallel=True, by_rows=True)
def _requant(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Requant)
    x, y = build.view(operator.x), build.view(step.output)
    requantizer = Requantizer(build, step, operator.grid)
    shape = step.type(operator.x).shape
    with each_element(build, y.layout) as indices:
        channel = indices[operator.linear.axis] if operator.linear.channels > 1 else 0
        acc = bind(x.load(broadcast_indices(indices, shape), "int64"))
        y.store(indices, requantizer.scalar(acc, channel))
    return "element by element"


@kernel(ops.Mul, "mul.scalar", fuses=True, parallel=True)
def _mul(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Mul)
    x, y = build.view(operator.x), build.view(operator.y)
    element = "int32" if operator.dtype.bits == 32 else "int64"
    finish = ScalarFinish(build, step)
    with each_element(build, build.view(step.output).layout) as indices:
        left = x.load(broadcast_indices(indices, step.type(operator.x).shape), element)
        right = y.load(broadcast_indices(indices, step.type(operator.y).shape), element)
        product = (left - const(operator.x_zero_point, element)) * (right - const(operator.y_zero_point, element))
        finish.store(indices, product)
    return f"element by element in {element}"


@kernel(ops.Table, "table.scalar", parallel=True, by_rows=True)
def _table(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Table)
    x, values, y = build.view(operator.x), build.view(operator.values), build.view(step.output)
    element = "float32" if step.type(operator.values).dtype.is_float else "int32"
    per_channel = len(step.type(operator.values).shape) == 2
    lowest = step.type(operator.x).dtype.lo
    with each_element(build, y.layout) as indices:
        entry = bind(x.load(indices) - const(lowest))
        y.store(indices, values.load([indices[operator.axis], entry] if per_channel else [entry], element))
    return "element by element"


@kernel(ops.Threshold, "threshold.scalar", parallel=True)
def _threshold(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Threshold)
    x, y = build.view(operator.x), build.view(step.output)
    rows = step.plan.program.constants[operator.thresholds].array.astype(np.int64)
    increasing = np.broadcast_to(np.array(operator.increasing), rows.shape[:1])
    bases = np.broadcast_to(np.array(operator.base, np.int64), rows.shape[:1])
    bits = rows.shape[1].bit_length()
    padding = np.full((len(rows), (1 << bits) - 1 - rows.shape[1]), np.iinfo(np.int64).max)
    table = build.constant(f"{step.output}/thresholds", np.concatenate([rows, padding], 1))
    signs = build.constant(f"{step.output}/sign", np.where(increasing, 1, -1).astype(np.int64))
    base = build.constant(f"{step.output}/base", bases.copy())
    with each_element(build, y.layout) as indices:
        row = indices[operator.axis] if len(rows) > 1 else 0
        acc = bind(x.load(indices, "int64"))
        strict = bind(signs.load([row], "int64") < 0)
        count: Expr = const(0)
        for bit in reversed(range(bits)):
            threshold = table.load([row, count + ((1 << bit) - 1)], "int64")
            reached = tirx.any(threshold < acc, tirx.all(tirx.EQ(threshold, acc), tirx.Not(strict)))
            count = held(count + tirx.Select(reached, const(1 << bit), const(0)), "int32")
        # A padding entry equals the largest int64 and would count for an accumulator that equals it too.
        count = tirx.min(count, const(rows.shape[1]))
        y.store(indices, base.load([row], "int64") + signs.load([row], "int64") * count.astype("int64"))
    return f"binary search in {rows.shape[1]} thresholds"


@kernel(ops.Add, "add.scalar", parallel=True, by_rows=True)
def _add(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Add)
    views, y = [build.view(name) for name in operator.inputs], build.view(step.output)
    function, detail = _sum_function(build, step, operator)
    with each_element(build, y.layout) as indices:
        channel = indices[operator.linear.axis] if operator.linear.channels > 1 else 0
        values = [
            bind(view.load(broadcast_indices(indices, step.type(name).shape), "int64"))
            for name, view in zip(operator.inputs, views, strict=True)
        ]
        y.store(indices, function(values, channel))
    return detail


SumFunction = Callable[[Sequence[Expr], Expr], Expr]


def _sum_function(build: Builder, step: Step, operator: ops.Add) -> tuple[SumFunction, str]:
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
    rows = [form or ratio_of(operator.linear.channel(k), dtypes) for k, form in enumerate(ratios)]
    if any(row is None for row in rows):
        raise UnsupportedModelError(
            f"{describe(operator)}: no integer form of its sum on {build.isa.name}",
            advice="leave that instruction set out",
        )
    return _ratio_sum(build, step, operator.grid, [row for row in rows if row is not None]), "integer division"


def ratio_of(function: ChannelLinear, dtypes: Sequence[DType]) -> Ratio | None:
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
