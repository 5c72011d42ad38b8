"""A quantization policy: how many bits each layer gets, of what kind of scale, and how ranges are found.

One dataclass for training, post-training quantization, sweeps and search, with a TOML form:

    weight_bits = 8
    activation_bits = 8
    scales = "power-of-two"          # or "float"

    [layers]                         # shell patterns of layer names; a later match wins, field by field
    "encoder.*" = { weight_bits = 4 }
    "head" = { weight_bits = 8, activation_bits = 16 }

Needs neither torch nor onnx: names are those of a network's modules, or of an ONNX graph's nodes.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from edgeconv.errors import UsageError

__all__ = ["CALIBRATIONS", "LayerBits", "LayerRule", "QuantPolicy"]

CALIBRATIONS = ("percentile", "mse", "minmax")
_SCALES = ("float", "power-of-two")
# 16-bit weights times 16-bit activations would overflow 32 bits at once; 9 to 15 bits are stored and computed as 16.
_WEIGHT_BITS = tuple(range(2, 9))
_ACTIVATION_BITS = (*range(2, 9), 16)


@dataclass(frozen=True)
class LayerBits:
    """What one layer ends up with: bits of its weights, and of the activation quantizer of its name."""

    weight_bits: int
    activation_bits: int


@dataclass(frozen=True)
class LayerRule:
    """Bits of the layers that a pattern matches; None leaves what stood before.

    Attributes:
        pattern: of layer names, as in a shell: `*`, `?`, `[...]`, case matters.
    """

    pattern: str
    weight_bits: int | None = None
    activation_bits: int | None = None

    def __post_init__(self) -> None:
        where = f"layers.{self.pattern}."
        if self.weight_bits is not None:
            _check_bits(where + "weight_bits", self.weight_bits, _WEIGHT_BITS)
        if self.activation_bits is not None:
            _check_bits(where + "activation_bits", self.activation_bits, _ACTIVATION_BITS)
        if not self.pattern or self.weight_bits is self.activation_bits is None:
            raise UsageError(
                f"quantization policy: the rule for '{self.pattern}' sets nothing",
                expected="a pattern with weight_bits or activation_bits",
            )


@dataclass(frozen=True)
class QuantPolicy:
    """How the layers of a network are quantized.

    Attributes:
        weight_bits: 2 to 8, signed and symmetric; what no rule changes.
        activation_bits: 2 to 8, or 16.
        scales: of activations and weights: `float`, any float32 value, or `power-of-two`.
        per_channel: a scale for each output channel of a weight, or one for the whole weight.
        symmetric_activations: post-training quantization gives activations that can be negative signed integers with
            zero point 0; unsigned ones with any zero point otherwise.
        learn_scales: training moves the scales of activations (LSQ); they stay as calibrated otherwise.
        calibration: how the range of an activation is found from samples: `percentile` of the magnitudes, the range of
            least mean square error (`mse`), or `minmax`.
        percentile: for that calibration, 50 to 100.
        rules: exceptions by layer name; a later match wins.
    """

    weight_bits: int = 8
    activation_bits: int = 8
    scales: str = "float"
    per_channel: bool = True
    symmetric_activations: bool = False
    learn_scales: bool = True
    calibration: str = "percentile"
    percentile: float = 99.99
    rules: tuple[LayerRule, ...] = ()

    def __post_init__(self) -> None:
        _check_bits("weight_bits", self.weight_bits, _WEIGHT_BITS)
        _check_bits("activation_bits", self.activation_bits, _ACTIVATION_BITS)
        _check_choice("scales", self.scales, _SCALES)
        _check_choice("calibration", self.calibration, CALIBRATIONS)
        if not 50 <= self.percentile <= 100:
            raise UsageError(f"quantization policy: percentile = {self.percentile}", expected="50 to 100")
        patterns = [rule.pattern for rule in self.rules]
        twice = sorted({pattern for pattern in patterns if patterns.count(pattern) > 1})
        if twice:
            raise UsageError(f"quantization policy: two rules for '{twice[0]}'", expected="one rule for each pattern")

    @property
    def power_of_two(self) -> bool:
        """Are scales powers of two?"""
        return self.scales == "power-of-two"

    def bits_of(self, name: str) -> LayerBits:
        """Bits of the layer of that name."""
        weight, activation = self.weight_bits, self.activation_bits
        for rule in self.rules:
            if fnmatchcase(name, rule.pattern):
                weight = weight if rule.weight_bits is None else rule.weight_bits
                activation = activation if rule.activation_bits is None else rule.activation_bits
        return LayerBits(weight, activation)

    def resolve(self, weighted: Iterable[str], activations: Iterable[str]) -> dict[str, LayerBits]:
        """Bits of every layer of a network, by name.

        Args:
            weighted: names of layers with weights.
            activations: names of activation quantizers; where one belongs to a layer, the layer's name.

        Raises:
            UsageError: a rule matches no layer that it could change.
        """
        with_weights, with_activations = list(weighted), list(activations)
        for rule in self.rules:
            _check_match(rule, "weight_bits", rule.weight_bits, with_weights)
            _check_match(rule, "activation_bits", rule.activation_bits, with_activations)
        return {name: self.bits_of(name) for name in dict.fromkeys(with_weights + with_activations)}

    def with_rules(self, bits: Mapping[str, LayerBits]) -> QuantPolicy:
        """This policy with exact bits for the layers named, as a search chooses them."""
        exact = [LayerRule(_literal(name), each.weight_bits, each.activation_bits) for name, each in bits.items()]
        replaced = {rule.pattern for rule in exact}
        kept = [rule for rule in self.rules if rule.pattern not in replaced]
        return replace(self, rules=(*kept, *exact))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = "quantization policy") -> QuantPolicy:
        """A policy from its TOML form, read; a field that is not there has its default.

        Args:
            source: where the values come from, for messages.

        Raises:
            UsageError: an unknown field or one of another type, a value out of range; names the field.
        """
        kinds = {field.name: type(field.default) for field in fields(cls) if field.name != "rules"}
        plain = {key: value for key, value in values.items() if key != "layers"}
        _check_fields(source, "", plain, kinds, (*kinds, "layers"))
        table = values.get("layers", {})
        if not isinstance(table, Mapping):
            raise UsageError(f"{source}: field 'layers' is {table!r}", expected="a table of patterns")
        rules = []
        for pattern, entry in table.items():
            if not isinstance(entry, Mapping):
                raise UsageError(
                    f"{source}: field 'layers.{pattern}' is {entry!r}",
                    expected="a table such as { weight_bits = 4 }",
                )
            bits = {"weight_bits": int, "activation_bits": int}
            _check_fields(source, f"layers.{pattern}.", entry, bits, bits)
            rules.append((pattern, entry))
        try:
            return cls(**plain, rules=tuple(LayerRule(pattern, **entry) for pattern, entry in rules))
        except UsageError as error:
            problem = error.problem.removeprefix("quantization policy: ")
            raise UsageError(f"{source}: {problem}", expected=error.expected) from None

    @classmethod
    def from_toml(cls, path: str | Path) -> QuantPolicy:
        """Read a policy file.

        Raises:
            UsageError: the file cannot be read, is not TOML, or breaks a rule; names file and field.
        """
        source = f"policy file {path}"
        try:
            with Path(path).open("rb") as file:
                values = tomllib.load(file)
        except OSError as error:
            raise UsageError(f"{source}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{source} is not TOML: {error}") from error
        return cls.from_dict(values, source)

    def to_dict(self) -> dict[str, Any]:
        """The TOML form as plain values; `from_dict` gives the policy back."""
        values = asdict(self)
        del values["rules"]
        layers = {
            rule.pattern: {name: bits for name, bits in asdict(rule).items() if name != "pattern" and bits is not None}
            for rule in self.rules
        }
        return values | ({"layers": layers} if layers else {})

    def to_toml(self) -> str:
        """The text of a policy file."""
        lines = [f"{key} = {json.dumps(value)}" for key, value in self.to_dict().items() if key != "layers"]
        layers = self.to_dict().get("layers", {})
        if layers:
            lines += ["", "[layers]"]
            for pattern, entry in layers.items():
                bits = ", ".join(f"{name} = {value}" for name, value in entry.items())
                lines.append(f"{json.dumps(pattern)} = {{ {bits} }}")
        return "\n".join(lines) + "\n"


def _literal(name: str) -> str:
    """A pattern that matches this name alone."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _check_bits(field: str, bits: int, allowed: tuple[int, ...]) -> None:
    if isinstance(bits, bool) or bits not in allowed:
        expected = "2 to 8 bits" if allowed is _WEIGHT_BITS else "2 to 8 or 16 bits"
        raise UsageError(f"quantization policy: {field} = {bits}", expected=expected)


