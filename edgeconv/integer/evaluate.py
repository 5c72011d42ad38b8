"""What each form of edgeconv.ir.forms computes, bit for bit, in numpy: the model that proofs rest on.

The fused multiply-adds are modelled exactly, for all inputs: the product of two float32 is exact in float64, the sum is
rounded to odd there, and rounding that to float32 equals one rounding of the exact value (Boldo and Melquiond,
"Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd", IEEE Trans. Computers 57, 2008).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.ir.exact import Grid, Rounding
from edgeconv.ir.forms import LIMB, MAGIC_F32, MAGIC_F32_BITS, MAGIC_F64, Form

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Index = NDArray[np.intp]
Forms = Sequence[Any]  # forms of one kind, whose fields are read by name

_SPLITTER = 134217729.0  # 2²⁷ + 1, Veltkamp's splitting of a 53-bit significand


def evaluate(forms: Sequence[Form], channel: NDArray[np.intp], operands: Sequence[Ints], grid: Grid) -> Ints:
    """The final integers (zero point and clip included) that the forms compute.

    Args:
        forms: one form per channel, of any kinds.
        channel: index into `forms` for each element.
        operands: one int64 array per operand, each of the shape of `channel`.
    """
    kinds = {form.kind for form in forms}
    with np.errstate(over="ignore", invalid="ignore"):
        if len(kinds) == 1:
            return _EVALUATORS[kinds.pop()](forms, channel, operands, grid)
        result = np.zeros(channel.shape, np.int64)
        for kind in kinds:
            mine = np.array([form.kind == kind for form in forms])
            position = np.cumsum(mine) - 1
            here = mine[channel]
            chosen = [form for form in forms if form.kind == kind]
            values = [operand[here] for operand in operands]
            result[here] = _EVALUATORS[kind](chosen, position[channel[here]], values, grid)
    return result


def fma_f32(a: Floats, b: Floats, c: Floats) -> Floats:
    """fma of float32 values (held in float64), rounded once to float32, half-even."""
    product = a * b
    total = product + c
    return _to_odd(total, _sum_error(product, c, total)).astype(np.float32).astype(np.float64)


def fma_f64(a: Floats, b: Floats, c: Floats) -> Floats:
    """fma of float64 values, rounded once, half-even; no operand or product may overflow or be subnormal."""
    product = a * b
    product_error = _product_error(a, b, product)
    low = c + product_error
    low_error = _sum_error(c, product_error, low)
    high = product + low
    rest, high_error = low_error, _sum_error(product, low, high)
    tail = rest + high_error
    return high + _to_odd(tail, _sum_error(rest, high_error, tail))


def _sum_error(a: Floats, b: Floats, total: Floats) -> Floats:
    """a + b - total, exactly (Knuth's two-sum)."""
    of_b = total - a
    return (a - (total - of_b)) + (b - of_b)


def _product_error(a: Floats, b: Floats, product: Floats) -> Floats:
    """a·b - product, exactly (Dekker)."""
    a_scaled, b_scaled = a * _SPLITTER, b * _SPLITTER
    a_high, b_high = a_scaled - (a_scaled - a), b_scaled - (b_scaled - b)
    a_low, b_low = a - a_high, b - b_high
    return ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _to_odd(total: Floats, error: Floats) -> Floats:
    """total + error rounded to odd: inexact results get an odd last bit."""
    bits = np.ascontiguousarray(total).view(np.int64)
    outward = np.where((error > 0) == (total > 0), 1, -1)
    return (bits + np.where((error != 0) & ((bits & 1) == 0), outward, 0)).view(np.float64)


def _column(forms: Forms, name: str, channel: Index) -> NDArray[Any]:
    values = [getattr(form, name) for form in forms]
    return np.array(values, np.float64 if isinstance(values[0], float) else np.int64)[channel]


def _finish(raw: Ints, grid: Grid) -> Ints:
    return np.clip(raw + grid.zero_point, grid.lo, grid.hi)


def _magic_f32(value: Floats) -> Ints:
    """The low bits of a float32 sum with MAGIC_F32, as the int32 subtraction of the hardware gives them."""
    bits = value.astype(np.float32).view(np.int32).astype(np.int64)
    return (bits - MAGIC_F32_BITS).astype(np.int32).astype(np.int64)


def _low_bits(shifted: Floats) -> Ints:
    """The low 32 bits of a float64 sum with MAGIC_F64, as a signed number."""
    return shifted.view(np.int64).astype(np.int32).astype(np.int64)


def _single(values: Ints) -> Floats:
    return values.astype(np.float32).astype(np.float64)


def _fixed(forms: Forms, channel: Index, acc: Ints) -> Ints:
    """Accumulators with the fixes of their forms."""
    fixed = acc
    for slot in range(max(len(form.fixes) for form in forms)):
        slots = [form.fixes[slot] if slot < len(form.fixes) else (0, 0) for form in forms]
        where, delta = np.array(slots, np.int64).T
        fixed = fixed + np.where(acc == where[channel], delta[channel], 0)
    return fixed


def _fma_f32_form(forms: Forms, channel: Index, operands: Sequence[Ints], grid: Grid) -> Ints:
    fixed = _fixed(forms, channel, operands[0])
    factor = _column(forms, "factor", channel)
    return _finish(_magic_f32(fma_f32(_single(fixed), factor, np.full(fixed.shape, MAGIC_F32))), grid)


def _fma_bits_f32_form(forms: Forms, channel: Index, operands: Sequence[Ints], grid: Grid) -> Ints:
    bits = _fixed(forms, channel, operands[0]) + _column(forms, "start", channel)
    value = bits.astype(np.int32).view(np.float32).astype(np.float64)
    factor, addend = _column(forms, "factor", channel), _column(forms, "addend", channel)
    return _finish(_magic_f32(fma_f32(value, factor, addend)), grid)


def _fma_offset_f32_form(forms: Forms, channel: Index, operands: Sequence[Ints], grid: Grid) -> Ints:
    value = fma_f32(_single(operands[0]), _column(forms, "factor", channel), _column(forms, "offset", channel))
    return _finish(_magic_f32(_single_sum(value)), grid)


def _single_sum(value: Floats) -> Floats:
    """value + MAGIC_F32 rounded once to float32."""
    total = value + MAGIC_F32
    return _to_odd(total, _sum_error(value, np.full(value.shape, MAGIC_F32), total))


def _fma_f64_form(forms: Forms, channel: Index, operands: Sequence[Ints], grid: Grid) -> Ints:
    acc = operands[0].astype(np.float64)
    factor, offset = _column(forms, "factor", channel), _column(forms, "offset", channel)
    plain = offset == 0
    total = fma_f64(acc, factor, np.where(plain, MAGIC_F64, offset))
    return _finish(_low_bits(np.where(plain, total, total + MAGIC_F64)), grid)


def _shifted(products: Ints, forms: Forms, channel: Index) -> Ints:
    shift, half_even = _column(forms, "shift", channel), _column(forms, "half_even", channel)
    half = np.left_shift(np.int64(1), shift - 1)
    if not half_even.any():
        return (products + half) >> shift
    floor = products >> shift
    remainder = products - (floor << shift)
    even = floor + ((remainder > half) | ((remainder == half) & ((floor & 1) == 1)))
    return np.where(half_even != 0, even, (products + half) >> shift)


def _mul_shift_form(forms: Forms, channel: Index, operands: Sequence[Ints], grid: Grid) -> Ints:
    products = operands[0] * _column(forms, "multiplier", channel) + _column(forms, "addend", channel)
    return _finish(_shifted(products, forms, channel), grid)


def _wide_mul_shift_form(forms: Forms, channel: Index, operands: Sequence[Ints], grid: Grid) -> Ints:
    (acc,) = operands
    carried = (acc * _column(forms, "low", channel)) >> LIMB
    total = acc * _column(forms, "high", channel) + carried + _column(forms, "addend", channel)
    return _finish(total >> _column(forms, "shift", channel), grid)


def _steps_form(forms: Forms, channel: Index, operands: Sequence[Ints], grid: Grid) -> Ints:
    (acc,) = operands
    result = np.empty(acc.shape, np.int64)
    for index, form in enumerate(forms):
        here = channel == index
        table = np.array(form.thresholds, np.int64)
        count = np.searchsorted(table, acc[here], side="right" if form.increasing else "left")
        result[here] = form.base + (count if form.increasing else -count)
    return result


def _add_fma_f32_form(forms: Forms, channel: Index, operands: Sequence[Ints], grid: Grid) -> Ints:
    value = _column(forms, "offset", channel)
    factors = np.array([form.factors for form in forms], np.float64)
    for index in reversed(range(len(operands))):
        value = fma_f32(_single(operands[index]), factors[channel, index], value)
    return _finish(_magic_f32(_single_sum(value)), grid)


def _add_fma_f64_form(forms: Forms, channel: Index, operands: Sequence[Ints], grid: Grid) -> Ints:
    value = _column(forms, "offset", channel)
    factors = np.array([form.factors for form in forms], np.float64)
    for index in reversed(range(len(operands))):
        value = fma_f64(operands[index].astype(np.float64), factors[channel, index], value)
    return _finish(_low_bits(value + MAGIC_F64), grid)


def _weighted(forms: Forms, name: str, channel: Index, operands: Sequence[Ints]) -> Ints:
    weights = np.array([getattr(form, name) for form in forms], np.int64)
    total: Ints = _column(forms, "addend", channel)
    for index, operand in enumerate(operands):
        total = total + operand * weights[channel, index]
    return total


def _add_mul_shift_form(forms: Forms, channel: Index, operands: Sequence[Ints], grid: Grid) -> Ints:
    return _finish(_shifted(_weighted(forms, "multipliers", channel, operands), forms, channel), grid)


def _ratio_form(forms: Forms, channel: Index, operands: Sequence[Ints], grid: Grid) -> Ints:
    total, denominator = _weighted(forms, "numerators", channel, operands), _column(forms, "denominator", channel)
    floor = np.floor_divide(total, denominator)
    doubled = 2 * (total - floor * denominator)
    up_at_tie = (floor & 1) == 1 if grid.rounding is Rounding.HALF_EVEN else floor >= 0
    return _finish(floor + ((doubled > denominator) | ((doubled == denominator) & up_at_tie)), grid)


_Evaluator = Callable[[Forms, Index, Sequence[Ints], Grid], Ints]
_EVALUATORS: dict[str, _Evaluator] = {
    "fma_f32": _fma_f32_form,
    "fma_bits_f32": _fma_bits_f32_form,
    "fma_offset_f32": _fma_offset_f32_form,
    "fma_f64": _fma_f64_form,
    "mul_shift": _mul_shift_form,
    "wide_mul_shift": _wide_mul_shift_form,
    "steps": _steps_form,
    "add_fma_f32": _add_fma_f32_form,
    "add_fma_f64": _add_fma_f64_form,
    "add_mul_shift": _add_mul_shift_form,
    "ratio": _ratio_form,
}
