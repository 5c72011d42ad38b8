"""Float32 arithmetic on bit patterns, with integer instructions alone: what `generic` computes with.

All functions emit TIR into the current builder and return scalar expressions. The results do not depend on the rounding
mode, on flush-to-zero, or on the presence of a floating-point unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from edgeconv.codegen.kernels.fixed_point import LIMB_BITS
from edgeconv.codegen.tir import Expr, T, tirx

_INFINITY_BITS = 0x7F800000
_SCOPE: ContextVar[str] = ContextVar("scope", default="global")
_LIMB_MASK = (1 << LIMB_BITS) - 1


@contextmanager
def held_in(scope: str) -> Iterator[None]:
    """Inside, what is `held` lies in memory of this scope of TVM's: GPUs want "local", the C generator "global"."""
    token = _SCOPE.set(scope)
    yield
    _SCOPE.reset(token)


def held(value: Expr, element: str = "int64") -> Expr:
    """A variable, through a local that LLVM keeps in a register.

    TVM's simplifier looks through `Bind`: its time is exponential in the length of a chain of values that are each used
    twice (5 links take 45 s). It does not look through memory.
    """
    scope = _SCOPE.get()
    local = T.alloc_buffer((1,), element, scope=scope, annotations={"disable_lower_builtin": True}, align=8)
    T.buffer_store(local, value, [0])
    return T.Bind(local.vload([0], element))


def _i64(value: int) -> Expr:
    return tirx.const(value, "int64")


def _shift_left(value: Expr, amount: Expr | int) -> Expr:
    # A constant shift is a product: the value may be negative, which C does not shift.
    return value * _i64(1 << amount) if isinstance(amount, int) else tirx.shift_left(value, amount)


def _shift_right(value: Expr, amount: Expr | int) -> Expr:
    return tirx.shift_right(value, _i64(amount) if isinstance(amount, int) else amount)


def _select(condition: Expr, yes: Expr, no: Expr) -> Expr:
    return tirx.Select(condition, yes, no)


def float32_of_limbs(sums: Sequence[Expr], dropped: int, fraction_bits: int) -> Expr:
    """A fixed-point number rounded once to float32, ties to even.

    Args:
        sums: int64 limb sums, low limb first, not yet carried; each below 2⁶³ - 2³⁷ in magnitude.
        dropped: low limbs to cut off.
        fraction_bits: fractional bits of what is left.

    Returns:
        the bits of the float32 as an int32 expression; +0 for zero.
    """
    limbs = _carried(sums)[dropped:]
    negative = limbs[-1] < _i64(0)
    magnitude = _carried([_select(negative, -limb, limb) for limb in limbs])
    window, position, below = _leading_window(magnitude)
    # The window lies in [2²⁶, 2⁵²) unless the number is zero; 24 bits of it are kept. A shift is never below 1.
    shift = held(_bit_length(window) - _i64(24))
    scale = 149 - fraction_bits  # the least significant kept bit has weight 2^(shift + 26·position - fraction_bits)
    subnormal_shift = _i64(-scale) - position * _i64(LIMB_BITS)
    shift = held(tirx.min(tirx.max(tirx.max(shift, subnormal_shift), _i64(1)), _i64(60)))
    kept = held(_shift_right(window, shift))
    rest = held(window - _shift_left(kept, shift))
    half = held(_shift_left(_i64(1), shift - _i64(1)))
    odd_or_more = tirx.bitwise_or(below, tirx.bitwise_and(kept, _i64(1)))
    up = tirx.Or(rest > half, tirx.And(tirx.EQ(rest, half), odd_or_more > _i64(0)))
    exponent = shift + position * _i64(LIMB_BITS) + _i64(scale)
    bits = held(_shift_left(exponent, 23) + kept + _select(up, _i64(1), _i64(0)))
    bits = _select(tirx.EQ(window, _i64(0)), _i64(0), tirx.min(bits, _i64(_INFINITY_BITS)))
    sign = _select(negative, _i64(-(1 << 31)), _i64(0))
    return held(tirx.bitwise_or(bits, sign).astype("int32"), "int32")


def _carried(sums: Sequence[Expr]) -> list[Expr]:
    """Limbs of the same number: all but the highest in [0, 2²⁶)."""
    limbs, carry = [], _i64(0)
    for limb in sums[:-1]:
        total = held(limb + carry)
        limbs.append(held(tirx.bitwise_and(total, _i64(_LIMB_MASK))))
        carry = _shift_right(total, LIMB_BITS)
    return [*limbs, held(sums[-1] + carry)]


def _leading_window(magnitude: Sequence[Expr]) -> tuple[Expr, Expr, Expr]:
    """The highest limb that is not zero with the limb below it, its position, and 1 if anything lies below both.

    Position k means that the lowest bit of the window is bit 26·k of the number; it is -1 where the highest nonzero
    limb is the lowest one.
    """
    window, position, below = _shift_left(magnitude[0], LIMB_BITS), _i64(-1), _i64(0)
    any_below = _i64(0)
    for k in range(1, len(magnitude)):
        here = tirx.NE(magnitude[k], _i64(0))
        pair = tirx.bitwise_or(_shift_left(magnitude[k], LIMB_BITS), magnitude[k - 1])
        window = held(_select(here, pair, window))
        position = held(_select(here, _i64(k - 1), position))
        below = held(_select(here, any_below, below))
        any_below = held(_select(tirx.NE(magnitude[k - 1], _i64(0)), _i64(1), any_below))
    return window, position, below


