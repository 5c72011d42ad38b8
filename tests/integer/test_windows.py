"""The form that reads accumulators as the bits of floats: its congruences, and the channels that it serves."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeconv.integer.evaluate import evaluate
from edgeconv.integer.policy import FMA
from edgeconv.integer.proof import refute
from edgeconv.integer.search import Channel, find_forms, neighbours
from edgeconv.integer.windows import first_residue, window_forms
from edgeconv.ir import ChannelLinear, Grid, Rounding, dtype
from edgeconv.ir.forms import WINDOW, WINDOW_BITS, FmaBitsF32
from tests.integer.channels import channels, everywhere, float32_channels

U8, I8 = (Grid.full(dtype(name)) for name in ("u8", "i8"))
ONLY_BITS = replace(FMA, requant=("fma_bits_f32",))


@given(st.integers(1, 300), st.data())
@settings(max_examples=300)
def test_the_first_residue_in_an_interval_is_the_first(modulus: int, data: st.DataObject) -> None:
    factor = data.draw(st.integers(0, modulus - 1))
    lo = data.draw(st.integers(0, modulus - 1))
    hi = data.draw(st.integers(lo, modulus - 1))
    found = [x for x in range(modulus) if lo <= factor * x % modulus <= hi]
    assert first_residue(factor, modulus, lo, hi) == (found[0] if found else None)


def assert_exact(form: FmaBitsF32, channel: Channel) -> None:
    """Equal to the definition at every accumulator, all of which become floats of [2²³, 2²⁴)."""
    acc, exact = everywhere(channel)
    got = evaluate([form], np.zeros(acc.shape, np.intp), [acc], channel.grid)
    assert np.array_equal(got, exact), (form, channel)
    assert channel.lo + form.start >= WINDOW_BITS
    assert channel.hi + form.start < WINDOW_BITS + WINDOW


@given(channels())
@settings(max_examples=200)
def test_what_is_proposed_without_exceptions_is_right(channel: Channel) -> None:
    assert channel.steps is not None
    for form in window_forms(channel.steps, channel.grid, neighbours(channel.constants[0], np.float32), 0):
        (refutation,) = refute([form], [channel.steps], channel.grid)
        assert refutation is None or "the sum reaches" in str(refutation)
        if refutation is None:
            assert_exact(form, channel)


@pytest.mark.parametrize("offset", [False, True])
@pytest.mark.parametrize("grid", [U8, I8])
def test_float32_scales_need_no_fixes(grid: Grid, offset: bool) -> None:
    """Multipliers of 24 bits alone are wrong somewhere in one of eight of these channels."""
    found = float32_channels(np.random.default_rng(5), 448, 48, grid, offset)
    plain = [window_forms(c.steps, grid, neighbours(c.constants[0], np.float32), 0) for c in found]  # type: ignore[arg-type]
    served = [next(forms, None) for forms in plain]
    assert sum(form is not None for form in served) >= 45
    for form, channel in zip(served, found, strict=True):
        if form is not None:
            assert refute([form], [channel.steps], grid) == [None]  # type: ignore[list-item]


def test_ties_of_both_kinds() -> None:
    """Half-even by an intercept of zero; away from zero, where nothing is negative, by one just above."""
    for rounding in Rounding:
        for factor in (Fraction(1, 2), Fraction(5, 8), Fraction(1, 64)):
            channel = Channel(ChannelLinear((factor,)), Grid(U8.dtype, 0, 255, 0, rounding), -900, 900)
            (form,) = find_forms([channel], ONLY_BITS)
            assert isinstance(form, FmaBitsF32)
            assert form.fixes == ()
            assert_exact(form, channel)


def test_falling_channels_and_wide_windows() -> None:
    falling = Channel(ChannelLinear((Fraction(-10007, 1 << 22),), Fraction(7, 3)), I8, -40_000, 90_000)
    (form,) = find_forms([falling], ONLY_BITS)
    assert isinstance(form, FmaBitsF32)
    assert_exact(form, falling)
    # Two accumulators beside the range must fit, too, for the fixes of a panel.
    widest = Channel(ChannelLinear((Fraction(1, 1 << 24),)), I8, -(1 << 22), (1 << 22) - 3)
    assert next(window_forms(widest.steps, I8, [2.0**-24], 0)).start == WINDOW_BITS + (1 << 22) + 1  # type: ignore[arg-type]
    wider = Channel(widest.linear, I8, widest.lo, widest.hi + 1)
    assert list(window_forms(wider.steps, I8, [2.0**-24], 0)) == []  # type: ignore[arg-type]


def test_a_fix_serves_what_no_start_can() -> None:
    """Ties of 3/10 in both directions leave no room for any intercept."""
    channel = Channel(ChannelLinear((Fraction(3, 10),)), I8, -20, 20)
    factors = neighbours(Fraction(3, 10), np.float32)
    assert channel.steps is not None
    assert not any(window_forms(channel.steps, I8, factors, 0))
    (form,) = find_forms([channel], ONLY_BITS)
    assert isinstance(form, FmaBitsF32)
    assert 1 <= len(form.fixes) <= FMA.max_fixes
    assert_exact(form, channel)
