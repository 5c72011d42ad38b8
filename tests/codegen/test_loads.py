"""Integer inputs copied into the arena: every element type and number of channels, whole tiles and what is left."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from edgeconv.ir import Grid, Linear, dtype
from edgeconv.ir import operators as ops

from .agreement import Parts, assert_agrees, assert_threads_agree, kernels

pytestmark = pytest.mark.needs_gcc

TYPES = ("u8", "i8", "i4", "i16", "u16", "u12")
SHAPES = (*((1, channels, 37) for channels in (2, 3, 6, 12, 16, 20)), (1, 4, 5, 33), (1, 1, 40))


def _copies(shapes: tuple[tuple[int, ...], ...], types: tuple[str, ...]) -> Parts:
    """Each input read by an operator of single elements that changes nothing."""
    parts = Parts(seed=11)
    for shape in shapes:
        for type_ in types:
            x = parts.input(type_, *shape)
            parts.add(ops.Requant(parts.fresh, x, Linear(((Fraction(1),),)), Grid.full(dtype(type_))))
    return parts


@pytest.mark.slow
def test_inputs_of_every_type_and_number_of_channels(any_isa: str, tmp_path: Path) -> None:
    code = assert_agrees(_copies(SHAPES, TYPES), any_isa, tmp_path)
    wanted = {"load.scalar"} if any_isa == "generic" else {"load.scalar", "load.rows", "load.interleaved"}
    assert {name for name in kernels(code) if name.startswith("load")} == wanted


def test_threads_share_the_tiles_of_a_row(isa: str) -> None:
    parts = _copies(((1, 12, 1000), (1, 4, 3, 200)), ("i16", "i8"))
    assert_threads_agree(parts, isa)