def _check_choice(field: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(
            f"quantization policy: {field} = {value!r}{_did_you_mean(str(value), choices)}",
            expected=f"one of: {', '.join(choices)}",
        )


def _check_match(rule: LayerRule, field: str, bits: int | None, names: list[str]) -> None:
    if bits is None or any(fnmatchcase(name, rule.pattern) for name in names):
        return
    shown = ", ".join(names[:12]) + (f", … ({len(names)} in all)" if len(names) > 12 else "")
    close = _did_you_mean(rule.pattern, names)
    raise UsageError(
        f"quantization policy: {field} of the rule '{rule.pattern}' matches no layer{close}",
        expected=f"a pattern of: {shown or 'nothing here has ' + field}",
    )


def _check_fields(
    source: str, prefix: str, values: Mapping[str, Any], kinds: Mapping[str, type], known: Iterable[str]
) -> None:
    for key, value in values.items():
        if key not in kinds:
            raise UsageError(
                f"{source}: unknown field '{prefix}{key}'{_did_you_mean(key, known)}",
                expected=f"fields: {', '.join(known)}",
            )
        accepted = (int, float) if kinds[key] is float else (kinds[key],)
        if not isinstance(value, accepted) or (isinstance(value, bool) and kinds[key] is not bool):
            names = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
            raise UsageError(f"{source}: field '{prefix}{key}' is {value!r}", expected=names[kinds[key]])


def _did_you_mean(word: str, choices: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(choices), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
