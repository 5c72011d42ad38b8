"""Concat, slice, pad, reshape, transpose and resize: integers arrive where they belong, and nowhere else."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from edgeconv.ir import operators as ops

from .agreement import Parts, assert_agrees, kernels

pytestmark = pytest.mark.needs_gcc

ELEMENTS = ("u8", "i8", "i16", "u16", "i32", "i64", "i3")


def test_movement(isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=11)

    def image(*shape: int) -> str:
        # 14 operators over 7 element types, so that each type meets several.
        return parts.input(ELEMENTS[len(parts.operators) * 3 % len(ELEMENTS)], *shape)

    parts.add(ops.Concat(parts.fresh, (image(1, 5, 4, 3), image(1, 70, 4, 3), image(1, 1, 4, 3)), 1))
    parts.add(ops.Concat(parts.fresh, (image(1, 6, 4), image(1, 6, 9)), 2))
    parts.add(ops.Concat(parts.fresh, (image(2, 3), image(2, 65)), 1))
    parts.add(ops.Slice(parts.fresh, image(1, 20, 7, 6), (0, 3, 1, 5), (1, 9, 3, 3), (1, 1, 2, -2)))
    parts.add(ops.Slice(parts.fresh, image(1, 70, 9), (0, 0, 2), (1, 70, 5), (1, 1, 1)))
    parts.add(ops.Slice(parts.fresh, image(1, 9, 8), (0, 8, 0), (1, 3, 8), (1, -4, 1)))
    parts.add(ops.Pad(parts.fresh, image(1, 6, 5, 4), (0, 0, 1, 2, 0, 0, 3, 0), 2))
    parts.add(ops.Pad(parts.fresh, image(1, 6, 5), (0, 2, 0, 0, 1, 0), 1))
    parts.add(ops.Pad(parts.fresh, image(1, 17, 5, 4), (0, 0, 1, 2, 0, 0, 3, 0), 0, "reflect"))
    parts.add(ops.Pad(parts.fresh, image(1, 6, 5), (0, 2, 0, 0, 1, 4), 0, "edge"))
    parts.add(ops.Pad(parts.fresh, image(1, 3, 2, 3), (0, 1, 5, 0, 0, 2, 0, 7), 0, "wrap"))
    parts.add(ops.Pad(parts.fresh, image(1, 2, 1), (0, 0, 3, 0, 0, 2), 0, "reflect"))
    parts.add(ops.Transpose(parts.fresh, image(1, 6, 5, 4), (0, 2, 3, 1)))
    parts.add(ops.Transpose(parts.fresh, image(3, 8), (1, 0)))
    parts.add(ops.Reshape(parts.fresh, image(1, 6, 5, 4), (1, 120)))
    parts.add(ops.Reshape(parts.fresh, image(1, 6, 10), (1, 4, 15)))
    parts.add(ops.Resize(parts.fresh, image(1, 33, 4, 5), ((0, 0, 1, 1, 2, 2, 3, 3), (4, 0, 1, 3))))
    parts.add(ops.Resize(parts.fresh, image(1, 3, 6), ((0, 1, 1, 2, 5),)))
    code = assert_agrees(parts, isa, tmp_path)
    fast = {"concat.boxes", "slice.boxes", "pad.boxes", "resize.rows"}
    assert fast <= kernels(code) if isa != "generic" else not fast & kernels(code)


def test_slices_with_steps(isa: str, tmp_path: Path) -> None:
    """Along the innermost axis, where elements are picked out of vectors, from end to end and from inside."""
    parts = Parts(seed=12)
    for element, step, extent in product(("u8", "i16", "i32"), (-1, 2, -2, 3, -4, 5), (97, 40, 6)):
        margin = len(parts.inputs) % 2
        start, size = extent - 1 - margin if step < 0 else margin, (extent - 1) // abs(step) + 1 - margin
        x = parts.input(element, 1, 1, 2, extent)
        parts.add(ops.Slice(parts.fresh, x, (0, 0, 0, start), (1, 1, 2, size), (1, 1, 1, step)))
    x = parts.input("u8", 1, 40, 3)
    parts.add(ops.Slice(parts.fresh, x, (0, 39, 2), (1, 40, 3), (1, -1, -1)))
    assert_agrees(parts, isa, tmp_path)
