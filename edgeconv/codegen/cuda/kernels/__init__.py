"""Kernels for the threads of a GPU, where the ordinary ones are not the best; `codegen.kernels.registry` says how.

Each is registered with a `can_handle` that asks for `isa.gpu`, and works with a `CudaBuilder`.
"""

from __future__ import annotations

import importlib
import pkgutil


def load_all() -> None:
    """Import every module of this folder, so that each registers its kernels."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
