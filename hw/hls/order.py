"""In which order the elements of a tensor pass through a stream."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

__all__ = ["Order", "image_order", "row_order", "usual_order", "vector_order"]

_VECTOR_LANES = 32
"""The most elements of a vector that one word carries."""


@dataclass(frozen=True, eq=False)
class Order:
    """Elements of a tensor by arrival.

    Attributes:
        index: int64, shape (words, lanes): the row-major index, in the tensor, of each element of each word.
    """

    index: NDArray[np.int64]

    @property
    def words(self) -> int:
        """Words of one sample."""
        return int(self.index.shape[0])

    @property
    def lanes(self) -> int:
        """Elements of a word."""
        return int(self.index.shape[1])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Order) and np.array_equal(self.index, other.index)

    __hash__ = None  # type: ignore[assignment]

    def transposed(self, shape: tuple[int, ...], permutation: tuple[int, ...]) -> Order:
        """The same elements in the same order, as those of the tensor with its axes permuted."""
        moved = np.arange(prod(shape)).reshape(shape).transpose(permutation).reshape(-1)
        places = np.empty(moved.size, np.int64)
        places[moved] = np.arange(moved.size)
        return Order(places[self.index])

    def positions_along(self, shape: tuple[int, ...], axis: int) -> NDArray[np.int64]:
        """The position along an axis of the tensor of each element; shape (words, lanes)."""
        return np.asarray(np.unravel_index(self.index, shape)[axis], np.int64)


def image_order(shape: tuple[int, ...]) -> Order:
    """Channels last: one word for each position of (1, C, H, W) or (1, C, L), all channels in it."""
    channels = shape[1]
    flat = np.arange(prod(shape), dtype=np.int64).reshape(channels, -1)
    return Order(np.ascontiguousarray(flat.T))


def vector_order(size: int) -> Order:
    """Row-major, in words of as many elements as divide it evenly, 32 at most."""
    lanes = next(lanes for lanes in range(min(size, _VECTOR_LANES), 0, -1) if size % lanes == 0)
    return Order(np.arange(size, dtype=np.int64).reshape(-1, lanes))


def row_order(shape: tuple[int, ...]) -> Order:
    """Row-major, one word for each row of the last axis."""
    return Order(np.arange(prod(shape), dtype=np.int64).reshape(-1, shape[-1]))


def usual_order(shape: tuple[int, ...]) -> Order:
    """How a tensor of this shape enters a project: images channels last, anything else row-major."""
    return image_order(shape) if len(shape) in (3, 4) and shape[0] == 1 else vector_order(prod(shape))
