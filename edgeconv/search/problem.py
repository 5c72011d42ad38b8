"""What a search is after: objectives and constraints over named metrics, in units that people write."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UsageError
from edgeconv.search.space import Genome, Space

__all__ = ["Constraint", "Evaluated", "Metric", "Problem", "find_metrics", "parse_constraint", "readable"]

# Powers of ten.
_PREFIXES = {"": 0, "k": 3, "K": 3, "M": 6, "G": 9, "m": -3, "u": -6, "µ": -6, "n": -9, "p": -12}
_CONSTRAINT = re.compile(r"^\s*([\w.]+)\s*(<=|>=|<|>)\s*([-+.\deE]+?)\s*([a-zA-Zµ%]*)\s*$")


@dataclass(frozen=True)
class Metric:
    """A figure that evaluations report.

    Attributes:
        unit: of the stored values, without prefix: "s", "B", "%" of a stored fraction, or "" for a plain number.
        maximize: more is better.
    """

    name: str
    unit: str
    summary: str
    maximize: bool = False


@dataclass(frozen=True)
class Constraint:
    """metric < bound or metric > bound; the bound itself is good."""

    metric: Metric
    upper: bool
    bound: float

    def violation(self, value: float) -> float:
        """How far beyond the bound, as a share of it; 0 where it holds."""
        beyond = value - self.bound if self.upper else self.bound - value
        return max(0.0, beyond / (abs(self.bound) or 1.0))

    def __str__(self) -> str:
        return f"{self.metric.name} {'<' if self.upper else '>'} {readable(self.bound, self.metric.unit)}"


@dataclass(frozen=True)
class Evaluated:
    """A genome with what its evaluation found.

    Attributes:
        metrics: None where it failed, or ended early.
        found: what was known when it ended early because a constraint was broken; empty otherwise.
    """

    genome: Genome
    metrics: Mapping[str, float] | None
    found: Mapping[str, float] = field(default_factory=dict)

    @property
    def known(self) -> Mapping[str, float]:
        """All metrics, or what there is of them."""
        return self.found if self.metrics is None else self.metrics

    @property
    def ended_early(self) -> bool:
        """Whether a part of the metrics is known."""
        return self.metrics is None and bool(self.found)

    @property
    def failed(self) -> bool:
        """Whether nothing is known of it."""
        return not self.known


@dataclass(frozen=True)
class Problem:
    """A space, what is to be optimized in it, and what must hold."""

    space: Space
    objectives: tuple[Metric, ...]
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        names = [metric.name for metric in self.objectives]
        if not names or len(set(names)) != len(names):
            raise UsageError(f"objectives {names}", expected="at least one, none twice")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All that an evaluation must report."""
        constrained = (constraint.metric for constraint in self.constraints)
        return tuple({metric.name: metric for metric in (*self.objectives, *constrained)}.values())

    def costs(self, metrics: Mapping[str, float]) -> NDArray[np.float64]:
        """Objectives as numbers to be minimized."""
        return np.array([-metrics[m.name] if m.maximize else metrics[m.name] for m in self.objectives], np.float64)

    def violations(self, metrics: Mapping[str, float]) -> NDArray[np.float64]:
        """One number for each constraint, 0 where it holds or its metric is not known."""
        known = [(c, metrics.get(c.metric.name)) for c in self.constraints]
        return np.array([0.0 if value is None else c.violation(value) for c, value in known], np.float64)

    def evaluated(self, genome: Genome, metrics: Mapping[str, float]) -> Evaluated:
        """What an evaluation that did not fail found, which may be a part of the metrics."""
        whole = all(metric.name in metrics for metric in self.metrics)
        return Evaluated(genome, metrics) if whole else Evaluated(genome, None, metrics)

    def feasible(self, evaluated: Evaluated) -> bool:
        """Whether it was evaluated and all constraints hold."""
        return evaluated.metrics is not None and not self.violations(evaluated.metrics).any()


def find_metrics(names: Sequence[str], known: Mapping[str, Metric]) -> tuple[Metric, ...]:
    """Metrics by name.

    Raises:
        UsageError: an unknown one.
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"no metric {', '.join(unknown)}", expected=", ".join(known))
    return tuple(known[name] for name in names)


def parse_constraint(text: str, known: Mapping[str, Metric]) -> Constraint:
    """A constraint as people write it: "latency<5us", "model_bytes < 20 KB", "energy_resolution<0.3%".

    Raises:
        UsageError: not of that form, an unknown metric, or a unit that it does not have.
    """
    match = _CONSTRAINT.match(text)
    if match is None:
        raise UsageError(f"constraint '{text}'", expected="METRIC<NUMBER[UNIT] or METRIC>NUMBER[UNIT]")
    name, sign, number, unit = match.groups()
    (metric,) = find_metrics([name], known)
    try:
        # Decimal: 5 µs is the float nearest to 0.000005, which 5 times the float nearest to 0.000001 is not.
        bound = float(Decimal(number).scaleb(_power(unit, metric.unit)))
    except (ValueError, InvalidOperation) as error:
        raise UsageError(f"constraint '{text}': {error}", expected=f"a number in {metric.unit or 'no unit'}") from error
    return Constraint(metric, sign.startswith("<"), bound)


def _power(written: str, unit: str) -> int:
    """Power of ten of a unit as it was written."""
    if unit == "%" and written in ("", "%"):
        return -2 if written else 0
    prefix = written.removesuffix(unit)
    if written and (prefix not in _PREFIXES or (unit and prefix == written)):
        raise ValueError(f"unit '{written}'")
    return _PREFIXES[prefix]


def readable(value: float, unit: str) -> str:
    """A value with a prefix that leaves one to three digits before the point."""
    if unit == "%":
        return f"{100 * value:.3g} %"
    steps = [("n", 1e-9), ("µ", 1e-6), ("m", 1e-3), ("", 1.0)] if unit == "s" else [("", 1.0), ("k", 1e3), ("M", 1e6)]
    if unit == "s":
        steps.insert(0, ("p", 1e-12))
    prefix, factor = steps[0]
    for candidate, size in steps:
        # Half a unit in the last digit shown: 999.6 ns is 1 µs.
        if abs(value) >= 0.9995 * size:
            prefix, factor = candidate, size
    return f"{value / factor:.3g} {prefix}{unit}".rstrip()
