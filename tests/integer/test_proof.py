"""Step functions, preconditions and refutations against brute force over whole ranges."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeconv.integer.evaluate import evaluate
from edgeconv.integer.policy import FMA, GENERIC
from edgeconv.integer.proof import precondition_problem, refute
from edgeconv.integer.search import Channel, find_forms
from edgeconv.integer.steps import step_function
from edgeconv.integer.sums import SumChannel
from edgeconv.ir import ChannelLinear, Grid, Rounding, dtype
from edgeconv.ir.forms import (
    WINDOW_BITS,
    AddFmaF32,
    AddFmaF64,
    AddMulShift,
    FmaBitsF32,
    FmaF32,
    FmaF64,
    FmaOffsetF32,
    Form,
    MulShift,
    Ratio,
    Steps,
    WideMulShift,
)
from tests.integer.channels import channels, everywhere, factors

U8 = Grid.full(dtype("u8"))


def differences(form: Form, channel: Channel) -> np.ndarray:
    """Accumulators at which a form differs from the definition, by brute force."""
    acc, exact = everywhere(channel)
    got = evaluate([form], np.zeros(acc.shape, np.intp), [acc], channel.grid)
    return acc[got != exact]


@given(channels())
@settings(max_examples=100)
def test_steps_equal_the_definition_everywhere(channel: Channel) -> None:
    steps = step_function(channel.linear, channel.grid, channel.lo, channel.hi)
    assert steps is not None
    acc, exact = everywhere(channel)
    assert steps(acc).tolist() == exact.tolist()
    assert all(channel.lo < change <= channel.hi for change in steps.changes)


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("radicand", [Fraction(1), Fraction(3, 7)])
@pytest.mark.parametrize("sign", [1, -1])
def test_steps_of_a_16_bit_output_are_the_thresholds_of_the_definition(
    rounding: Rounding, radicand: Fraction, sign: int
) -> None:
    factor = sign * Fraction(float(np.float32(0.0371))) * Fraction(float(np.float32(0.013))) / Fraction(1, 3)
    linear = ChannelLinear((factor,), Fraction(1, 3), radicand, Fraction(1, 2))
    grid = Grid.full(dtype("i16"), 5, rounding)
    steps = step_function(linear, grid, -(1 << 26), 1 << 26)
    assert steps is not None
    assert len(steps.changes) > 40000
    low = min(steps.base, steps.base + steps.direction * len(steps.changes))
    for index in range(0, len(steps.changes), 997):
        first = linear.first_reaching(low + 1 + index - grid.zero_point, rounding)
        assert first is not None
        if sign > 0:
            assert steps.changes[index] == first
        else:
            assert steps.changes[len(steps.changes) - 1 - index] == first + 1


def mutated(form: Form, data: st.DataObject) -> Form:
    """The form with one constant changed a little, or much."""
    move = data.draw(st.sampled_from([-3, -2, -1, 1, 2, 3, 1000]))
    if isinstance(form, FmaBitsF32):
        name = data.draw(st.sampled_from(["addend", "start"]))
        return replace(form, **{name: getattr(form, name) + move})
    if isinstance(form, FmaF32):
        if data.draw(st.booleans()):
            where = data.draw(st.integers(-400, 800))
            return replace(form, fixes=(*form.fixes, (where, move)))
        return replace(form, factor=float(np.float32(form.factor) * (1 + np.float32(move) * np.float32(2.0**-10))))
    if isinstance(form, (FmaOffsetF32, FmaF64)):
        name = data.draw(st.sampled_from(["factor", "offset"]))
        return replace(form, **{name: float(np.float32(getattr(form, name) * (1 + move * 2.0**-9)))})
    if isinstance(form, MulShift):
        name = data.draw(st.sampled_from(["multiplier", "addend", "shift"]))
        step = 1 if name == "shift" else max(1, abs(form.multiplier) >> 9)
        return replace(form, **{name: getattr(form, name) + move * step})
    if isinstance(form, WideMulShift):
        name = data.draw(st.sampled_from(["high", "low", "addend", "shift"]))
        return replace(form, **{name: getattr(form, name) + move * (1 if name == "shift" else 1 << 16)})
    if isinstance(form, Ratio):
        name = data.draw(st.sampled_from(["addend", "denominator"]))
        return replace(form, **{name: getattr(form, name) + move})
    assert isinstance(form, Steps)
    if not form.thresholds or data.draw(st.booleans()):
        return replace(form, base=form.base + move)
    at = data.draw(st.integers(0, len(form.thresholds) - 1))
    moved = (*form.thresholds[:at], form.thresholds[at] + move, *form.thresholds[at + 1 :])
    return replace(form, thresholds=tuple(sorted(moved)))


@given(channels(), st.sampled_from([FMA, GENERIC]), st.data())
@settings(max_examples=120)
def test_a_wrong_constant_is_refused_exactly_where_it_changes_a_value(channel, policy, data) -> None:
    (right,) = find_forms([channel], policy)
    assert not len(differences(right, channel))
    wrong = mutated(right, data)
    steps = channel.steps
    assert steps is not None
    problem = precondition_problem(wrong, ((channel.lo, channel.hi),), channel.grid)
    (refutation,) = refute([wrong], [steps], channel.grid)
    if problem is not None:
        assert refutation is not None
        return
    differing = differences(wrong, channel)
    assert (refutation is not None) == bool(len(differing))
    if refutation is not None:
        assert refutation.at is not None
        assert refutation.at[0] in differing


@given(factors(), st.integers(0, 40), st.integers(-1, 1))
@settings(max_examples=50)
def test_any_shift_is_decided_as_brute_force_does(factor: Fraction, shift: int, move: int) -> None:
    channel = Channel(ChannelLinear((factor,)), U8, -300, 900)
    form = MulShift(round(factor * (1 << shift)) + move, 0, max(shift, 1), half_even=True)
    (refutation,) = refute([form], [channel.steps], U8)  # type: ignore[list-item]
    assert (refutation is not None) == bool(len(differences(form, channel)))


def test_a_fix_that_is_missing_moved_or_doubled_is_refused() -> None:
    channel = Channel(ChannelLinear((Fraction(3, 10),)), U8, 0, 40)  # a tie at 5: 1.5 goes to 2, and at 15: 4.5 to 4
    nearest = float(np.float32(0.3))
    wrong = differences(FmaF32(nearest), channel).tolist()
    assert wrong, "the ties of 3/10 must be wrong in float32"
    upward = {acc: (acc, -1) for acc in wrong}
    fixed = FmaF32(nearest, tuple(upward.values()))
    results = {
        "all": fixed,
        "missing": FmaF32(nearest, fixed.fixes[1:]),
        "moved": FmaF32(nearest, ((wrong[0] + 1, -1), *fixed.fixes[1:])),
        "other way": FmaF32(nearest, ((wrong[0], 1), *fixed.fixes[1:])),
    }
    for name, form in results.items():
        (refutation,) = refute([form], [channel.steps], U8)  # type: ignore[list-item]
        assert (refutation is None) == (not len(differences(form, channel))), name
        assert (refutation is None) == (name == "all"), name


_START = WINDOW_BITS + 1
PRECONDITIONS = [
    (FmaF32(1.0), (-(1 << 24), 10), "not above -1.5·2²³"),
    (FmaF32(0.1), (0, 10), "not a float32"),
    (FmaF32(float("inf")), (0, 10), "not finite"),
    (FmaF32(0.5, ((3, 1),)), (0, (1 << 31) - 1), "leaves int32"),
    (FmaBitsF32(0.5, 6e6, _START, ((3, 1),)), (0, 1 << 23), "0…8388610 from 2²³: not the bits"),
    (FmaBitsF32(0.5, 6e6, _START), (-2, 9), "-1…10 from 2²³: not the bits"),
    (FmaBitsF32(0.5, 6e6, 1 << 31), (-9, 9), "start 2147483648 leaves int32"),
    (FmaBitsF32(0.5, 0.5, _START), (0, 9), "addend 0.5 is not an integer"),
    (FmaBitsF32(0.1, 0.0, _START), (0, 9), "not a float32"),
    (FmaBitsF32(0.5, 4194303.0, _START), (0, 9), "the sum reaches 8388607.5, not inside [2²³, 2²⁴ - 1/2)"),
    (FmaBitsF32(1.0, 8388607.0, _START), (0, 9), "the sum reaches 16777216"),
    (FmaOffsetF32(0.5, -1.3e7), (0, 10), "not above -1.5·2²³"),
    (FmaF64(1.0), (0, (1 << 31) - 1), "leaves int32"),
    (FmaF64(1.0), (0, 1 << 31), "leaves int32"),
    (MulShift(1 << 40, 0, 40), (0, 1 << 24), "may leave int64"),
    (MulShift(1, 0, 63), (0, 1), "shift 63"),
    (MulShift(1, 0, 0), (0, 1), "shift 0"),
    (WideMulShift(0, 1 << 26, 0, 3), (0, 1), "low limb"),
    (WideMulShift(1 << 40, 0, 0, 3), (0, 1 << 24), "may leave int64"),
    (Ratio((1 << 50,), 0, 3), (0, 1 << 12), "may leave 62 bits"),
    (Ratio((1,), 0, 0), (0, 1), "not positive"),
    (Steps(0, (3, 2)), (0, 5), "non-decreasing"),
    (Steps(250, (1, 2, 3, 4, 5, 6)), (0, 9), "250…256 leave"),
]


@pytest.mark.parametrize(("form", "bounds", "text"), PRECONDITIONS)
def test_broken_preconditions_are_named(form: Form, bounds: tuple[int, int], text: str) -> None:
    problem = precondition_problem(form, (bounds,), U8)
    assert problem is not None
    assert text in problem


def test_a_zero_point_that_may_wrap_is_refused() -> None:
    grid = Grid.full(dtype("i32"), -(1 << 30))
    assert "zero point" in str(precondition_problem(FmaF32(0.5), ((0, 9),), grid))
    assert "leaves int32" in str(precondition_problem(FmaF64(1.0), ((-(1 << 30) - 9, 9),), grid))


def test_broken_preconditions_of_sums_are_named() -> None:
    byte = (0, 255)
    cases = [
        (AddFmaF32((1.0,), 0.0), (byte, byte), "1 factors for 2 operands"),
        (AddFmaF32((1.0, 1.0), 0.0), (byte, (0, 1 << 16)), "more than 16 bits"),
        (AddFmaF32((1.0, -70000.0), 0.0), (byte, byte), "not above -1.5·2²³"),
        (AddFmaF64((1.0,), 0.0), (byte, byte), "1 factors for 2 operands"),
        (AddFmaF64((1.0, float("inf")), 0.0), (byte, byte), "not finite"),
        (AddFmaF64((1.0, 1.0), 0.0), (byte, (0, 1 << 31)), "leaves int32"),
        (AddFmaF64((1.0, 2.0**23), 2.0**24), (byte, byte), "reaches 2.15587e+09: it leaves int32"),
        (AddFmaF64((-1.0, -(2.0**23)), -(2.0**24)), (byte, byte), "reaches -2.15587e+09: it leaves int32"),
        (AddFmaF64((2.0**50, 1.0), -(2.0**50)), ((1, 1), byte), "a partial sum may reach"),
        (AddFmaF64((2.0**-500, 1.0), 0.0), (byte, byte), "too small or too large"),
        (AddMulShift((1, 1), 0, 0), (byte, byte), "shift 0"),
        (AddMulShift((1 << 55, 1 << 55), 0, 9), (byte, byte), "may leave int64"),
        (AddMulShift((1,), 0, 9), (byte, byte), "1 multipliers for 2 operands"),
        (Ratio((1,), 0, 9), (byte, byte), "1 numerators for 2 operands"),
    ]
    for form, ranges, text in cases:
        assert text in str(precondition_problem(form, ranges, U8))
        assert text in str(SumChannel(ChannelLinear((Fraction(1), Fraction(1))), U8, ranges).refute(form))


def test_a_sound_form_has_no_broken_precondition() -> None:
    assert precondition_problem(FmaF32(0.5, ((3, 1),)), ((-1000, 1000),), U8) is None
    assert precondition_problem(MulShift(1 << 30, 5, 31), ((-(1 << 31), (1 << 31) - 1),), U8) is None
