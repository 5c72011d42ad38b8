"""What the vector instructions of all forms share: constants by lane, and what the end of a kernel says of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import Builder, View, bind, const
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir.forms import Form

__all__ = ["BlockConstants", "Columns", "Ending", "Fixes", "Rows", "fix_arrays", "fma", "form_array"]

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


def fix_arrays(rows: Rows, fixes: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(accumulators, what is added to them) of each of `fixes` corrections; forms with fewer add 0 to the last ones."""
    pairs = [[(*form.fixes, *((0, 0),) * fixes)[:fixes] for form in row] for row in rows]  # type: ignore[union-attr]
    return [(at, delta) for at, delta in np.moveaxis(np.array(pairs, np.int64), (2, 3), (0, 1))] if fixes else []


class Fixes:
    """Corrections of accumulators: constants at0, delta0, at1, …, one vector each, and what they do to a vector."""

    def __init__(self, constants: BlockConstants, panel: Expr, fixes: int) -> None:
        self._none = const(0, "int32", constants.lanes)
        self._pairs = [
            (constants.load(f"at{i}", panel, 0), constants.load(f"delta{i}", panel, 0)) for i in range(fixes)
        ]

    def applied(self, acc: Expr) -> Expr:
        """A bound accumulator with its correction."""
        fixed = acc
        for at, delta in self._pairs:
            fixed = fixed + tirx.Select(tirx.EQ(acc, at), delta, self._none)
        return fixed


def fma(dtype: str, lanes: int, a: Expr, b: Expr, c: Expr) -> Expr:
    """a·b + c rounded once."""
    name = f"llvm.fma.v{lanes}f{dtype[-2:]}"
    return tirx.call_llvm_pure_intrin(f"{dtype}x{lanes}", name, a, b, c)
