"""The exact real value of a `Linear` as a fixed-point number: the compile-time half of `dequantize` on integers alone.

The value v of a `Linear` is computed as an integer V = Σ Cᵢ·xᵢ + O on `fraction_bits` fractional bits, in limbs of 26
bits, so that rounding V once to float32 gives v rounded once. Why that is certain, channel by channel:

* Where v is a rational with a power of two D as denominator (scales are float32, so this is the ordinary case),
  V·2⁻ᵖ = v exactly with 2ᵖ >= D.
* Otherwise V carries an error of at most E = Σ|xᵢ| + 2 units (each constant is off by less than one). A float32
  rounding can only go wrong next to a *boundary*: zero or a midpoint of two neighbouring float32 numbers. Every
  boundary that v can meet is a multiple of 2⁻ᵘ: u = 150 always suffices, and where |v| is 0 or at least 1/D,
  u = 24 + ⌈log₂ D⌉ does. v is either *on* a boundary or at least a separation away from it:
      v = P/D rational:      |v - b| >= 1 / lcm(D, 2ᵘ);
      v = A/√r + s, √r irrational, with A = P/Dₐ, r = n/m, b - s = N/D_b:  |A²/r - (b-s)²| >= 1/(Dₐ²·n·D_b²), unless
      A = 0 and b = s, hence |v - b| >= 1/(Dₐ²·n·D_b²·2(|A|/√r + |s| + 1)).
  Let 2⁻ᵖ be at most the separation and at most 2⁻ᵘ, and let V have g more bits with 2^(g-1) > E. Then V rounded to a
  multiple of 2ᵍ is the boundary itself where v is on it, and lies strictly on the side of v where it is not. These g
  bits (whole limbs) are dropped after the sum, and what is left is rounded as if it were exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt, lcm

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UnsupportedModelError
from edgeconv.ir.exact import ChannelLinear, Linear
from edgeconv.ir.types import DType

LIMB_BITS = 26
_LIMB_MASK = (1 << LIMB_BITS) - 1
_SMALLEST_MIDPOINT_BITS = 150  # half of the smallest subnormal float32, 2⁻¹⁴⁹
MAX_TERMS = 16
"""Products of a limb and an operand part that one int64 limb sum may hold: 16·2⁵⁸ < 2⁶³."""


@dataclass(frozen=True)
class FixedPoint:
    """Constants of V = Σ parts·factors + offset, one column per channel.

    Attributes:
        fraction_bits: fractional bits that remain after `dropped` limbs are cut off.
        factors: int64 (parts, limbs, channels), low limb first; all limbs but the highest are in [0, 2²⁶). An operand
            is one part, a wide operand two: first its low 32 bits, then the rest.
        offset: int64 (limbs, channels).
        dropped: low limbs that the snap to boundaries cuts off.
        wide: per operand, whether it is read as two parts, x = high·2³² + low.
    """

    fraction_bits: int
    factors: NDArray[np.int64]
    offset: NDArray[np.int64]
    dropped: int
    wide: tuple[bool, ...]

    @property
    def limbs(self) -> int:
        """Limbs of the sum."""
        return int(self.offset.shape[0])

    @property
    def channels(self) -> int:
        """Columns of the tables."""
        return int(self.offset.shape[1])


def fixed_point(linear: Linear, dtypes: Sequence[DType]) -> FixedPoint:
    """The constants that compute `linear` over operands of these types (see the module's docstring)."""
    channels = [linear.channel(k) for k in range(linear.channels)]
    bounds = [max(-type_.lo, type_.hi) for type_ in dtypes]
    error = sum(bounds) + 2
    dyadic = all(_power_of_two_denominator(channel) is not None for channel in channels)
    dropped = 0 if dyadic else (error.bit_length() + 1 + LIMB_BITS) // LIMB_BITS
    fraction_bits = max(_fraction_bits(channel, bounds) for channel in channels)
    precision = fraction_bits + LIMB_BITS * dropped
    snap = 1 << (LIMB_BITS * dropped - 1) if dropped else 0
    columns = [_integers(channel, precision) for channel in channels]
    columns = [(factors, offset + snap) for factors, offset in columns]
    widest = max(
        sum(abs(f) * bound for f, bound in zip(factors, bounds, strict=True)) + abs(offset)
        for factors, offset in columns
    )
    limbs = max(dropped + 1, -(-(widest.bit_length() + 1) // LIMB_BITS))
    wide = tuple(bound > 1 << 32 for bound in bounds)
    parts = [(i, shift) for i, split in enumerate(wide) for shift in ((0, 32) if split else (0,))]
    if len(parts) > MAX_TERMS:
        raise UnsupportedModelError(
            f"a dequantize of {len(parts)} operand parts", expected=f"at most {MAX_TERMS}", advice="add in two steps"
        )
    factor_limbs = [[_split(factors[i] << shift, limbs) for factors, _ in columns] for i, shift in parts]
    return FixedPoint(
        fraction_bits,
        np.array(factor_limbs, np.int64).transpose(0, 2, 1).copy(),
        np.array([_split(offset, limbs) for _, offset in columns], np.int64).T.copy(),
        dropped,
        wide,
    )


def order_key(value: np.float32) -> int:
    """A signed 32-bit integer that orders float32 numbers as their values do (-0 just below +0)."""
    bits = int(np.float32(value).view(np.int32))
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def _common_denominator(channel: ChannelLinear) -> int:
    return lcm(channel.offset.denominator, *(f.denominator for f in channel.factors))


def _power_of_two_denominator(channel: ChannelLinear) -> int | None:
    rational = channel.as_rational()
    if rational is None:
        return None
    denominator = _common_denominator(rational)
    return denominator if denominator & (denominator - 1) == 0 else None


def _fraction_bits(channel: ChannelLinear, bounds: Sequence[int]) -> int:
    dyadic = _power_of_two_denominator(channel)
    if dyadic is not None:
        return dyadic.bit_length() - 1
    rational = channel.as_rational()
    if rational is not None:
        denominator = _common_denominator(rational)
        boundary_bits = min(_SMALLEST_MIDPOINT_BITS, 24 + denominator.bit_length())
        return lcm(denominator, 1 << boundary_bits).bit_length()
    denominator = _common_denominator(channel)
    boundary = lcm(1 << _SMALLEST_MIDPOINT_BITS, channel.shift.denominator)
    largest = sum(abs(f) * bound for f, bound in zip(channel.factors, bounds, strict=True)) + abs(channel.offset)
    root_bound = max(Fraction(1), 1 / channel.radicand)  # at least 1/√radicand
    reach = 2 * (largest * root_bound + abs(channel.shift) + 1)
    separation = denominator**2 * channel.radicand.numerator * boundary**2 * reach
    return (separation.numerator // separation.denominator + 1).bit_length()


def _integers(channel: ChannelLinear, precision: int) -> tuple[list[int], int]:
    rational = channel.as_rational()
    if rational is not None:
        return [_nearest(f, precision) for f in rational.factors], _nearest(rational.offset, precision)
    factors = [_over_root(f, channel.radicand, precision) for f in channel.factors]
    return factors, _over_root(channel.offset, channel.radicand, precision) + _nearest(channel.shift, precision)


def _nearest(value: Fraction, precision: int) -> int:
    return round(value * (1 << precision))


def _over_root(value: Fraction, radicand: Fraction, precision: int) -> int:
    square = value * value * (1 << (2 * precision)) / radicand
    root = isqrt(square.numerator // square.denominator)
    return root if value >= 0 else -root


def _split(value: int, limbs: int) -> list[int]:
    low = [(value >> (LIMB_BITS * k)) & _LIMB_MASK for k in range(limbs - 1)]
    return [*low, value >> (LIMB_BITS * (limbs - 1))]
