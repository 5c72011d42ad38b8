"""Packages that share their name with a public function: `edgeconv.verify(...)` beside `edgeconv.verify.results`.

Importing the package puts the module where the function was expected, whoever does it and whenever; so the module
itself can be called, and then it is the function.
"""

from __future__ import annotations

import sys
from functools import cached_property
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["let_package_be_called"]


class _CallablePackage(ModuleType):
    _function_at: str

    @cached_property
    def _function(self) -> Any:
        return getattr(import_module(self._function_at), self.__name__.rpartition(".")[2])

    def __call__(self, *args: Any, **options: Any) -> Any:
        """What the function of this name does."""
        return self._function(*args, **options)


def let_package_be_called(name: str, module: str = "edgeconv.api") -> None:
    """Let the package `edgeconv.X` be called as the function X of a module."""
    package = sys.modules[name]
    package.__class__ = _CallablePackage
    package.__dict__["_function_at"] = module
