"""Weights of scalar kernels in the order in which vector kernels read theirs, so that one copy in the blob serves all.

The order is that of `Product` for groups of four bytes: [panel][run][group][channel][group element]. A blob stores
equal arrays once; where vector kernels cut their panels otherwise, there are two copies and nothing is wrong.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import Builder, bind
from edgeconv.codegen.tir import Expr
from edgeconv.ir.forms import PANEL

__all__ = ["GROUP", "SharedWeights"]

GROUP, _GROUP_SHIFT = 4, 2


class SharedWeights:
    """Packed int8 weights that are read one at a time.

    Args:
        rows: (outputs, runs, run length).
        blocks: vectors of `PANEL` channels in a panel, as the vector kernels cut them.
    """

    def __init__(self, build: Builder, name: str, rows: NDArray[np.int64], blocks: int) -> None:
        outputs, self._runs, length = rows.shape
        self._width, self._groups = blocks * PANEL, -(-length // GROUP)
        panels = -(-outputs // self._width)
        padded = np.zeros((panels * self._width, self._runs, self._groups * GROUP), np.int64)
        padded[:outputs, :, :length] = rows
        split = padded.reshape(panels, self._width, self._runs, self._groups, GROUP)
        packed = np.ascontiguousarray(split.transpose(0, 2, 3, 1, 4)).reshape(-1)
        self._view = build.constant(name, packed.astype(np.int8))

    @staticmethod
    def fits(weights: NDArray[np.int64]) -> bool:
        """Whether the weights are signed bytes."""
        return bool(weights.min(initial=0) >= -128 and weights.max(initial=0) <= 127)

    def begin(self, channel: Expr) -> Expr:
        """Where the weights of an output channel begin; bound, because it is divided once and used many times."""
        panel = channel // self._width * (self._runs * self._groups * self._width * GROUP)
        return bind(panel + channel % self._width * GROUP)

    def load(self, begin: Expr, run: Expr, position: Expr, element: str) -> Expr:
        """The weight at a position of a run of the channel that begins there."""
        # Shifts, not divisions: LLVM does not know that positions are never negative.
        return self.load_in_group(begin, run, position >> _GROUP_SHIFT, position & (GROUP - 1), element)

    def load_in_group(self, begin: Expr, run: Expr, group: Expr, member: Expr, element: str) -> Expr:
        """The weight at position 4·group + member."""
        offset = (run * self._groups + group) * (self._width * GROUP)
        return self._view.load([begin + offset + member], element)
