"""The artifact of a C++ project: it builds without a warning, is exact, and is checked like every other artifact."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import edgeconv
from edgeconv import reference
from edgeconv.artifact import read
from edgeconv.artifact.manifest import MANIFEST_NAME, parse_manifest, render_manifest
from edgeconv.artifact.store import file_entries
from edgeconv.cli import main
from edgeconv.errors import UsageError
from edgeconv.hw.hls.products import unroll
from tests.cli.test_compile import write_model

pytestmark = pytest.mark.needs_gxx


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("hls") / "tiny.onnx")


@pytest.fixture(scope="module")
def artifact(model: Path) -> Path:
    return edgeconv.compile(model, target="hls", output=model.with_suffix(".edge")).path


def test_make_runs_the_self_test_without_a_warning(artifact: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(artifact, tmp_path / "copy")
    command = ["make", "self-test", "CXXFLAGS=-O1 -Werror -fsanitize=undefined,address -fno-sanitize-recover=all"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "self-test: 16 samples, 0 elements differ" in done.stdout


def test_the_runner_gives_the_references_bits(artifact: Path) -> None:
    runner = edgeconv.load(artifact)
    (tensor,) = runner.inputs
    x = np.random.default_rng(1).normal(size=(5, *tensor.shape)).astype(tensor.dtype)
    expected = reference.run(read(artifact).program(), {tensor.name: x})
    assert runner.run({tensor.name: x})[runner.outputs[0].name].tobytes() == expected[runner.outputs[0].name].tobytes()
    with pytest.raises(UsageError, match="threads"):
        edgeconv.load(artifact, threads=2)


def test_verify_compares_the_sources_with_those_that_the_model_gives(
    artifact: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(artifact), "--model", str(model), "--json"]) == 0
    assert "C simulation" in capsys.readouterr().out
    folder = shutil.copytree(artifact, tmp_path / "copy.edge")
    source = next((folder / "src").glob("*.cpp"))
    source.write_text(source.read_text().replace("edge::conv<", "edge::conv <", 1))
    manifest = parse_manifest((folder / MANIFEST_NAME).read_text(), folder)
    rewritten = dataclasses.replace(manifest, files=file_entries(folder))
    (folder / MANIFEST_NAME).write_text(render_manifest(rewritten))
    assert main(["verify", str(folder), "--model", str(model), "--json"]) == 1
    assert f"src/{source.name}" in json.dumps(json.loads(capsys.readouterr().out))


def test_the_build_files_name_part_and_clock(artifact: Path) -> None:
    script = (artifact / "vitis.tcl").read_text()
    assert "set_part {xc7z020clg400-1}" in script
    assert "create_clock -period 5.000" in script


@pytest.mark.parametrize(("interval", "expected"), [(1, (6, 20)), (120, (1, 1)), (60, (1, 2)), (7, (1, 20))])
def test_the_fewest_multipliers_that_keep_an_interval(interval: int, expected: tuple[int, int]) -> None:
    assert unroll(1, 6, 20, interval) == expected
