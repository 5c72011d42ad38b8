"""A table and the dequantization behind it become one table of floats, to the same bits."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edgeconv.codegen import tables
from edgeconv.codegen.isa.table import ISAS
from edgeconv.ir import Linear, dtype
from edgeconv.ir import operators as ops

from .agreement import Parts, assert_agrees, kernels


def _parts(x_type: str = "i8", channels: int = 1) -> Parts:
    parts = Parts(seed=4)
    x, y_type = parts.input(x_type, 1, 2, 5, 7), dtype("i8")
    entries = 1 << dtype(x_type).bits
    values = parts.constant("i8", parts.rng.integers(y_type.lo, y_type.hi, (2, entries), endpoint=True))
    table = parts.add(ops.Table(parts.fresh, x, values, axis=1))
    factors = tuple(parts.factor(0.03) for _ in range(channels))
    linear = Linear((factors,), (Fraction(-7, 3),) * channels, axis=1)
    parts.add(ops.Dequantize(parts.fresh, (table,), linear, lo=Fraction(-3), hi=None))
    return parts


@pytest.mark.parametrize("isa", ["avx2", "avx512vnni"])
def test_one_table_of_floats_is_left(isa: str) -> None:
    program = _parts().program()
    folded = tables.fold_dequantized_tables(program, ISAS[isa])
    last = folded.producers[program.outputs[0]]
    assert isinstance(last, ops.Table)
    assert folded.constants[last.values].array.dtype == np.float32
    assert folded.types[last.output] == program.types[last.output]
    assert last.x in program.inputs


@pytest.mark.parametrize("parts", [_parts("i10"), _parts(channels=2)], ids=["long table", "factors of their own"])
def test_others_stay(parts: Parts) -> None:
    program = parts.program()
    assert tables.fold_dequantized_tables(program, ISAS["avx2"]) == program


def test_what_vectors_do_in_two_passes_stays() -> None:
    parts = Parts(seed=5)
    x = parts.input("u8", 1, 1, 5, 7)
    table = parts.add(ops.Table(parts.fresh, x, parts.constant("u8", parts.rng.integers(0, 255, 256))))
    parts.add(ops.Dequantize(parts.fresh, (table,), Linear(((Fraction(1, 128),),))))
    program = parts.program()
    for isa, stays in (("avx512vnni", True), ("neon", True), ("avx2", False)):
        assert (tables.fold_dequantized_tables(program, ISAS[isa]) == program) == stays
    # A factor of more bits than a float32 product takes.
    parts.operators[-1] = ops.Dequantize(parts.fresh, (table,), Linear(((Fraction(1, 3),),)))
    assert tables.fold_dequantized_tables(parts.program(), ISAS["avx512vnni"]) != parts.program()


@pytest.mark.needs_gcc
def test_the_same_floats(isa: str, tmp_path: Path) -> None:
    parts = _parts()
    code = assert_agrees(parts, isa, tmp_path)
    dequantizes = any(name.startswith("dequantize") for name in kernels(code))
    assert dequantizes == (isa == "generic")


@pytest.mark.needs_gcc
def test_a_table_that_others_read_stays_too(isa: str, tmp_path: Path) -> None:
    parts = _parts()
    (table,) = (operator.output for operator in parts.operators if isinstance(operator, ops.Table))
    parts.add(ops.Slice(parts.fresh, table, (0, 0, 1, 1), (1, 2, 2, 3), (1, 1, 1, 1)))
    assert_agrees(parts, isa, tmp_path)
