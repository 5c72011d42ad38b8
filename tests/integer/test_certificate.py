"""The certificate as a file: round trip, refusal of malformed text, summary."""

from __future__ import annotations

import json
import pickle
from fractions import Fraction

import pytest

from edgeconv.errors import ArtifactError, ProgramError
from edgeconv.integer import FMA, GENERIC, Certificate, Policy, prove
from edgeconv.ir import Linear, Program
from tests.integer.networks import pulse_program, sum_program


@pytest.fixture(scope="module")
def program() -> Program:
    return pulse_program()


@pytest.mark.parametrize("policy", [FMA, GENERIC])
def test_a_certificate_survives_the_file(program: Program, policy: Policy) -> None:
    for proved in (prove(program, policy), prove(sum_program(), policy)):
        text = proved.to_json()
        assert Certificate.from_json(text) == proved
        assert Certificate.from_json(text).to_json() == text
        assert pickle.loads(pickle.dumps(proved)) == proved


def test_a_certificate_of_the_pulse_network_is_small(program: Program) -> None:
    assert all(len(prove(program, policy).to_json()) < 45_000 for policy in (FMA, GENERIC))


def test_numbers_are_written_exactly() -> None:
    data = json.loads(prove(sum_program(), FMA).to_json())
    assert data["policy"] == "fma"
    requant, add = data["operators"]
    assert requant["r"] == [["3/10"]]
    assert requant["range"] == [[[-128, 127]]]
    assert requant["kind"] == ["steps"]
    assert add["r"] == [["5/7", "3/5"]]
    assert add["o"] == ["-3/2"]
    assert data["ranges"]["q"] == [0, 38]
    halves = json.loads(prove(sum_program(Linear(((Fraction(1, 2),), (Fraction(5, 8),)))), FMA).to_json())
    assert halves["operators"][1]["form"] == [[["0x1.0000000000000p-1", "0x1.4000000000000p-1"], "0x0.0p+0"]]


def test_forms_are_given_as_code_generation_takes_them(program: Program) -> None:
    proved = prove(program, FMA)
    assert list(proved.forms) == ["q0", "q1", "q2", "q3", "q4", "q5"]
    forms = proved.forms["q3"]
    assert forms.output == "q3"
    assert len(forms.forms) == 64
    assert len(forms.ranges) == 1
    assert len(forms.ranges[0]) == 64
    added = prove(sum_program(), FMA).forms["s"]
    assert added.ranges == (((-128, 127),), ((0, 38),))


def test_the_summary_counts_kinds_per_layer() -> None:
    lines = prove(sum_program(), GENERIC).summary().splitlines()
    assert lines[0] == "policy generic, arithmetic 1"
    assert lines[1] == "  requant %q: 1 steps; 38 thresholds checked"
    assert lines[2] == "  add %s: 1 ratio; 0 thresholds checked"
    assert lines[-1] == "  total: 1 ratio, 1 steps; 0 operators by definition"


def test_tables_are_listed_as_definitions(program: Program) -> None:
    assert prove(program, FMA).defined == (("table", "t"),)


def test_an_unprovable_operator_is_named(program: Program) -> None:
    nothing = Policy("nothing", ("ratio",), ("ratio",))
    with pytest.raises(ProgramError, match=r"requant %q\d: channel 0: no form .* ratio: the sum may leave 62 bits"):
        prove(program, nothing)


MALFORMED = [
    (lambda data: data.update(format=2), "not a certificate of format 1"),
    (lambda data: data.pop("ranges"), "KeyError"),
    (lambda data: data["operators"][0].update(kind=["magic"]), "unknown form 'magic'"),
    (lambda data: data["operators"][0].update(r=[["1/0"]]), "ZeroDivisionError"),
    (lambda data: data["operators"][0].update(checked=[1, 2, 3]), "column checked of %q has the wrong length"),
    (lambda data: data["operators"][0].update(range=[[[5, 4]]]), "an empty range"),
    (lambda data: data["operators"][0].update(channels=0), "without channels"),
    (lambda data: data["operators"][0].update(kind=["fma_f32"], form=[[0.5, []]]), "0.5 is not text"),
    (lambda data: data["operators"][0].update(kind=["fma_f32"], form=[["0x1p-1", [[1, True]]]]), "True is not int"),
    (lambda data: data["operators"][1].update(form=[[["0x1p-1"]]]), "malformed"),
    (lambda data: data["operators"][0].update(radicand=["-1"]), "not positive"),
]


@pytest.mark.parametrize(("change", "text"), MALFORMED)
def test_a_malformed_file_is_refused(change, text: str) -> None:
    data = json.loads(prove(sum_program(), FMA).to_json())
    change(data)
    with pytest.raises(ArtifactError, match=text):
        Certificate.from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}'])
def test_what_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(ArtifactError, match=r"certificate\.json"):
        Certificate.from_json(text)
