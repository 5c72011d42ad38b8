"""Objectives and constraints: units as people write them, and fronts as their definition says."""

from __future__ import annotations

import numpy as np
import pytest

from edgeconv.errors import UsageError
from edgeconv.search.fronts import front_of, hypervolume, reference_point
from edgeconv.search.problem import Constraint, Evaluated, Metric, Problem, parse_constraint, readable
from tests.search.evaluators import TOY_METRICS, TOY_SPACE

KNOWN = TOY_METRICS | {
    "latency": Metric("latency", "s", ""),
    "model_bytes": Metric("model_bytes", "B", ""),
    "share": Metric("share", "%", ""),
    "score": Metric("score", "", "", maximize=True),
}


@pytest.mark.parametrize(
    ("text", "upper", "bound"),
    [
        ("latency<5us", True, 5e-6),
        ("latency <= 5 µs", True, 5e-6),
        ("latency<0.002", True, 2e-3),
        ("model_bytes<20KB", True, 20e3),
        ("share<0.3%", True, 3e-3),
        ("score>1.5k", False, 1500.0),
        ("error<60ps", True, 60e-12),
        ("cost<1e6", True, 1e6),
    ],
)
def test_constraints_are_read_with_their_units(text: str, upper: bool, bound: float) -> None:
    constraint = parse_constraint(text, KNOWN)
    assert constraint.upper == upper
    assert constraint.bound == bound
    assert constraint.violation(bound) == 0
    assert (constraint.violation(2 * bound) > 0) == upper


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latency=5", r"constraint 'latency=5'\n  expected: METRIC<NUMBER"),
        ("speed<5", r"no metric speed\n  expected: error, cost, latency"),
        ("latency<5B", r"constraint 'latency<5B': unit 'B'\n  expected: a number in s"),
        ("score>5s", r"unit 's'\n  expected: a number in no unit"),
        ("latency<e", "constraint 'latency<e'"),
    ],
)
def test_constraints_that_cannot_be_meant_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_constraint(text, KNOWN)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (53.4e-12, "s", "53.4 ps"),
        (999.6e-9, "s", "1 µs"),
        (0.00221, "%", "0.221 %"),
        (5, "B", "5 B"),
        (284160, "", "284 k"),
    ],
)
def test_values_are_shown_with_a_fitting_prefix(value: float, unit: str, text: str) -> None:
    assert readable(value, unit) == text


def test_the_front_is_what_no_feasible_one_dominates() -> None:
    problem = Problem(TOY_SPACE, (KNOWN["error"], KNOWN["score"]), (Constraint(KNOWN["cost"], True, 80.0),))
    rng = np.random.default_rng(5)
    genomes = [TOY_SPACE.sample(rng) for _ in range(200)]
    everything = [
        Evaluated(
            g,
            None
            if rng.random() < 0.1
            else dict(zip(("error", "score", "cost"), rng.integers(0, 100, 3) / 1.0, strict=True)),
        )
        for g in genomes
    ]
    good = [(e.metrics["error"], -e.metrics["score"]) for e in everything if e.metrics and e.metrics["cost"] <= 80]
    expected = {a for a in good if not any(b != a and b[0] <= a[0] and b[1] <= a[1] for b in good)}
    front = front_of(problem, everything)
    found = [(e.metrics["error"], -e.metrics["score"]) for e in front if e.metrics]
    assert found == sorted(expected)
    assert front_of(problem, []) == []


def test_the_hypervolume_is_the_dominated_share_of_the_box() -> None:
    reference, ideal = np.array([10.0, 2.0]), np.array([0.0, 0.0])
    assert hypervolume(np.array([[5.0, 1.0]]), reference, ideal) == 0.25
    assert hypervolume(np.array([[5.0, 1.0], [0.0, 1.5], [11.0, 0.0]]), reference, ideal) == pytest.approx(0.375)
    assert hypervolume(np.zeros((0, 2)), reference, ideal) == 0
    assert reference_point(np.array([[0.0, 1.0], [10.0, 1.0]])).tolist() == [11.0, 1.1 + 1e-13]


def test_objectives_are_named_once() -> None:
    with pytest.raises(UsageError, match="none twice"):
        Problem(TOY_SPACE, (KNOWN["error"], KNOWN["error"]))