def _bit_length(value: Expr) -> Expr:
    """Bits of a non-negative int64; 0 for zero."""
    leading = tirx.call_llvm_pure_intrin("int64", "llvm.ctlz.i64", value, tirx.const(0, "bool"))
    return held(_i64(64) - leading)


def clip_float32_bits(bits: Expr, lo_key: int | None, hi_key: int | None) -> Expr:
    """Bits of a float32 clipped to bounds that are given by their order keys (`fixed_point.order_key`)."""
    if lo_key is None and hi_key is None:
        return bits
    key = order_key_of_bits(bits)
    if lo_key is not None:
        key = tirx.max(key, tirx.const(lo_key, "int32"))
    if hi_key is not None:
        key = tirx.min(key, tirx.const(hi_key, "int32"))
    return order_key_of_bits(held(key, "int32"))


def order_key_of_bits(bits: Expr) -> Expr:
    """An int32 that orders float32 bit patterns as their values; applied to a key it gives the bits back."""
    sign = tirx.shift_right(bits, tirx.const(31, "int32"))
    return tirx.bitwise_xor(bits, tirx.bitwise_and(sign, tirx.const(0x7FFFFFFF, "int32")))


def rounded_quotient(bits: Expr, significand: Expr, exponent: Expr, *, half_even: bool) -> Expr:
    """round(float32(x / scale)) for a float32 x given by its bits, saturated to ±2³¹; 0 for NaN.

    Args:
        bits: int32 expression, the bits of x.
        significand, exponent: int64 expressions; scale = significand·2^exponent, significand in [2²³, 2²⁴).
        half_even: ties to even, else away from zero.

    Returns:
        an int64 expression.

    The quotient of the two significands with 27 more bits and a sticky bit is rounded to 24 bits (to fewer where the
    float32 would be subnormal, which all round to the integer 0 anyway), then to an integer.
    """
    field = held(tirx.bitwise_and(tirx.shift_right(bits, tirx.const(23, "int32")), tirx.const(255, "int32")), "int32")
    fraction = held(tirx.bitwise_and(bits, tirx.const(0x7FFFFF, "int32")), "int32")
    hidden = _select(tirx.EQ(field, 0), tirx.const(0, "int32"), tirx.const(1 << 23, "int32"))
    # |x| = (fraction + hidden)·2^(max(field, 1) - 150)
    dividend = held(_shift_left((fraction + hidden).astype("int64"), 27))
    quotient = held(tirx.truncdiv(dividend, significand))
    inexact = tirx.NE(quotient * significand, dividend)
    quotient = held(tirx.bitwise_or(_shift_left(quotient, 1), _select(inexact, _i64(1), _i64(0))))
    weight = tirx.max(field, tirx.const(1, "int32")).astype("int64") - _i64(150 + 28) - exponent
    kept, weight = _rounded_to_24_bits(quotient, weight)
    result = held(tirx.min(_rounded_to_integer(kept, weight, half_even), _i64(1 << 31)))
    special = _select(tirx.EQ(fraction, 0), _i64(1 << 31), _i64(0))
    result = held(_select(tirx.EQ(field, 255), special, result))
    return held(_select(bits < 0, -result, result))


def _rounded_to_24_bits(value: Expr, weight: Expr) -> tuple[Expr, Expr]:
    drop = held(tirx.max(_bit_length(value) - _i64(24), _i64(0)))
    kept = held(_half_even_shift(value, drop))
    return kept, held(weight + drop)


def _half_even_shift(value: Expr, amount: Expr) -> Expr:
    """value / 2^amount rounded half to even; amount in [0, 62], value >= 0 and below 2⁶²."""
    kept = held(_shift_right(value, amount))
    doubled = held(_shift_left(value - _shift_left(kept, amount), 1))
    one = held(_shift_left(_i64(1), amount))
    up = tirx.Or(doubled > one, tirx.And(tirx.EQ(doubled, one), tirx.EQ(tirx.bitwise_and(kept, _i64(1)), _i64(1))))
    return kept + _select(up, _i64(1), _i64(0))


def _rounded_to_integer(kept: Expr, weight: Expr, half_even: bool) -> Expr:
    """kept·2^weight rounded to an integer, kept <= 2²⁴; at least 2³¹ where it is that large."""
    left = held(tirx.min(tirx.max(weight, _i64(0)), _i64(34)))
    right = held(tirx.min(tirx.max(-weight, _i64(0)), _i64(40)))
    if half_even:
        down = _half_even_shift(kept, right)
    else:
        half = _shift_right(_shift_left(_i64(1), right), 1)
        down = _shift_right(kept + half, right)
    return held(_shift_left(held(down), left))
