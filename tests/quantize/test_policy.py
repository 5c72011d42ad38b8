"""A policy survives its TOML form, resolves rules in order, and says what is wrong with a file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgeconv.errors import UsageError
from edgeconv.quantize.policy import LayerBits, LayerRule, QuantPolicy

POLICY = QuantPolicy(
    weight_bits=6,
    scales="power-of-two",
    per_channel=False,
    calibration="mse",
    percentile=99.5,
    rules=(LayerRule("stem.*", weight_bits=4), LayerRule('odd"[name]', 8, 16), LayerRule("stem.out", 2)),
)


def test_the_toml_form_gives_the_policy_back(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(POLICY.to_toml())
    assert QuantPolicy.from_toml(path) == POLICY
    path.write_text("")
    assert QuantPolicy.from_toml(path) == QuantPolicy()


def test_a_later_rule_wins_field_by_field() -> None:
    policy = QuantPolicy(rules=(LayerRule("a.*", 4, 16), LayerRule("a.b", weight_bits=2), LayerRule("*.c", 3)))
    bits = policy.resolve(["a.b", "a.c", "d"], ["a.b", "x"])
    assert bits == {"a.b": LayerBits(2, 16), "a.c": LayerBits(3, 16), "d": LayerBits(8, 8), "x": LayerBits(8, 8)}


def test_exact_bits_of_layers_override_patterns_and_match_literally() -> None:
    policy = QuantPolicy(rules=(LayerRule("w*", 4),)).with_rules({"w[0]": LayerBits(2, 8), "w1": LayerBits(3, 8)})
    assert [policy.bits_of(name).weight_bits for name in ("w[0]", "w0", "w1", "v")] == [2, 4, 3, 8]
    again = policy.with_rules({"w1": LayerBits(5, 8)})
    assert again.bits_of("w1").weight_bits == 5
    assert len(again.rules) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "weigth_bits = 4",
            r"unknown field 'weigth_bits' \(did you mean 'weight_bits'\?\)\n  expected: fields: weight",
        ),
        ("weight_bits = 9", "policy file .*: weight_bits = 9\n  expected: 2 to 8 bits"),
        ("activation_bits = 12", "activation_bits = 12\n  expected: 2 to 8 or 16 bits"),
        ("weight_bits = true", "field 'weight_bits' is True\n  expected: a whole number"),
        ("weight_bits = 4.0", "field 'weight_bits' is 4.0\n  expected: a whole number"),
        ("per_channel = 1", "field 'per_channel' is 1\n  expected: true or false"),
        ('scales = "floats"', r"scales = 'floats' \(did you mean 'float'\?\)"),
        ('calibration = "max"', "calibration = 'max'.*\n  expected: one of: percentile, mse, minmax"),
        ("percentile = 5", "percentile = 5\n  expected: 50 to 100"),
        ("layers = 3", "field 'layers' is 3\n  expected: a table of patterns"),
        ("[layers]\na = 4", "field 'layers.a' is 4\n  expected: a table such as"),
        ("[layers]\na = { bits = 4 }", "unknown field 'layers.a.bits'"),
        ("[layers]\na = { weight_bits = 1 }", "policy file .*: layers.a.weight_bits = 1\n  expected: 2 to 8 bits"),
        ("[layers]\na = { weight_bits = 16 }", "layers.a.weight_bits = 16"),
        ("[layers]\na = {}", "the rule for 'a' sets nothing"),
        ("weight_bits = ", "policy file .* is not TOML: "),
    ],
)
def test_a_broken_file_is_refused_with_field_and_reason(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        QuantPolicy.from_toml(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"policy file .*none\.toml: No such file"):
        QuantPolicy.from_toml(tmp_path / "none.toml")


def test_a_rule_that_changes_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match=r"weight_bits of the rule 'steam' matches no layer \(did you mean 'stem'\?\)"):
        QuantPolicy(rules=(LayerRule("steam", 4),)).resolve(["stem", "head"], [])
    # The name is there, but it has no activation quantizer.
    with pytest.raises(
        UsageError, match=r"activation_bits of the rule 'stem' .*\n  expected: a pattern of: nothing here"
    ):
        QuantPolicy(rules=(LayerRule("stem", 4, 4),)).resolve(["stem"], [])


def test_two_rules_for_one_pattern_are_refused() -> None:
    with pytest.raises(UsageError, match="two rules for 'a'"):
        QuantPolicy(rules=(LayerRule("a", 4), LayerRule("a", 5)))


def test_a_policy_needs_no_torch() -> None:
    code = "import sys; from edgeconv.quantize import QuantPolicy; print('torch' in sys.modules, 'onnx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
