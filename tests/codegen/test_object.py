"""The object: nothing has to be linked to it, generating it twice gives the same bytes, TVM leaves no trace."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from edgeconv.codegen import generate
from edgeconv.integer import POLICY_OF_ISA, prove
from edgeconv.ir.forms import ProvedForms

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


def _forms(parts: Draft, name: str) -> Mapping[str, ProvedForms]:
    return prove(parts.program(), POLICY_OF_ISA[name]).forms


def test_importing_codegen_does_not_import_tvm() -> None:
    code = "import sys, edgeconv.codegen; sys.exit('tvm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_excepthook_is_left_alone() -> None:
    code = "import sys; hook = sys.excepthook; import edgeconv.codegen.tir; sys.exit(sys.excepthook is not hook)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
