"""`edgeconv.verify` and `edgeconv.quantize` are functions, whoever imported the packages of these names before."""

from __future__ import annotations

import subprocess
import sys

import pytest

IMPORTS = ("import edgeconv", "import edgeconv.verify, edgeconv.quantize", "from edgeconv.verify.results import Metric")


@pytest.mark.parametrize("before", IMPORTS)
@pytest.mark.parametrize(
    ("call", "error"), [("verify('none.edge')", "ArtifactError"), ("quantize('no.onnx')", "ModelFileError")]
)
def test_packages_can_be_called(before: str, call: str, error: str) -> None:
    twice = f"for _ in range(2):\n try: edgeconv.{call}\n except Exception as e: print(type(e).__name__)"
    code = f"{before}\nimport edgeconv\n{twice}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [error] * 2
