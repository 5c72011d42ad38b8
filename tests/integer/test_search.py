"""Every form that the search returns equals the definition on the whole range; the kinds are those expected."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeconv.errors import ProgramError
from edgeconv.integer.evaluate import evaluate
from edgeconv.integer.policy import ARRAY, FMA, GENERIC, POLICIES, POLICY_OF_ISA, Policy
from edgeconv.integer.proof import precondition_problem
from edgeconv.integer.search import Channel, find_forms
from edgeconv.integer.sums import SumChannel, find_sum_forms
from edgeconv.ir import ChannelLinear, Grid, Rounding, dtype
from edgeconv.ir.exact import quantize_exact
from edgeconv.ir.forms import PANEL, AddFmaF64, AddMulShift, FmaBitsF32, FmaF32, Form, MulShift, Ratio
from tests.integer.channels import channels, everywhere, factors, float32_channels, grids, offsets

CONVERTING = replace(FMA, requant=tuple(kind for kind in FMA.requant if kind != "fma_bits_f32"))
"""The policy without the form that reads accumulators as bits."""
U8, I8, U16 = (Grid.full(dtype(name)) for name in ("u8", "i8", "u16"))


def values_of(form: Form, accs: Sequence[int], grid: Grid = U8) -> list[int]:
    """What a form of one channel gives."""
    return evaluate([form], np.zeros(len(accs), np.intp), [np.array(accs, np.int64)], grid).tolist()


def one(factor: Fraction, lo: int, hi: int, grid: Grid = U8, policy: Policy = FMA, **linear: Fraction) -> Form:
    """The form found for a single channel, after brute force over its range."""
    channel = Channel(ChannelLinear((factor,), **linear), grid, lo, hi)
    (form,) = find_forms([channel], policy)
    assert_exact([form], [channel])
    return form


def assert_exact(forms: list[Form] | tuple[Form, ...], found: list[Channel]) -> None:
    for form, channel in zip(forms, found, strict=True):
        acc, exact = everywhere(channel)
        got = evaluate([form], np.zeros(acc.shape, np.intp), [acc], channel.grid)
        assert np.array_equal(got, exact), (form, channel)


@given(st.lists(channels(), min_size=1, max_size=3), st.sampled_from([FMA, GENERIC]))
@settings(max_examples=60)
def test_found_forms_equal_the_definition(found: list[Channel], policy: Policy) -> None:
    grid = found[0].grid
    found = [Channel(channel.linear, grid, channel.lo, channel.hi) for channel in found]
    forms = find_forms(found, policy)
    assert {form.kind for form in forms} <= set(policy.requant)
    assert len({form.kind for form in forms}) == 1
    assert_exact(forms, found)


def test_dyadic_ties_need_no_fix() -> None:
    form = one(Fraction(1, 2), -50, 600)
    assert isinstance(form, FmaBitsF32)
    assert (form.factor, form.fixes) == (0.5, ())
    assert one(Fraction(1, 2), -50, 600, policy=CONVERTING) == FmaF32(0.5)
    form = one(Fraction(3, 64), -5000, 6000, policy=GENERIC)
    assert isinstance(form, MulShift)
    assert form.half_even


def test_ties_of_an_odd_denominator_need_a_table() -> None:
    assert one(Fraction(3, 10), -1000, 1000, policy=GENERIC).kind == "steps"
    assert one(Fraction(3, 10), -1000, 1000, policy=CONVERTING).kind in ("steps", "fma_f32")


@pytest.mark.parametrize("policy", [FMA, GENERIC])
@pytest.mark.parametrize(
    ("factor", "tie", "rounded"), [(Fraction(1, 2), 1, 1), (Fraction(-5, 8), 4, -3), (Fraction(3, 10), 5, 2)]
)
def test_half_away_is_found_for_ties_on_both_sides(factor: Fraction, tie: int, rounded: int, policy: Policy) -> None:
    grid = Grid(I8.dtype, -128, 127, 3, Rounding.HALF_AWAY)
    form = one(factor, -400, 400, grid, policy)
    assert form.kind in policy.requant
    # A factor a little farther from zero moves every tie outward: one multiplication, and no ties to be told apart.
    assert form.kind not in ("steps", "ratio")
    assert not (isinstance(form, MulShift) and form.half_even)
    assert values_of(form, [tie, -tie], grid) == [3 + rounded, 3 - rounded]


@pytest.mark.parametrize("policy", [FMA, GENERIC])
@pytest.mark.parametrize(
    ("linear", "given", "expected"),
    [
        (ChannelLinear((Fraction(0),)), [-900, 0, 1500], [0, 0, 0]),
        (ChannelLinear((Fraction(0),), Fraction(7, 2)), [-900, 0, 1500], [4, 4, 4]),
        (ChannelLinear((Fraction(-1, 3),)), [-900, -30, 1, 1500], [255, 10, 0, 0]),
        (ChannelLinear((Fraction(1, 7),), Fraction(22, 7)), [-22, -1, 6, 1500], [0, 3, 4, 217]),
        # 1400: 155.68; 155.18 without the shift, 155.42 without the offset, 200.83 without the root.
        (
            ChannelLinear((Fraction(1, 7),), Fraction(1, 3), Fraction(5, 3), Fraction(1, 2)),
            [-900, 0, 1400],
            [0, 1, 156],
        ),
    ],
    ids=["zero", "zero with offset", "negative", "offset", "root"],
)
def test_zero_negative_offset_and_root(
    linear: ChannelLinear, given: list[int], expected: list[int], policy: Policy
) -> None:
    channel = Channel(linear, U8, -900, 1500)
    (form,) = find_forms([channel], policy)
    assert form.kind in policy.requant
    assert form.kind not in ("steps", "ratio")  # one multiplication: neither a table nor a division
    assert values_of(form, given) == expected
    assert_exact([form], [channel])


def test_all_channels_of_a_panel_carry_one_kind() -> None:
    tied = Channel(ChannelLinear((Fraction(3, 10),)), U8, -1000, 1000)
    plain = Channel(ChannelLinear((Fraction(1, 4),)), U8, -1000, 1000)
    forms = find_forms([plain] * PANEL + [plain, tied], CONVERTING)
    assert {form.kind for form in forms[:PANEL]} == {"fma_f32"}
    assert len({form.kind for form in forms[PANEL:]}) == 1


def test_idle_fixes_fill_a_panel_outside_the_range() -> None:
    plain = Channel(ChannelLinear((Fraction(1, 4),)), U8, -10, 40)
    tied = Channel(ChannelLinear((Fraction(3, 10),)), U8, 0, 20)
    forms = find_forms([plain, tied], CONVERTING)
    assert [form.kind for form in forms] == ["fma_f32"] * 2
    assert isinstance(forms[0], FmaF32)
    assert isinstance(forms[1], FmaF32)
    assert len(forms[0].fixes) == len(forms[1].fixes) > 0
    assert all(acc == 41 and delta == 0 for acc, delta in forms[0].fixes)


def test_float32_scales_are_served_by_the_fused_multiply_add() -> None:
    rng = np.random.default_rng(1)
    small = find_forms(float32_channels(rng, 84, 64, U8), CONVERTING)
    fixed = sum(any(delta for _, delta in getattr(form, "fixes", ())) for form in small)
    assert {form.kind for form in small} == {"fma_f32"}
    assert fixed <= 3
    large = Counter(form.kind for form in find_forms(float32_channels(rng, 576, 64, I8), CONVERTING))
    assert large["fma_f32"] >= 48


def test_16_bit_outputs_of_wide_accumulators_are_proved_with_integers_only() -> None:
    rng = np.random.default_rng(2)
    for offset in (False, True):
        found = float32_channels(rng, 2304, 4, U16, offset)
        wide = [Channel(c.linear, c.grid, c.lo * 64, c.hi * 64) for c in found]
        for policy in (FMA, GENERIC):
            kinds = {form.kind for form in find_forms(wide, policy)}
            assert kinds <= {"fma_f64", "wide_mul_shift", "mul_shift"}


def test_outputs_too_wide_to_list_are_exact_by_construction_or_refused() -> None:
    grid = Grid.full(dtype("i32"))
    dyadic = Channel(ChannelLinear((Fraction(3, 4),)), grid, -(1 << 24), 1 << 24)
    (form,) = find_forms([dyadic], GENERIC)
    assert form == MulShift(form.multiplier, 0, form.shift)
    assert Fraction(form.multiplier, 1 << form.shift) == Fraction(3, 4)
    third = Channel(ChannelLinear((Fraction(1, 3),)), grid, -(1 << 24), 1 << 24)
    assert find_forms([third], FMA) == (Ratio((1,), 0, 3),)
    rooted = Channel(ChannelLinear((Fraction(1),), radicand=Fraction(2)), grid, -(1 << 24), 1 << 24)
    with pytest.raises(ProgramError, match=r"channel 0: no form reproduces the exact requantization on \[-16777216"):
        find_forms([rooted], FMA)


def test_every_instruction_set_has_a_policy() -> None:
    names = {"generic", "hls", "avx2", "avxvnni", "avx512vnni", "neon", "neon+dotprod", "cuda", "array"}
    assert POLICY_OF_ISA.keys() == names
    assert POLICIES == {"generic": GENERIC, "fma": FMA, "array": ARRAY}


@st.composite
def sums(draw: st.DrawFn) -> SumChannel:
    count = draw(st.sampled_from([2, 2, 3]))
    linear = ChannelLinear(tuple(draw(factors()) for _ in range(count)), draw(offsets()))
    spans = [draw(st.integers(0, 40 if count == 2 else 9)) for _ in range(count)]
    starts = [draw(st.integers(-60, 60)) for _ in range(count)]
    ranges = tuple((start, start + span) for start, span in zip(starts, spans, strict=True))
    return SumChannel(linear, draw(grids()), ranges)


@given(sums(), st.sampled_from([FMA, GENERIC]), st.integers(-3, 3))
@settings(max_examples=60)
def test_sums_equal_the_definition_and_wrong_ones_are_refused(channel: SumChannel, policy: Policy, move: int) -> None:
    (form,) = find_sum_forms([channel], policy)
    axes = np.meshgrid(*(np.arange(lo, hi + 1) for lo, hi in channel.ranges), indexing="ij")
    operands = [axis.ravel().astype(np.int64) for axis in axes]
    tuples = zip(*(operand.tolist() for operand in operands), strict=True)
    exact = np.array([quantize_exact(channel.linear, channel.grid, values) for values in tuples])
    zeros = np.zeros(exact.shape, np.intp)
    assert np.array_equal(evaluate([form], zeros, operands, channel.grid), exact)
    if isinstance(form, AddMulShift):
        wrong = AddMulShift(
            (form.multipliers[0] + move * (form.multipliers[0] >> 6), *form.multipliers[1:]), form.addend, form.shift
        )
        differs = not np.array_equal(evaluate([wrong], zeros, operands, channel.grid), exact)
        assert (channel.refute(wrong) is not None) == differs


def test_all_pairs_of_8_bit_operands() -> None:
    scales = [Fraction(float(np.float32(value))) for value in (0.0213, 0.0178, 0.0301)]
    linear = ChannelLinear((scales[0] / scales[2], scales[1] / scales[2]), Fraction(-7, 3))
    channel = SumChannel(linear, I8, ((-128, 127), (0, 255)))
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(-128, 128), np.arange(256)))
    exact = [quantize_exact(linear, I8, pair) for pair in zip(x.tolist(), y.tolist(), strict=True)]
    for policy in (FMA, GENERIC):
        (form,) = find_sum_forms([channel], policy)
        assert evaluate([form], np.zeros(len(x), np.intp), [x, y], I8).tolist() == exact


def test_sums_of_wide_operands_divide_exactly_or_are_refused() -> None:
    linear = ChannelLinear((Fraction(1, 3), Fraction(2, 7)))
    wide = SumChannel(linear, U16, ((0, 65535), (0, 65535)))
    assert find_sum_forms([wide], FMA) == (Ratio((7, 6), 0, 21),)
    rooted = SumChannel(ChannelLinear((Fraction(1), Fraction(2)), radicand=Fraction(2)), U16, wide.ranges)
    with pytest.raises(ProgramError, match="channel 0: no form reproduces the exact sum"):
        find_sum_forms([rooted], FMA)


@given(sums())
@settings(max_examples=80)
def test_points_of_a_sum_are_both_sides_of_every_step(channel: SumChannel) -> None:
    points = channel.points
    assert points is not None
    found = set(zip(*(operand.tolist() for operand in points.operands), points.expected.tolist(), strict=True))
    extents = [hi - lo for lo, hi in channel.ranges]
    swept = extents.index(max(extents))
    lo, hi = channel.ranges[swept]
    wanted, thresholds = set(), 0
    others = [range(a, b + 1) if k != swept else (lo,) for k, (a, b) in enumerate(channel.ranges)]
    for values in product(*others):
        row = [(*values[:swept], x, *values[swept + 1 :]) for x in range(lo, hi + 1)]
        exact = [quantize_exact(channel.linear, channel.grid, operands) for operands in row]
        steps = [x for x in range(1, len(row)) if exact[x] != exact[x - 1]]
        thresholds += sum(abs(exact[x] - exact[x - 1]) for x in steps)
        wanted |= {(*row[x], exact[x]) for x in (0, len(row) - 1, *steps, *(x - 1 for x in steps))}
    assert (found, points.thresholds) == (wanted, thresholds)


@given(sums(), st.integers(-2, 2), st.sampled_from([1.0, 2.0**-30, 2.0**-51]))
@settings(max_examples=60)
def test_a_float64_sum_is_refused_exactly_where_it_is_wrong(channel: SumChannel, move: int, size: float) -> None:
    try:
        (form,) = find_sum_forms([channel], replace(FMA, add=("add_fma_f64",)))
    except ProgramError:
        return  # ties of odd denominators: no float is right on both sides
    assert isinstance(form, AddFmaF64)
    axes = np.meshgrid(*(np.arange(lo, hi + 1) for lo, hi in channel.ranges), indexing="ij")
    operands = [axis.ravel().astype(np.int64) for axis in axes]
    exact = [
        quantize_exact(channel.linear, channel.grid, values)
        for values in zip(*map(np.ndarray.tolist, operands), strict=True)
    ]
    zeros = np.zeros(len(exact), np.intp)
    assert evaluate([form], zeros, operands, channel.grid).tolist() == exact
    moved = replace(form, factors=(form.factors[0] * (1 + move * size), *form.factors[1:]))
    if precondition_problem(moved, channel.ranges, channel.grid) is None:
        wrong = evaluate([moved], zeros, operands, channel.grid).tolist() != exact
        assert (channel.refute(moved) is not None) == wrong


def _sums_of(count: int, reach: int) -> list[SumChannel]:
    rng = np.random.default_rng(reach)
    sums = []
    for a, b in rng.uniform(0.5, 2, (count, 2)).astype(np.float32).tolist():
        linear = ChannelLinear((Fraction(a) * 128 / reach / Fraction(b), Fraction(0.75) / Fraction(b)))
        sums.append(SumChannel(linear, I8, ((-reach, reach), (-128, 127))))
    return sums


def test_wide_accumulators_take_float64_in_milliseconds() -> None:
    found = _sums_of(64, 1 << 20)
    start = time.process_time()
    forms = find_sum_forms(found, FMA)
    assert time.process_time() - start < 6
    assert {form.kind for form in forms} == {"add_fma_f64"}


def test_panels_of_a_sum_take_one_kind_where_one_serves_all() -> None:
    narrow, wide = _sums_of(PANEL, 300), _sums_of(PANEL, 1 << 20)
    assert {form.kind for form in find_sum_forms(narrow, FMA)} == {"add_fma_f32"}
    assert {form.kind for form in find_sum_forms([*narrow, *wide], FMA)} == {"add_fma_f64"}
    thirds = [SumChannel(ChannelLinear((Fraction(1, 3), Fraction(1, 6))), I8, ((-9, 9), (-9, 9)))] * PANEL
    kinds = [form.kind for form in find_sum_forms([*thirds, *wide], FMA)]
    assert kinds == ["ratio"] * PANEL + ["add_fma_f64"] * PANEL  # no division where none is needed


def test_1500_channels_in_a_few_seconds() -> None:
    found = float32_channels(np.random.default_rng(0), 64, 1500, U8)
    start = time.process_time()
    find_forms(found, FMA)
    assert time.process_time() - start < 6


def test_real_offsets_take_two_roundings_where_that_is_exact() -> None:
    found = float32_channels(np.random.default_rng(3), 32, 64, U8, offset=True)
    kinds = Counter(form.kind for channel in found for form in find_forms([channel], CONVERTING))
    assert kinds["fma_offset_f32"] >= 58
    assert kinds.keys() <= {"fma_offset_f32", "fma_f64"}
