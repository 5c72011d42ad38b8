"""Tensors of equal shape and order as equal dense rows, and vectors over a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgeconv.codegen.builder import Builder
from edgeconv.codegen.layout import Layout
from edgeconv.codegen.tir import Expr

__all__ = ["Rows", "common_rows", "each_vector"]


@dataclass(frozen=True)
class Rows:
    """`count` dense rows of `length` elements; tensor i starts at bases[i], its rows lie strides[i] apart."""

    count: int
    length: int
    bases: tuple[int, ...]
    strides: tuple[int, ...]


def common_rows(layouts: Sequence[Layout]) -> Rows | None:
    """The rows in which the elements of all these tensors correspond one to one, or None."""
    first = layouts[0]
    if any(other.shape != first.shape or other.order != first.order for other in layouts):
        return None
    found = [layout.rows for layout in layouts]
    if any(rows is None for rows in found):
        return None
    split = {(rows[0], rows[1]) for rows in found if rows is not None}
    if len(split) == 1:
        ((count, length),) = split
        strides = tuple(rows[2] for rows in found if rows is not None)
    elif len(first.shape) == 4:
        count, length = first.shape[2], first.shape[3] * first.shape[1]
        strides = tuple(layout.stride(2) for layout in layouts)
    else:
        return None
    return Rows(count, length, tuple(layout.base for layout in layouts), strides)


def each_vector(build: Builder, rows: Rows, width: int, body: Callable[[list[Expr], int], None]) -> None:
    """Call `body(offsets of the tensors, elements)` for runs of at most `width` elements that cover all rows.

    Only the last run of a row is shorter than `width`. A body may read a whole vector there, and writes `elements`.
    """
    whole, rest = divmod(rows.length, width)
    each_row, each_part = build.sharing([rows.count, max(1, whole)])
    with each_row(rows.count) as row:
        starts = [base + row * stride for base, stride in zip(rows.bases, rows.strides, strict=True)]
        if whole:
            with each_part(whole) as index:
                body([start + index * width for start in starts], width)
        if rest:
            with each_part(1):
                body([start + whole * width for start in starts], rest)
