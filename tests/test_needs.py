"""A test whose tool is missing is skipped visibly, and fails where tools are required."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

SUITE = """
import pytest

@pytest.mark.needs_musl
def test_software(): pass

@pytest.mark.needs_gpu
def test_hardware(): pass
"""


@pytest.mark.parametrize(
    ("required", "summary"), [(False, "2 skipped"), (True, "1 skipped, 1 error")], ids=["optional", "required"]
)
def test_a_missing_tool(tmp_path: Path, required: bool, summary: str) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    environment = {key: value for key, value in os.environ.items() if key != "EDGECONV_REQUIRE_TOOLS"}
    environment |= {"PATH": str(tmp_path), "PYTHONPATH": str(ROOT)}
    if required:
        environment["EDGECONV_REQUIRE_TOOLS"] = "1"
    options = ["-c", str(ROOT / "pyproject.toml"), "-p", "tests.conftest", "-p", "no:cacheprovider", "-n", "0"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path / "test_suite.py")],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert summary in done.stdout.splitlines()[-1]
    assert "needs_musl: not here; apt-get install musl-tools" in done.stdout
    assert "needs_gpu: not here; a machine with an NVIDIA GPU" in done.stdout
