"""Settings of a recipe from a TOML file and from NAME=VALUE options, onto the dataclass that holds them."""

from __future__ import annotations

import difflib
import json
import tomllib
import types
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from edgeconv.errors import UsageError

__all__ = ["apply_settings", "kept_settings", "read_assignments", "read_settings"]

Config = TypeVar("Config")


def kept_settings(family: str, config: Any) -> dict[str, Any]:
    """What the folder of a training keeps of its settings, as JSON knows it; one of others does not go on from there.

    Args:
        family: its name.
        config: the recipe, a dataclass.
    """
    return {"family": family, "config": json.loads(json.dumps(asdict(config), default=str))}


def read_settings(path: str | Path) -> dict[str, Any]:
    """The values of a TOML file.

    Raises:
        UsageError: it cannot be read, or is not TOML.
    """
    try:
        with Path(path).open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise UsageError(f"settings file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"settings file {path} is not TOML: {error}") from error


def read_assignments(items: Sequence[str]) -> dict[str, Any]:
    """Values of `NAME=VALUE` items; names with dots lead into tables, a value is TOML's, or else a string.

    Raises:
        UsageError: an item of another form.
    """
    values: dict[str, Any] = {}
    for item in items:
        name, equals, text = item.partition("=")
        parts = name.split(".")
        if not equals or not all(parts):
            raise UsageError(f"--set {item}", expected="NAME=VALUE, such as float_stage.steps=100")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        table = values
        for part in parts[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise UsageError(f"--set {item}", expected=f"no other --set that gives '{part}' a value of its own")
        table[parts[-1]] = value
    return values


def apply_settings(config: Config, values: Mapping[str, Any], *, source: str, prefix: str = "") -> Config:
    """The dataclass with some fields replaced; tables go into dataclasses below it.

    A field may have a class method `from_dict`, which then reads its table whole.

    Args:
        source: where the values come from, for messages.

    Raises:
        UsageError: an unknown field or a value of another type; names the field.
    """
    names = [field.name for field in fields(config)]  # type: ignore[arg-type]
    hints = get_type_hints(type(config))
    changed: dict[str, Any] = {}
    for name, value in values.items():
        where = prefix + name
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f" (did you mean '{prefix}{close[0]}'?)" if close else ""
            raise UsageError(f"{source}: unknown setting '{where}'{hint}", expected=f"settings: {', '.join(names)}")
        current = getattr(config, name)
        if hasattr(current, "from_dict") and isinstance(value, Mapping):
            changed[name] = current.from_dict(current.to_dict() | dict(value), source=f"{source}: {where}")
        elif is_dataclass(current) and isinstance(value, Mapping):
            changed[name] = apply_settings(current, value, source=source, prefix=f"{where}.")
        else:
            changed[name] = _fitted(value, hints[name], f"{source}: setting '{where}'")
    return replace(config, **changed)  # type: ignore[type-var]


def _fitted(value: Any, hint: Any, where: str) -> Any:
    """The value as the field's type has it; TOML's lists become tuples, whole numbers floats."""
    if get_origin(hint) in (Union, types.UnionType):
        for choice in get_args(hint):
            try:
                return _fitted(value, choice, where)
            except UsageError:
                continue
        raise UsageError(f"{where} is {value!r}", expected=" or ".join(map(_type_name, get_args(hint))))
    if get_origin(hint) is tuple and isinstance(value, (list, tuple)):
        inner = get_args(hint)
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
        if len(kinds) == len(value):
            return tuple(_fitted(one, kind, where) for one, kind in zip(value, kinds, strict=True))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise UsageError(f"{where} is {value!r}", expected=_type_name(hint))


def _type_name(hint: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
    if get_origin(hint) is tuple:
        return "a list"
    if is_dataclass(hint):
        return f"a table of {getattr(hint, '__name__', hint)}"
    return names.get(hint, getattr(hint, "__name__", str(hint)))
