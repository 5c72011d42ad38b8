"""The object: nothing has to be linked to it, generating it twice gives the same bytes, TVM leaves no trace."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from edgeconv.codegen import generate
from edgeconv.integer import POLICY_OF_ISA, prove
from edgeconv.ir import from_text
from edgeconv.ir.forms import ProvedForms
from edgeconv.reference import run

from .native import Native
from .programs import Draft
from .test_plan import residual


@pytest.mark.needs_gcc
@pytest.mark.parametrize("name", ["generic", "avx2", "avx512vnni"])
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


NINE = """program 1
input %x: u12[1,2,9,9]
%q: u16[1,2,9,9] = requant(%x) {linear=linear(factors=[[16/1]], offset=[0/1], radicand=[1/1], shift=[0/1], axis=1), \
grid=grid(dtype=u16, lo=0, hi=65535, zero_point=0, rounding=half_even)}
%t: u16[1,2,9,9] = transpose(%q) {permutation=[0, 1, 3, 2]}
%y: f32[1,2,9,9] = dequantize([%t]) {linear=linear(factors=[[1/12912, 1/12912]], offset=[0/1], radicand=[1/1], \
shift=[0/1], axis=1), lo=none, hi=none}
return %y
""".replace("\\\n", "")


@pytest.mark.needs_gcc
def test_rows_of_nine_end_where_they_should(isa: str, tmp_path: Path) -> None:
    """LLVM's loop vectorizer once stored eight bytes for the ninth float of a row (see NO_LOOP_VECTORIZER)."""
    program = from_text(NINE, {})
    inputs = {"x": np.random.default_rng(7).integers(0, 4096, (3, 1, 2, 9, 9)).astype(np.uint16)}
    code = generate(program, prove(program, POLICY_OF_ISA[isa]).forms, isa)
    found = Native(code, program, tmp_path)(inputs)
    np.testing.assert_array_equal(found["y"], run(program, inputs)["y"])


def _forms(parts: Draft, name: str) -> Mapping[str, ProvedForms]:
    return prove(parts.program(), POLICY_OF_ISA[name]).forms


def test_importing_codegen_does_not_import_tvm() -> None:
    code = "import sys, edgeconv.codegen; sys.exit('tvm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_excepthook_is_left_alone() -> None:
    code = "import sys; hook = sys.excepthook; import edgeconv.codegen.tir; sys.exit(sys.excepthook is not hook)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
