"""Exact real arithmetic behind every rounding: the one place where the requantization formula stands.

See docs/arithmetic.md, sections "Linear" and "Rounding". Everything is decided with integers of any size; nothing here
is rounded before the one rounding that the program asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from math import isqrt

from edgeconv.errors import ProgramError
from edgeconv.ir.types import DType

_ZERO, _ONE = Fraction(0), Fraction(1)


class Rounding(Enum):
    """How a real number becomes an integer."""

    HALF_EVEN = "half_even"
    HALF_AWAY = "half_away"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Linear:
    """The exact real function  (Σ_i factors[i][k]·x_i + offset[k]) / sqrt(radicand[k]) + shift[k].

    k is the index along `axis` of the output; a tuple of length 1 serves every k. `radicand` is 1 unless a batch
    normalization was folded in. All numbers are exact rationals.
    """

    factors: tuple[tuple[Fraction, ...], ...]
    offset: tuple[Fraction, ...] = (_ZERO,)
    radicand: tuple[Fraction, ...] = (_ONE,)
    shift: tuple[Fraction, ...] = (_ZERO,)
    axis: int = 1

    @property
    def channels(self) -> int:
        """Length of the longest per-channel tuple: 1 when the function is the same everywhere."""
        return max(len(values) for values in (*self.factors, self.offset, self.radicand, self.shift))

    def channel(self, k: int) -> ChannelLinear:
        """The function of channel k."""

        def pick(values: tuple[Fraction, ...]) -> Fraction:
            return values[k if len(values) > 1 else 0]

        return ChannelLinear(
            tuple(pick(f) for f in self.factors), pick(self.offset), pick(self.radicand), pick(self.shift)
        )

    def problem(self) -> str | None:
        """What is wrong with the tuples, or None."""
        lengths = {len(values) for values in (*self.factors, self.offset, self.radicand, self.shift)} - {1}
        if len(lengths) > 1 or 0 in lengths:
            return f"per-channel tuples of different lengths {sorted(lengths)}"
        if any(r <= 0 for r in self.radicand):
            return "a radicand is not positive"
        return None


@dataclass(frozen=True)
class ChannelLinear:
    """`Linear` of one channel: (Σ factors[i]·x_i + offset) / sqrt(radicand) + shift."""

    factors: tuple[Fraction, ...]
    offset: Fraction = _ZERO
    radicand: Fraction = _ONE
    shift: Fraction = _ZERO

    @property
    def is_rational(self) -> bool:
        """Whether the square root is rational, so that the whole function is."""
        return _rational_sqrt(self.radicand) is not None

    def as_rational(self) -> ChannelLinear | None:
        """The same function with radicand 1 and shift 0, or None where the root is irrational."""
        root = _rational_sqrt(self.radicand)
        if root is None:
            return None
        return ChannelLinear(tuple(f / root for f in self.factors), self.offset / root + self.shift)

    def compare(self, x: Sequence[int], bound: Fraction) -> int:
        """The sign (-1, 0, 1) of value(x) - bound, decided exactly by squaring rationals."""
        left = sum((f * v for f, v in zip(self.factors, x, strict=True)), self.offset)
        right = bound - self.shift
        return sign_of_root_difference(left, right, self.radicand)

    def round(self, x: Sequence[int], rounding: Rounding) -> int:
        """value(x) rounded to an integer."""
        rational = self.as_rational()
        if rational is not None:
            value = sum((f * v for f, v in zip(rational.factors, x, strict=True)), rational.offset)
            return round_fraction(value, rounding)
        floor = self._floor(x)
        side = self.compare(x, Fraction(2 * floor + 1, 2))
        if side:
            return floor + (side > 0)
        return round_fraction(Fraction(2 * floor + 1, 2), rounding)

    def _floor(self, x: Sequence[int]) -> int:
        left = sum((f * v for f, v in zip(self.factors, x, strict=True)), self.offset)
        square = left * left / self.radicand
        root = isqrt(square.numerator // square.denominator)
        guess = (root if left >= 0 else -root) + self.shift.numerator // self.shift.denominator
        while self.compare(x, Fraction(guess)) < 0:
            guess -= 1
        while self.compare(x, Fraction(guess + 1)) >= 0:
            guess += 1
        return guess

    def first_reaching(self, q: int, rounding: Rounding) -> int | None:
        """The threshold of q for a function of one x.

        For a positive factor: the smallest integer x whose rounded value is >= q. For a negative factor: the largest
        such x. None for a factor of zero (no threshold: the function is constant).
        """
        (factor,) = self.factors
        if factor == 0:
            return None
        bound = Fraction(2 * q - 1, 2)
        at_bound_rounds_up = round_fraction(bound, rounding) >= q
        rational = self.as_rational()
        if rational is not None:
            x = (bound - rational.offset) / rational.factors[0]
            nearest = -((-x.numerator) // x.denominator) if factor > 0 else x.numerator // x.denominator
            if nearest == x and not at_bound_rounds_up:
                nearest += 1 if factor > 0 else -1
            return nearest
        return self._search_threshold(bound, at_bound_rounds_up)

    def _search_threshold(self, bound: Fraction, inclusive: bool) -> int:
        def reaches(x: int) -> bool:
            side = self.compare((x,), bound)
            return side > 0 or (side == 0 and inclusive)

        # value(x) reaches the bound from x = ((bound - shift)·sqrt(radicand) - offset) / factor on: start next to it.
        right = bound - self.shift
        square = right * right * self.radicand
        scaled = isqrt((square.numerator << 64) // square.denominator)
        root = Fraction(scaled if right >= 0 else -scaled, 1 << 32)
        estimate = (root - self.offset) / self.factors[0]
        x = estimate.numerator // estimate.denominator
        step = 1 if self.factors[0] > 0 else -1
        while reaches(x):
            x -= step
        while not reaches(x):
            x += step
        return x


@dataclass(frozen=True)
class Grid:
    """The integers that a quantizer produces: clip(round(value) + zero_point, lo, hi), stored as `dtype`."""

    dtype: DType
    lo: int
    hi: int
    zero_point: int = 0
    rounding: Rounding = Rounding.HALF_EVEN

    @staticmethod
    def full(dtype: DType, zero_point: int = 0, rounding: Rounding = Rounding.HALF_EVEN) -> Grid:
        """The grid that uses the whole range of `dtype`."""
        return Grid(dtype, dtype.lo, dtype.hi, zero_point, rounding)

    def clip(self, rounded: int) -> int:
        """Add the zero point to a rounded value and clip."""
        return min(max(rounded + self.zero_point, self.lo), self.hi)

    def problem(self) -> str | None:
        """What is wrong with the grid, or None."""
        if self.dtype.is_float:
            return "a grid needs an integer type, found f32"
        if self.lo > self.hi or not self.dtype.holds(self.lo, self.hi):
            return f"clip bounds [{self.lo}, {self.hi}] are not inside {self.dtype} [{self.dtype.lo}, {self.dtype.hi}]"
        return None


def quantize_exact(linear: ChannelLinear, grid: Grid, x: Sequence[int]) -> int:
    """The definition of requantization for one value (docs/arithmetic.md, "Requantization")."""
    return grid.clip(linear.round(x, grid.rounding))


def round_fraction(value: Fraction, rounding: Rounding) -> int:
    """A rational rounded to the nearest integer, ties by `rounding`."""
    doubled = 2 * value.numerator
    floor, remainder = divmod(doubled + value.denominator, 2 * value.denominator)
    if remainder:
        return floor
    if rounding is Rounding.HALF_EVEN:
        return floor - (floor & 1)
    return floor if value > 0 else floor - 1


def fraction_of_float32(value: float) -> Fraction:
    """The exact rational of a finite float32.

    Raises:
        ProgramError: value is NaN or infinite.
    """
    try:
        return Fraction(float(value))
    except (OverflowError, ValueError) as error:
        raise ProgramError(f"{value} is not a finite number") from error


def nearest_float32(linear: ChannelLinear, x: Sequence[int], lo: Fraction | None, hi: Fraction | None) -> float:
    """The exact real value, clipped to [lo, hi] and rounded once to float32, half-even. A zero is +0.0.

    Values beyond the largest finite float32 become infinite, as IEEE rounding has it.
    """
    if lo is not None and linear.compare(x, lo) <= 0:
        return fraction_to_float32(lo)
    if hi is not None and linear.compare(x, hi) >= 0:
        return fraction_to_float32(hi)
    rational = linear.as_rational()
    if rational is not None:
        return fraction_to_float32(sum((f * v for f, v in zip(rational.factors, x, strict=True)), rational.offset))
    return _nearest_irrational(linear, x)


def _nearest_irrational(linear: ChannelLinear, x: Sequence[int]) -> float:
    left = sum((f * v for f, v in zip(linear.factors, x, strict=True)), linear.offset)
    bits = 64
    while True:
        # An enclosure of the square root, narrowed until both of its ends round to the same float32. The value is
        # irrational or exactly `shift`, so this ends.
        if left == 0:
            return fraction_to_float32(linear.shift)
        root = isqrt((linear.radicand.numerator << 2 * bits) // linear.radicand.denominator)
        ends = [left / Fraction(root + step, 1 << bits) + linear.shift for step in (0, 1)]
        rounded = {fraction_to_float32(end) for end in ends}
        if len(rounded) == 1:
            return rounded.pop()
        bits *= 2


def fraction_to_float32(value: Fraction) -> float:
    """A rational rounded once to float32, half-even, subnormals and overflow to infinity included."""
    if value == 0:
        return 0.0
    magnitude = abs(value)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if magnitude < Fraction(2) ** exponent:
        exponent -= 1
    unit = max(exponent, -126) - 23
    mantissa = round_fraction(magnitude / Fraction(2) ** unit, Rounding.HALF_EVEN)
    if mantissa == 1 << 24:
        mantissa, unit = mantissa >> 1, unit + 1
    result = float("inf") if unit > 104 else mantissa * 2.0**unit
    return result if value > 0 else -result


def sign_of_root_difference(left: Fraction, right: Fraction, radicand: Fraction) -> int:
    """The sign of left - right·sqrt(radicand), radicand > 0."""
    if left >= 0 > right or left > 0 >= right:
        return 1
    if left <= 0 < right or left < 0 <= right:
        return -1
    if left == 0 and right == 0:
        return 0
    squared = left * left - right * right * radicand
    sign = (squared > 0) - (squared < 0)
    return sign if left > 0 else -sign


def _rational_sqrt(value: Fraction) -> Fraction | None:
    if value == 1:
        return _ONE
    numerator, denominator = isqrt(value.numerator), isqrt(value.denominator)
    if numerator * numerator == value.numerator and denominator * denominator == value.denominator:
        return Fraction(numerator, denominator)
    return None
