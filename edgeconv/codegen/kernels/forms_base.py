"""What the vector instructions of all forms share: constants by lane, and what the end of a kernel says of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import Builder, View, bind
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir.forms import Form

__all__ = ["BlockConstants", "Columns", "Ending", "Rows", "fma", "form_array"]

Columns = dict[str, NDArray[np.generic]]
Rows = Sequence[Sequence[Form]]


@dataclass(frozen=True)
class Ending:
    """What the constants and vectors of a form need to know of the kernel that they end.

    Attributes:
        zero: what is added after rounding: mostly zero point and storage bias.
        bias: the storage bias alone.
        started: the accumulators begin with `bit_forms.channel_starts`.
        sign: what `bit_forms.bits_sign` says of all vectors that are narrowed together.
    """

    build: Builder
    zero: int
    bias: int = 0
    started: bool = False
    sign: int = 0


@dataclass(frozen=True)
class BlockConstants:
    """Per-channel constants of a bucket, (panels, blocks, lanes) each, by label."""

    views: dict[str, View]
    lanes: int

    def load(self, label: str, panel: Expr, block: int) -> Expr:
        """One vector of constants."""
        view = self.views[label]
        return bind(view.vload(view.layout.offset([panel, block, *(0,) * (len(view.layout.axes) - 2)]), self.lanes))


def form_array(rows: Rows, take: Callable[[Form], object], dtype: str) -> NDArray[np.generic]:
    """One number of each form."""
    return np.array([[take(form) for form in row] for row in rows], dtype)


def fma(dtype: str, lanes: int, a: Expr, b: Expr, c: Expr) -> Expr:
    """a·b + c rounded once."""
    name = f"llvm.fma.v{lanes}f{dtype[-2:]}"
    return tirx.call_llvm_pure_intrin(f"{dtype}x{lanes}", name, a, b, c)
