"""The exact arithmetic against brute force and against high-precision evaluation."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeconv.ir import ChannelLinear, Rounding
from edgeconv.ir.exact import fraction_to_float32, nearest_float32, round_fraction

rationals = st.fractions(min_value=-50, max_value=50, max_denominator=40)
positive = st.fractions(min_value=Fraction(1, 30), max_value=20, max_denominator=30)
roundings = st.sampled_from(list(Rounding))


@pytest.mark.parametrize(
    ("value", "even", "away"),
    [("1/2", 0, 1), ("3/2", 2, 2), ("5/2", 2, 3), ("-1/2", 0, -1), ("-3/2", -2, -2), ("-5/2", -2, -3), ("7/3", 2, 2)],
)
def test_ties_follow_the_rounding_mode(value: str, even: int, away: int) -> None:
    assert round_fraction(Fraction(value), Rounding.HALF_EVEN) == even
    assert round_fraction(Fraction(value), Rounding.HALF_AWAY) == away


@given(rationals, rationals, positive, rationals, st.integers(-200, 200), roundings)
def test_round_agrees_with_eighty_digits(
    a: Fraction, b: Fraction, d: Fraction, c: Fraction, x: int, mode: Rounding
) -> None:
    linear = ChannelLinear((a,), b, d, c)
    with mpmath.workdps(80):
        root = mpmath.sqrt(mpmath.mpf(d.numerator) / d.denominator)
        left = a * x + b
        value = mpmath.mpf(left.numerator) / left.denominator / root + mpmath.mpf(c.numerator) / c.denominator
        distance = abs(value - mpmath.floor(value) - 0.5)
        rounded = linear.round((x,), mode)
        if distance > 1e-60:
            assert rounded == int(mpmath.floor(value + 0.5))
        else:
            assert abs(rounded - value) - 0.5 < 1e-50
            if mode is Rounding.HALF_EVEN:
                assert rounded % 2 == 0
            else:
                assert abs(rounded) > abs(value)


@settings(max_examples=300)
@given(rationals.filter(bool), rationals, positive, rationals, st.integers(-20, 20), roundings)
def test_threshold_is_the_first_accumulator_that_reaches(
    a: Fraction, b: Fraction, d: Fraction, c: Fraction, q: int, mode: Rounding
) -> None:
    linear = ChannelLinear((a,), b, d, c)
    x = linear.first_reaching(q, mode)
    assert x is not None
    before = x - 1 if a > 0 else x + 1
    assert linear.round((x,), mode) >= q
    assert linear.round((before,), mode) < q


def test_zero_factor_has_no_threshold() -> None:
    assert ChannelLinear((Fraction(0),), Fraction(1, 3)).first_reaching(1, Rounding.HALF_EVEN) is None


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float32_values_survive(value: float) -> None:
    assert fraction_to_float32(Fraction(value)) == value


@given(st.integers(-(2**60), 2**60), st.integers(1, 2**60), st.integers(-200, 140))
def test_fraction_to_float32_is_the_nearest(numerator: int, denominator: int, exponent: int) -> None:
    value = Fraction(numerator, denominator) * Fraction(2) ** exponent
    found = np.float32(fraction_to_float32(value))
    largest = Fraction(float(np.finfo(np.float32).max))
    if np.isinf(found):
        assert abs(value) >= largest + Fraction(2) ** 103
        return
    for neighbour in (np.nextafter(found, np.float32(-np.inf)), np.nextafter(found, np.float32(np.inf))):
        if np.isfinite(neighbour):
            gap, other = abs(Fraction(float(found)) - value), abs(Fraction(float(neighbour)) - value)
            assert gap < other or (gap == other and found.view(np.uint32) % 2 == 0)


def test_irrational_value_rounds_once() -> None:
    linear = ChannelLinear((Fraction(1),), radicand=Fraction(2))
    assert nearest_float32(linear, (1,), None, None) == float(np.float32(0.5**0.5))
    assert nearest_float32(linear, (0,), None, None) == 0.0


def test_clip_bounds_apply_before_the_rounding_to_float32() -> None:
    linear = ChannelLinear((Fraction(1, 3),))
    assert nearest_float32(linear, (-4,), Fraction(0), None) == 0.0
    assert nearest_float32(linear, (4,), None, Fraction(1, 10)) == float(np.float32(0.1))
