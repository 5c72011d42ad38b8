"""Panels by a dot product that has a hand-scheduled loop (`Dot.sweep`)."""

from __future__ import annotations

from collections.abc import Sequence

from edgeconv.codegen.builder import Memory
from edgeconv.codegen.kernels.product import Product
from edgeconv.codegen.tir import Expr

__all__ = ["SweptProduct"]


class SweptProduct(Product):
    """A `Product` that sweeps over the groups of a run where a tile has the positions for it, all but a few last ones.

    Weights are packed as panels of one block, so that the groups of a tile follow one another.
    """

    def _run(self, acc: Memory, begin: Expr, windows: Sequence[Expr], place: Expr, first: Expr, chains: int) -> None:
        dot, x = self._dot, self._x
        swept = self._groups // dot.swept_groups * dot.swept_groups if len(windows) == dot.swept_rows else 0
        if not swept:
            super()._run(acc, begin, windows, place, first, chains)
            return
        memory, origin = self._weights.memory, self._weights.origin
        weights = memory.address("int8", origin + begin + first * self._lanes * dot.group)
        places = [x.memory.address("int8", x.start + window + place) for window in windows]
        dot.sweep(
            self._build, acc.address("int32", 0), weights, places, swept, fresh=isinstance(first, int) and first == 0
        )
        self._groups_of(acc, begin, windows, place, first, range(swept, self._groups), chains)
