"""Kernels, one file per operator family. Importing this package fills the table in `registry`.

`registry` says how a kernel is written. A kernel module is imported here, and nowhere else is anything to be changed.
"""

from __future__ import annotations

import importlib
import pkgutil

_PLAIN = {"registry"}


def load_all() -> None:
    """Import every module of this folder, so that each registers its kernels."""
    for module in pkgutil.iter_modules(__path__):
        if module.name not in _PLAIN:
            importlib.import_module(f"{__name__}.{module.name}")
