"""Loops over all elements of a tensor, and the index arithmetic of broadcasting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from edgeconv.codegen.builder import Builder, View, bind
from edgeconv.codegen.layout import Layout
from edgeconv.codegen.tir import Expr, tirx

__all__ = ["broadcast_indices", "each_element", "exact_element", "moved_back"]


@contextmanager
def each_element(build: Builder, layout: Layout) -> Iterator[list[Expr]]:
    """A loop nest over the logical positions of a tensor, in the order of its memory; yields the logical indices.

    Threads share it: a body writes what belongs to its position alone.
    """
    shape = layout.shape
    order = sorted(range(len(shape)), key=lambda axis: -_largest_stride(layout, axis))
    with build.parallel_nest([shape[axis] for axis in order]) as ordered:
        yield [ordered[order.index(axis)] for axis in range(len(shape))]


def _largest_stride(layout: Layout, axis: int) -> int:
    return max((stride for extent, stride in layout.axes[axis] if extent > 1), default=0)


def broadcast_indices(indices: Sequence[Expr], shape: Sequence[int]) -> list[Expr]:
    """The position in an operand of `shape` that numpy's broadcasting pairs with `indices` of the result."""
    own = indices[len(indices) - len(shape) :]
    return [0 if extent == 1 else index for index, extent in zip(own, shape, strict=True)]


def exact_element(view: View) -> str:
    """The scalar type in which any value of a tensor passes unchanged."""
    return "float32" if view.layout.storage.element == "float32" else "int64"


def moved_back(index: Expr, length: int, outputs: int) -> Expr:
    """First output of a tile; the last tile is moved back inside and computes a few outputs twice."""
    if outputs % length == 0 or isinstance(index, int):
        return index * length
    return bind(tirx.min(index * length, outputs - length))
