"""The one place where TVM is imported, so that everything else may be read without it."""

from __future__ import annotations

import sys
from typing import Any

_excepthook = sys.excepthook
import tvm  # noqa: E402
from tvm import tirx  # noqa: E402
from tvm.ir import PointerType, PrimType  # noqa: E402
from tvm.script.ir_builder import IRBuilder  # noqa: E402
from tvm.tirx.script.builder import ir as T  # noqa: E402

sys.excepthook = _excepthook  # TVM's own hides diagnostics

Expr = Any
"""A TIR expression or a Python integer; TVM's operators accept both, and TVM is not typed."""

__all__ = ["Expr", "IRBuilder", "PointerType", "PrimType", "T", "tirx", "tvm"]
