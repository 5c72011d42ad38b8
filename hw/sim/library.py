"""Libraries of simulations: their functions, and the error where one of them fails."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edgeconv.errors import DeviceError

__all__ = ["load_library", "simulation_error"]

Signature = tuple[str, Any, tuple[Any, ...]]
"""Name behind the prefix, type of the result, types of the arguments."""


def load_library(path: Path, prefix: str, functions: Iterable[Signature]) -> ctypes.CDLL:
    """A simulation's library with the types of its functions, whose names begin with `prefix`."""
    library = ctypes.CDLL(str(path))
    for name, result, arguments in functions:
        function = getattr(library, f"{prefix}{name}")
        function.restype, function.argtypes = result, arguments
    return library


def simulation_error(problem: str) -> DeviceError:
    """RTL and its model must not fail, whatever they are given: it is never the caller's mistake."""
    return DeviceError(problem, advice="report it as a fault of edgeconv, with the model")
