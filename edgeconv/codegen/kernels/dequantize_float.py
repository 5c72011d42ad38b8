"""Dequantize of one operand with floating-point vectors, where one multiplication decides the only rounding.

The value is (x + z)·m·2⁻ᵏ with integers z and m, which is what a scale and a zero point give. Let n = x + z.

* |n| <= 2²⁴ and m of at most 24 bits: float32(n) and float32(m·2⁻ᵏ) are exact, and the float32 product rounds once.
* |n| <= 2⁵³ and m of at most 53 bits: high = fl(n·c) in float64 and low = fma(n, c, -high) give n·c = high + low.
  Where low is not zero, the last bit of high is made odd ("round to odd"): high is moved one step towards the exact
  value if its last bit is even. A number rounded to odd at 53 bits and then to the 24 bits (or fewer, below the normal
  range) of float32 is the exact number rounded once, because 53 >= 24 + 2.

Exponents are checked so that neither product nor remainder leaves the normal range of its format. The bounds of a clip
are rounded to float32 and applied last: rounding is monotone. Runs under round-half-even without flush-to-zero, which
the entry point sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from edgeconv.codegen.builder import Builder, bind, const, reinterpret
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.loops import each_element
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import operators as ops
from edgeconv.ir.exact import fraction_to_float32

__all__ = ["Product", "clipped_floats", "exact_product", "product_of"]

_SMALLEST_NORMAL_FACTOR = Fraction(1, 1 << 120)
_LARGEST_FACTOR = Fraction(1 << 60)


@dataclass(frozen=True)
class Product:
    """(x + shift[k])·factor[k], exact numbers, per channel.

    Attributes:
        single: whether the float32 product rounds once; else the float64 product is used.
    """

    shifts: tuple[int, ...]
    factors: tuple[float, ...]
    single: bool


def exact_product(operator: ops.Dequantize, lo: int, hi: int) -> Product | None:
    """The product form of a dequantize whose operand lies in [lo, hi], or None."""
    if len(operator.inputs) != 1:
        return None
    shifts, factors, single = [], [], True
    for k in range(operator.linear.channels):
        function = operator.linear.channel(k).as_rational()
        if function is None:
            return None
        (factor,) = function.factors
        # A negative factor would make -0 of zero.
        if not _SMALLEST_NORMAL_FACTOR <= factor <= _LARGEST_FACTOR:
            return None
        shift = function.offset / factor
        widest = max(abs(lo + shift), abs(hi + shift))
        if shift.denominator != 1 or widest > 1 << 53 or Fraction(float(factor)) != factor:
            return None
        single = single and widest <= 1 << 24 and factor.numerator.bit_length() <= 24
        shifts.append(int(shift))
        factors.append(float(factor))
    return Product(tuple(shifts), tuple(factors), single)


def product_of(step: Step) -> Product | None:
    """The product form of a dequantize step, or None."""
    operator = step.operator
    assert isinstance(operator, ops.Dequantize)
    type_ = step.type(operator.inputs[0]).dtype
    return exact_product(operator, type_.lo, type_.hi)


def _can_multiply(isa: Isa, step: Step) -> bool:
    return isa.has_fma and product_of(step) is not None


@kernel(ops.Dequantize, "dequantize.float", priority=10, can_handle=_can_multiply, parallel=True, by_rows=True)
def _dequantize(build: Builder, step: Step) -> str:
    operator, product = step.operator, product_of(step)
    assert isinstance(operator, ops.Dequantize)
    assert product is not None
    x, y = build.view(operator.inputs[0]), build.view(step.output)
    shifts = build.constant(f"{step.output}/shift", np.array(product.shifts, np.int64))
    element = "float32" if product.single else "float64"
    factors = build.constant(f"{step.output}/factor", np.array(product.factors, element))
    with each_element(build, y.layout) as indices:
        channel = indices[operator.linear.axis] if operator.linear.channels > 1 else 0
        number = bind(x.load(indices, "int64") + shifts.load([channel], "int64"))
        factor = bind(factors.load([channel], element))
        value = number.astype("float32") * factor if product.single else _rounded_to_odd(number, factor)
        y.store(indices, clipped_floats(operator, bind(value.astype("float32"))))
    return "one float32 product" if product.single else "one float64 product, rounded to odd"


def _rounded_to_odd(number: Expr, factor: Expr) -> Expr:
    """number·factor as a float64 whose last bit is odd where it is not exact."""
    number = bind(number.astype("float64"))
    high = bind(number * factor)
    low = bind(tirx.call_llvm_pure_intrin("float64", "llvm.fma.f64", number, factor, const(0.0, "float64") - high))
    bits, low_bits = bind(reinterpret("int64", high)), bind(reinterpret("int64", low))
    even = tirx.EQ(tirx.bitwise_and(bits, const(1, "int64")), const(0, "int64"))
    inexact = tirx.NE(tirx.bitwise_and(low_bits, const((1 << 63) - 1, "int64")), const(0, "int64"))
    away = tirx.bitwise_xor(bits, low_bits) >= const(0, "int64")  # equal signs: the exact value is larger in magnitude
    step = tirx.Select(away, const(1, "int64"), const(-1, "int64"))
    moved = bits + tirx.Select(tirx.all(even, inexact), step, const(0, "int64"))
    return reinterpret("float64", bind(moved))


def clipped_floats(operator: ops.Dequantize, value: Expr, lanes: int = 1) -> Expr:
    """Products clipped to the bounds of the operator."""
    if operator.lo is not None:
        value = bind(tirx.max(value, const(fraction_to_float32(operator.lo), "float32", lanes)))
    if operator.hi is not None:
        value = bind(tirx.min(value, const(fraction_to_float32(operator.hi), "float32", lanes)))
    return value
