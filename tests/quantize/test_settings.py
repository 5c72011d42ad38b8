"""Settings reach the field they name, with its type, or are refused by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgeconv.errors import UsageError
from edgeconv.quantize.policy import QuantPolicy
from edgeconv.quantize.settings import apply_settings, read_assignments, read_settings


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    sizes: tuple[int, ...] = (1, 2)
    pair: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Outer:
    steps: int = 10
    name: str = "a"
    fast: bool = False
    limit: int | None = None
    inner: Inner = field(default_factory=Inner)
    policy: QuantPolicy = field(default_factory=lambda: QuantPolicy(weight_bits=4))


def apply(*items: str) -> Outer:
    return apply_settings(Outer(), read_assignments(items), source="here")


def test_values_reach_their_fields_with_their_types() -> None:
    found = apply("steps=3", "name=b c", "fast=true", "limit=7", "inner.rate=2", "inner.sizes=[3, 4, 5]")
    assert found == Outer(3, "b c", True, 7, Inner(2.0, (3, 4, 5)))
    assert isinstance(found.inner.rate, float)
    assert apply() == Outer()


def test_one_field_of_a_policy_leaves_the_others() -> None:
    assert apply("policy.activation_bits=16").policy == QuantPolicy(4, 16)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("step=3", r"here: unknown setting 'step' \(did you mean 'steps'\?\)\n  expected: settings: steps, name"),
        ("inner.rates=3", r"unknown setting 'inner.rates' \(did you mean 'inner.rate'\?\)"),
        ("steps=3.5", "setting 'steps' is 3.5\n  expected: a whole number"),
        ("steps=true", "setting 'steps' is True\n  expected: a whole number"),
        ("fast=1", "setting 'fast' is 1\n  expected: true or false"),
        ("name=3", "setting 'name' is 3\n  expected: a string"),
        ("limit=x", "setting 'limit' is 'x'\n  expected: a whole number or NoneType"),
        ("inner=3", "setting 'inner' is 3\n  expected: a table of Inner"),
        ("inner.pair=[1]", "setting 'inner.pair' is .*\n  expected: a list"),
        ("inner.sizes=[1, 'x']", "setting 'inner.sizes' is 'x'\n  expected: a whole number"),
        ("policy.bits=3", "here: policy: unknown field 'bits'"),
        ("policy.weight_bits=9", "here: policy: weight_bits = 9\n  expected: 2 to 8 bits"),
        ("steps", "--set steps\n  expected: NAME=VALUE"),
        (".steps=3", "--set .steps=3\n"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(item: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        apply(item)


def test_a_value_and_a_table_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match=r"no other --set that gives 'inner' a value"):
        read_assignments(["inner=3", "inner.rate=3"])


def test_files_are_toml(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("steps = 4\n[inner]\nrate = 1.5\n")
    assert apply_settings(Outer(), read_settings(path), source="c") == Outer(4, inner=Inner(1.5))
    path.write_text("steps = \n")
    with pytest.raises(UsageError, match=r"settings file .*c\.toml is not TOML"):
        read_settings(path)
    with pytest.raises(UsageError, match=r"settings file .*: No such file"):
        read_settings(tmp_path / "none.toml")
