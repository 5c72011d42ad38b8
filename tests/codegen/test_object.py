"""The object: nothing has to be linked to it, generating it twice gives the same bytes, TVM leaves no trace."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edgeconv.codegen import generate
from edgeconv.integer import POLICY_OF_ISA, prove
from edgeconv.ir import Grid, Linear, TensorType, dtype
from edgeconv.ir import operators as ops
from edgeconv.ir.forms import ProvedForms
from edgeconv.reference import run

from .native import Native
from .programs import Draft
from .test_plan import residual


@pytest.mark.needs_gcc
@pytest.mark.parametrize("name", ["generic", "avx2", "avxvnni", "avx512vnni"])
def test_no_undefined_symbols_and_the_same_bytes_again(name: str, tmp_path: Path) -> None:
    parts = residual()
    code = generate(parts.program(), _forms(parts, name), name)
    (tmp_path / "code.o").write_bytes(code.object_bytes)
    listed = subprocess.run(["nm", tmp_path / "code.o"], check=True, capture_output=True, text=True).stdout.split("\n")
    kinds = {line.split()[-1]: line.split()[-2] for line in listed if line}
    assert kinds[code.symbol] == "T"
    assert "U" not in kinds.values()
    assert [symbol for symbol, kind in kinds.items() if kind == "T"] == [code.symbol]
    again = generate(parts.program(), _forms(parts, name), name)
    assert (again.object_bytes, again.blob, again.sections) == (code.object_bytes, code.blob, code.sections)


def _nine() -> Draft:
    """A product of 9 × 9 values of 16 bits, transposed and dequantized."""
    parts = Draft(np.random.default_rng(7))
    parts.inputs["x"] = TensorType((1, 2, 9, 4), dtype("u12"))
    factors = (Fraction(-411676850747, 442981853167616), Fraction(98827860379, 126566243762176))
    parts.operators += [
        ops.Transpose("xt", "x", (0, 1, 3, 2)),
        ops.MatMul("acc", "x", "xt", None, dtype("i32"), 0, 3451),
        ops.Requant("q", "acc", Linear((factors,)), Grid.full(dtype("u16"))),
        ops.Transpose("qt", "q", (0, 1, 3, 2)),
        ops.MatMul("square", "q", "qt", None, dtype("i64"), 1676, 22728),
        ops.Requant("z", "square", Linear(((Fraction(1, 1 << 23),),)), Grid.full(dtype("u8"))),
        ops.Dequantize("y", ("qt",), Linear(((Fraction(1, 12912),) * 2,))),
    ]
    parts.outputs += ["z", "y"]
    return parts


@pytest.mark.needs_gcc
def test_rows_of_nine_end_where_they_should(isa: str, tmp_path: Path) -> None:
    """LLVM's loop vectorizer once stored eight bytes for the ninth float of a row (see NO_AUTO_VECTORIZER)."""
    parts = _nine()
    program, inputs = parts.program(), parts.arrays(3)
    found = Native(generate(program, _forms(parts, isa), isa), program, tmp_path)(inputs)
    expected = run(program, inputs)
    for name in program.outputs:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def _forms(parts: Draft, name: str) -> Mapping[str, ProvedForms]:
    return prove(parts.program(), POLICY_OF_ISA[name]).forms


def test_importing_codegen_does_not_import_tvm() -> None:
    code = "import sys, edgeconv.codegen; sys.exit('tvm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_excepthook_is_left_alone() -> None:
    code = "import sys; hook = sys.excepthook; import edgeconv.codegen.tir; sys.exit(sys.excepthook is not hook)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
