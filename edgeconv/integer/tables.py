"""Tables: a function of one value of at most 16 bits, every entry correctly rounded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeconv.integer.intervals import Float32Rounder, GridRounder, evaluate
from edgeconv.integer.values import Expression
from edgeconv.ir import DType, Grid


def grid_table(expression: Expression, type_: DType, grid: Grid) -> NDArray[np.int64]:
    """clip(round(expression) + zero point) of every integer of `type_`.

    Returns:
        shape (2^bits,), or (channels, 2^bits) where the expression differs between channels.
    """
    return _squeeze(evaluate(expression, _integers(type_), GridRounder(grid)))


def float_table(expression: Expression, type_: DType) -> NDArray[np.float32]:
    """The expression of every integer of `type_`, each rounded once to float32; shape as in `grid_table`."""
    return _squeeze(evaluate(expression, _integers(type_), Float32Rounder()))


def _integers(type_: DType) -> NDArray[np.int64]:
    return np.arange(type_.lo, type_.hi + 1, dtype=np.int64)[None, :]


def _squeeze(values: NDArray[np.generic]) -> NDArray:  # type: ignore[type-arg]
    return values[0] if len(values) == 1 else values
