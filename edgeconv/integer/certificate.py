"""The certificate of a program: every rounding with its exact numbers, its range, and the form that was proved.

docs/certificate.md describes the file. Floats are written in hexadecimal and rationals as n/d, so nothing is rounded.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from types import MappingProxyType
from typing import Any, get_args, get_origin, get_type_hints

from edgeconv.errors import ArtifactError
from edgeconv.ir.exact import ChannelLinear
from edgeconv.ir.forms import FORMS, Form, ProvedForms

FORMAT = 1
"""Version of the file's layout."""

CONSTRUCTION, THRESHOLDS, SECTIONS = "construction", "thresholds", "sections"
"""How a form was proved: it holds the exact rationals; at every step; at every step of every section of a sum."""

_COLUMNS = ("r", "o", "radicand", "shift", "range", "kind", "form", "by", "checked")


@dataclass(frozen=True)
class ChannelProof:
    """One channel of a requant or add: what it is, how it is computed, and what was checked.

    Attributes:
        linear: the exact function (factors r, offset o, radicand, shift).
        ranges: reachable [lo, hi] of each operand.
        by: "thresholds", "sections" or "construction".
        checked: number of thresholds inside the range (of all sections, for a sum); 0 by construction.
    """

    linear: ChannelLinear
    ranges: tuple[tuple[int, int], ...]
    form: Form
    by: str
    checked: int


@dataclass(frozen=True)
class OperatorProof:
    """The proof of one requant or add, one entry per channel of its `Linear`."""

    operator: str
    output: str
    origin: str
    channels: tuple[ChannelProof, ...]


