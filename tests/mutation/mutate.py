"""A bug in memory: one function or class of edgeconv with one piece of its source replaced, everywhere it is known."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass, replace
from types import ModuleType
from typing import Any

_REGISTERING = {"kernel", "halo_demands"}  # decorators that would enter the function into a table a second time


@contextmanager
def mutated(module: str, name: str, old: str, new: str) -> Iterator[None]:
    """Inside the context, `name` of `edgeconv.module` has `old` in its source replaced by `new`, once.

    Tables that hold the function (dictionaries and the kernel lists in them) are changed as well.

    Raises:
        AssertionError: the source does not hold `old` exactly once; the bug has to be written anew.
    """
    home = importlib.import_module(f"edgeconv.{module}")
    original = getattr(home, name)
    source = textwrap.dedent(inspect.getsource(original))
    assert source.count(old) == 1, f"{module}.{name} holds {old!r} {source.count(old)} times"
    tree = ast.parse(source.replace(old, new))
    (definition,) = tree.body
    assert isinstance(definition, ast.FunctionDef | ast.ClassDef)
    definition.decorator_list = [d for d in definition.decorator_list if not _registers(d)]
    namespace = home.__dict__
    before = namespace[name]
    exec(compile("from __future__ import annotations\n" + ast.unparse(tree), f"<bug in {name}>", "exec"), namespace)
    bug = namespace[name]
    namespace[name] = before
    undo = [_swap(place, key, original, bug) for place, key in _places(original)]
    try:
        yield
    finally:
        for place, key, value in undo:
            place[key] = value


def _registers(decorator: ast.expr) -> bool:
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(function, ast.Name) and function.id in _REGISTERING


def _places(original: object) -> list[tuple[Any, Any]]:
    """(container, key) of every global, dictionary entry and kernel record that refers to the original."""
    found: list[tuple[Any, Any]] = []
    seen: set[int] = set()  # a table that several modules import is one table
    modules = [m for key, m in list(sys.modules.items()) if key.startswith("edgeconv") and isinstance(m, ModuleType)]
    for module in modules:
        for key, value in list(vars(module).items()):
            if value is original:
                found.append((vars(module), key))
            elif isinstance(value, dict) and not key.startswith("__") and id(value) not in seen:
                seen.add(id(value))
                found += _places_in(value, original)
    return found


def _places_in(table: dict[Any, Any], original: object) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    for key, value in table.items():
        if value is original:
            found.append((table, key))
        elif isinstance(value, list):
            found += [(value, i) for i, record in enumerate(value) if getattr(record, "emit", None) is original]
    return found


def _swap(place: Any, key: Any, original: object, bug: object) -> tuple[Any, Any, Any]:
    value = place[key]
    is_record = value is not original and is_dataclass(value) and not isinstance(value, type)
    place[key] = replace(value, emit=bug) if is_record else bug
    return place, key, value
