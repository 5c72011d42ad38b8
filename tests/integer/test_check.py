"""The check of a certificate: it accepts what was proved and names whatever was changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from edgeconv.integer import FMA, GENERIC, Certificate, ChannelProof, check_certificate, prove
from edgeconv.ir import Constant, Linear, Program
from edgeconv.ir.forms import WINDOW_BITS, AddFmaF32, Form, MulShift, Steps
from tests.generate.choices import Choices
from tests.generate.programs import random_case
from tests.integer.networks import pulse_program, sum_program

PULSE = pulse_program()
PROVED = {policy.name: prove(PULSE, policy) for policy in (FMA, GENERIC)}
SUM = sum_program()


def with_channel(
    proved: Certificate, operator: int, k: int, change: Callable[[ChannelProof], ChannelProof]
) -> Certificate:
    """The certificate with one channel of one operator replaced."""
    proof = proved.operators[operator]
    channels = (*proof.channels[:k], change(proof.channels[k]), *proof.channels[k + 1 :])
    operators = (*proved.operators[:operator], replace(proof, channels=channels), *proved.operators[operator + 1 :])
    return replace(proved, operators=operators)


def with_form(proved: Certificate, operator: int, k: int, change: Callable[[Form], Form]) -> Certificate:
    return with_channel(proved, operator, k, lambda channel: replace(channel, form=change(channel.form)))


def the_problem(program: Program, certificate: Certificate) -> str:
    """The one problem that is found, as text."""
    (problem,) = check_certificate(program, certificate)
    return str(problem)


@pytest.mark.parametrize("name", ["fma", "generic"])
def test_what_was_proved_is_accepted_in_less_than_a_second(name: str) -> None:
    back = Certificate.from_json(PROVED[name].to_json())
    start = time.process_time()
    assert check_certificate(PULSE, back) == []
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize("seed", range(200, 210))
def test_random_programs_are_proved_and_accepted(seed: int) -> None:
    case = random_case(Choices.seeded(seed))
    for policy in (FMA, GENERIC):
        proved = prove(case.program, policy)
        assert check_certificate(case.program, Certificate.from_json(proved.to_json())) == []


@pytest.mark.parametrize("direction", [-1, 1])
def test_a_factor_that_differs_somewhere_is_named(direction: int) -> None:
    changed = PROVED["fma"]
    stretch = np.float32(1 + direction * 2.0**-17)
    for k in range(64):
        changed = with_form(changed, 4, k, lambda form: replace(form, factor=float(np.float32(form.factor) * stretch)))
    problems = check_certificate(PULSE, changed)
    assert len(problems) >= 60
    for problem in problems:
        assert problem.operator == "requant %q4"
        assert problem.channel is not None
        form = changed.operators[4].channels[problem.channel].form
        assert problem.constant.startswith(f"{form.kind}: factor {form.factor.hex()}")  # type: ignore[union-attr]
        assert "differs from the definition" in problem.message


def test_a_multiplier_an_addend_and_a_shift_are_named() -> None:
    for change in (
        lambda form: replace(form, multiplier=form.multiplier + (form.multiplier >> 10)),
        lambda form: replace(form, addend=form.addend + (1 << form.shift)),
        lambda form: replace(form, shift=form.shift - 1),
    ):
        text = the_problem(PULSE, with_form(PROVED["generic"], 2, 7, change))
        assert text.startswith("requant %q2, channel 7: mul_shift: multiplier ")
        assert "differs from the definition" in text


def test_a_threshold_is_named_by_its_index() -> None:
    proved = prove(SUM, GENERIC)
    assert isinstance(proved.operators[0].channels[0].form, Steps)

    def move(form: Form) -> Form:
        assert isinstance(form, Steps)
        table = list(form.thresholds)
        table[9] += 1
        return replace(form, thresholds=tuple(table))

    text = the_problem(SUM, with_form(proved, 0, 0, move))
    assert text.startswith("requant %q, channel 0: steps: thresholds[9] = ")


def test_a_constant_of_a_sum_is_named() -> None:
    program = sum_program(Linear(((Fraction(1, 2),), (Fraction(5, 8),))))
    proved = prove(program, FMA)
    assert isinstance(proved.operators[1].channels[0].form, AddFmaF32)
    changed = with_form(proved, 1, 0, lambda form: replace(form, offset=form.offset + 0.0625))
    text = the_problem(program, changed)
    assert text.startswith("add %s (from Add_3), channel 0: add_fma_f32: factors (0x")
    assert "differs from the definition" in text


def test_a_broken_precondition_is_named() -> None:
    text = the_problem(PULSE, with_form(PROVED["generic"], 1, 3, lambda form: replace(form, shift=63)))
    assert "requant %q1, channel 3: mul_shift: " in text
    assert text.endswith("shift 63 is not in 1…62")
    text = the_problem(PULSE, with_form(PROVED["fma"], 1, 3, lambda form: replace(form, factor=0.1)))
    assert text.endswith("a constant is not a float32")
    text = the_problem(PULSE, with_form(PROVED["fma"], 1, 3, lambda form: replace(form, start=WINDOW_BITS)))
    assert text.startswith("requant %q1, channel 3: fma_bits_f32: factor 0x")
    assert text.endswith("not the bits of a float32 in [2²³, 2²⁴)")


@pytest.mark.parametrize("field", ["start", "addend"])
def test_another_start_or_addend_of_an_accumulator_is_named(field: str) -> None:
    """One unit moves the intercept by the factor, or by a whole output: some threshold is hit."""
    for k in range(8):
        changed = with_form(PROVED["fma"], 2, k, lambda form: replace(form, **{field: getattr(form, field) + 1}))
        (problem,) = check_certificate(PULSE, changed)
        assert problem.channel == k
        assert f"{field} " in problem.constant
        assert "differs from the definition" in problem.message


def test_claims_about_function_range_and_count_are_compared() -> None:
    fma = PROVED["fma"]
    linear = replace(fma.operators[0].channels[2].linear, factors=(Fraction(1, 3),))
    text = the_problem(PULSE, with_channel(fma, 0, 2, lambda channel: replace(channel, linear=linear)))
    assert text.startswith("requant %q0, channel 2: r 1/3: the program has ")
    text = the_problem(PULSE, with_channel(fma, 0, 2, lambda channel: replace(channel, ranges=((0, 5),))))
    assert text.startswith("requant %q0, channel 2: range [0, 5]: derived from the program: [")
    text = the_problem(PULSE, with_channel(fma, 0, 2, lambda channel: replace(channel, checked=3)))
    assert text.startswith("requant %q0, channel 2: 3 checked by thresholds: derived: ")


def test_more_fixes_than_the_policy_allows_are_refused() -> None:
    idle = ((1 << 30, 0), (1 << 30, 0), (1 << 30, 0))
    changed = with_form(PROVED["fma"], 0, 2, lambda form: replace(form, fixes=idle))
    assert the_problem(PULSE, changed) == "requant %q0, channel 2: 3 fixes: policy fma allows 2"


def test_the_certificate_of_another_program_is_refused() -> None:
    weights = PULSE.constants["w1"].array.copy()
    weights[5, 0, 0] = -weights[5, 0, 0] or 1
    other = Program(
        PULSE.inputs,
        PULSE.outputs,
        PULSE.operators,
        {**PULSE.constants, "w1": Constant(PULSE.constants["w1"].dtype, weights)},
    )
    problems = check_certificate(other, PROVED["fma"])
    assert any(problem.operator == "requant %q1" and problem.channel == 5 for problem in problems)
    assert "operators: are not the requants" in " ".join(map(str, check_certificate(SUM, PROVED["fma"])))


def test_the_head_is_compared() -> None:
    fma = PROVED["fma"]
    assert the_problem(PULSE, replace(fma, arithmetic=9)) == "certificate: arithmetic 9: expected 1"
    ranges = {**fma.ranges, "q0": (0, 254)}
    assert the_problem(PULSE, replace(fma, ranges=ranges)).startswith("certificate: range of %q0 [0, 254]: derived")
    assert "policy 'none': expected one of generic, fma" in the_problem(PULSE, replace(fma, policy="none"))
    assert "defined" in the_problem(PULSE, replace(fma, defined=()))


def test_a_kind_that_the_policy_lacks_or_a_mixed_panel_is_refused() -> None:
    problems = check_certificate(PULSE, replace(PROVED["fma"], policy="generic"))
    assert "policy generic allows mul_shift" in str(problems[0])
    mixed = with_form(PROVED["fma"], 1, 3, lambda form: PROVED["generic"].operators[1].channels[3].form)
    assert isinstance(mixed.operators[1].channels[3].form, MulShift)
    assert "channels of one panel of 16 differ: fma_bits_f32, mul_shift" in the_problem(PULSE, mixed)
