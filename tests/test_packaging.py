"""The wheel: what a user installs holds every package, the target files and the type marker, and works alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgeconv.targets import list_targets

ROOT = Path(__file__).parents[1]
FOLDERS = {"edgeconv": "edgeconv", "models": "edgeconv/models", "targets": "edgeconv/targets", "hw": "edgeconv/hw"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # setuptools builds inside the source tree, so a copy is built.
    source = tmp_path_factory.mktemp("source")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(out)]
    subprocess.run([*command, str(source)], check=True)
    return next(out.glob("edgeconv-*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_data_file(wheel: Path) -> None:
    expected = {
        str(Path(package, path.relative_to(ROOT / folder)))
        for folder, package in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in path.relative_to(ROOT).parts)
    }
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert expected - packed == set()
    assert {name for name in packed if name.startswith(("tests", "models", "targets", "hw", "docs"))} == set()


@pytest.mark.slow
def test_the_wheel_works_alone(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import edgeconv.targets, edgeconv.models, edgeconv.hw; from edgeconv.cli import main; "
        "print(edgeconv.targets.__file__); main(['targets'])"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )
    lines = done.stdout.splitlines()
    assert Path(lines[0]) == tmp_path / "site/edgeconv/targets/__init__.py"
    assert sum(" works " in line for line in lines) == sum(target.available for target in list_targets()) > 0