@dataclass(frozen=True)
class Certificate:
    """What was proved about a program under one policy.

    Attributes:
        arithmetic: version of docs/arithmetic.md.
        policy: name of the policy (`edgeconv.integer.policy`).
        ranges: reachable [lo, hi] of every integer tensor.
        operators: one proof per requant and add, in execution order.
        defined: (operator, output) of each quantize, table, threshold, softmax, normalize and dequantize: their
            constants are their definition, so there is nothing to prove.
    """

    arithmetic: int
    policy: str
    ranges: Mapping[str, tuple[int, int]]
    operators: tuple[OperatorProof, ...]
    defined: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "ranges", MappingProxyType(dict(self.ranges)))

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[object, ...]:
        return (Certificate, (self.arithmetic, self.policy, dict(self.ranges), self.operators, self.defined))

    @property
    def forms(self) -> Mapping[str, ProvedForms]:
        """The proved forms by output tensor, as code generation takes them."""
        return {
            proof.output: ProvedForms(
                proof.output,
                tuple(channel.form for channel in proof.channels),
                tuple(zip(*(channel.ranges for channel in proof.channels), strict=True)),
            )
            for proof in self.operators
        }

    def to_json(self) -> str:
        """The text of certificate.json: one operator per line."""
        head = {
            "format": FORMAT,
            "arithmetic": self.arithmetic,
            "policy": self.policy,
            "ranges": dict(self.ranges),
            "defined": self.defined,
        }
        lines = [f"{json.dumps(key)}:{_dump(value)}" for key, value in head.items()]
        operators = ",\n".join(_dump(_write_operator(proof)) for proof in self.operators)
        return "{" + ",\n".join([*lines, f'"operators":[\n{operators}]']) + "}\n"

    @staticmethod
    def from_json(text: str) -> Certificate:
        """The certificate that `to_json` wrote.

        Raises:
            ArtifactError: the text is not a certificate of this format; the message says where.
        """
        try:
            data = json.loads(text)
            if not isinstance(data, dict) or data.get("format") != FORMAT:
                raise ArtifactError("certificate.json: not a certificate of format 1", advice="compile again")
            return Certificate(
                _integer(data["arithmetic"]),
                _string(data["policy"]),
                {name: _interval(pair) for name, pair in data["ranges"].items()},
                tuple(_read_operator(entry) for entry in data["operators"]),
                tuple((_string(operator), _string(output)) for operator, output in data["defined"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError, ZeroDivisionError, OverflowError) as error:
            raise ArtifactError(
                f"certificate.json is malformed: {type(error).__name__}: {error}", advice="compile again"
            ) from error

    def summary(self) -> str:
        """How many channels of each operator carry which form, one line per operator and a total."""
        total: Counter[str] = Counter()
        lines = [f"policy {self.policy}, arithmetic {self.arithmetic}"]
        for proof in self.operators:
            kinds = Counter(_label(channel.form) for channel in proof.channels)
            total += kinds
            checked = sum(channel.checked for channel in proof.channels)
            lines.append(f"  {proof.operator} %{proof.output}: {_counts(kinds)}; {checked} thresholds checked")
        lines.append(f"  total: {_counts(total)}; {len(self.defined)} operators by definition")
        return "\n".join(lines)


def _label(form: Form) -> str:
    fixes = sum(1 for _, delta in getattr(form, "fixes", ()) if delta)
    return f"{form.kind} + {fixes} fix{'es' if fixes > 1 else ''}" if fixes else form.kind


def _counts(kinds: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none"


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _write_operator(proof: OperatorProof) -> dict[str, object]:
    """Columns of one entry per channel; a column in which all are equal holds one."""
    rows = [
        (
            [str(factor) for factor in channel.linear.factors],
            str(channel.linear.offset),
            str(channel.linear.radicand),
            str(channel.linear.shift),
            channel.ranges,
            channel.form.kind,
            [_plain(getattr(channel.form, field.name)) for field in fields(channel.form)],
            channel.by,
            channel.checked,
        )
        for channel in proof.channels
    ]
    columns = {name: list(column) for name, column in zip(_COLUMNS, zip(*rows, strict=True), strict=True)}
    for name, column in columns.items():
        if all(value == column[0] for value in column):
            columns[name] = column[:1]
    head = {"operator": proof.operator, "output": proof.output, "origin": proof.origin, "channels": len(rows)}
    return {**head, **columns}


def _read_operator(entry: dict[str, Any]) -> OperatorProof:
    count = _integer(entry["channels"])
    if count < 1:
        raise ValueError("an operator without channels")
    columns = []
    for name in _COLUMNS:
        column = entry[name]
        if not isinstance(column, list) or len(column) not in (1, count):
            raise ValueError(f"column {name} of %{entry['output']} has the wrong length")
        columns.append(column * count if len(column) == 1 else column)
    channels = tuple(_read_channel(*row) for row in zip(*columns, strict=True))
    return OperatorProof(_string(entry["operator"]), _string(entry["output"]), _string(entry["origin"]), channels)


def _read_channel(
    r: Any, o: Any, radicand: Any, shift: Any, ranges: Any, kind: Any, form: Any, by: Any, checked: Any
) -> ChannelProof:
    factors = tuple(_fraction(factor) for factor in r)
    linear = ChannelLinear(factors, _fraction(o), _fraction(radicand), _fraction(shift))
    if linear.radicand <= 0:
        raise ValueError("a radicand is not positive")
    intervals = tuple(_interval(pair) for pair in ranges)
    if len(intervals) != len(factors):
        raise ValueError(f"{len(intervals)} ranges for {len(factors)} operands")
    return ChannelProof(linear, intervals, _read_form(kind, form), _string(by), _integer(checked))


def _read_form(kind: Any, values: Any) -> Form:
    if kind not in FORMS:
        raise ValueError(f"unknown form {kind!r}")
    cls = FORMS[kind]
    hints = get_type_hints(cls)
    names = [field.name for field in fields(cls)]
    return cls(*(_typed(value, hints[name]) for name, value in zip(names, values, strict=True)))


def _plain(value: object) -> object:
    if isinstance(value, float):
        return value.hex()
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _typed(value: Any, hint: Any) -> Any:
    """A JSON value as the type that a form's field has."""
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{value!r} is not a list")
        arguments = get_args(hint)
        if arguments[-1] is Ellipsis:
            return tuple(_typed(item, arguments[0]) for item in value)
        return tuple(_typed(item, argument) for item, argument in zip(value, arguments, strict=True))
    if hint is float:
        return float.fromhex(_string(value))
    if type(value) is not hint:
        raise ValueError(f"{value!r} is not {hint.__name__}")
    return value


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"{value!r} is not an integer")
    return value


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    return value


def _fraction(value: Any) -> Fraction:
    return Fraction(_string(value))


def _interval(pair: Any) -> tuple[int, int]:
    lo, hi = pair
    if _integer(lo) > _integer(hi):
        raise ValueError(f"an empty range [{lo}, {hi}]")
    return lo, hi
