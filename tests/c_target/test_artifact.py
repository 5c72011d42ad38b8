"""Artifacts of target c: sources that build anywhere, run exactly, and are checked like every other artifact."""

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
from edgeconv.errors import ArtifactError
from tests.cli.test_compile import write_model

pytestmark = pytest.mark.needs_gcc


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("c")
    return edgeconv.compile(write_model(folder / "tiny.onnx"), target="c", output=folder / "tiny.edge").path


def test_make_runs_the_self_test_without_a_warning(artifact: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(artifact, tmp_path / "copy")
    for goal in ("self-test", "example", "libtiny.a"):
        done = subprocess.run(
            ["make", goal, "CFLAGS=-O1 -Werror -fsanitize=undefined,address -fno-sanitize-recover=all"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "0 outputs differ" in done.stdout or goal != "self-test"


@pytest.mark.parametrize("compiler", ["clang", "g++", "riscv64-unknown-elf-gcc"])
def test_other_compilers_take_the_sources(artifact: Path, tmp_path: Path, compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not here")
    options = {
        "clang": ["-std=c99", "-Weverything", "-Wno-padded", "-Wno-declaration-after-statement"],
        "g++": ["-x", "c", "-std=c99", "-Wall", "-Wextra", "-Wconversion"],
        # The accelerator's core: no library at all, not even headers beyond the compiler's own.
        "riscv64-unknown-elf-gcc": ["-std=c99", "-march=rv32im", "-mabi=ilp32", "-ffreestanding", "-nostdlib", "-Wall"],
    }
    command = [compiler, *options[compiler], "-Werror", "-O2", f"-I{artifact / 'include'}", "-c"]
    done = subprocess.run(
        [*command, artifact / "src" / "tiny.c", "-o", tmp_path / "tiny.o"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert b"\0tiny_run\0" in (tmp_path / "tiny.o").read_bytes()  # under the name that the header declares


def test_a_wrong_golden_sample_fails_the_self_test(artifact: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(artifact, tmp_path / "copy")
    golden = folder / "test" / "golden.h"
    head, _, tail = golden.read_text().partition("golden_output_y[")
    changed = tail.replace(" {\n    ", " {\n    1, ", 1).replace(",\n};", "\n};")
    changed = changed[: changed.rindex(",")] + "\n};\n"
    golden.write_text(f"{head}golden_output_y[{changed}")
    done = subprocess.run(["make", "self-test"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "0 outputs differ" not in done.stdout
    assert "outputs differ" in done.stdout, done.stderr


def test_the_runner_equals_the_reference(artifact: Path) -> None:
    program = read(artifact).program()
    x = np.random.default_rng(0).normal(0, 3, (50, 1, 2, 8)).astype(np.float32)
    x[3, 0, 0, :4] = [np.inf, -np.inf, 0.0, -0.0]
    assert edgeconv.load(artifact)(x).tobytes() == reference.run(program, {"x": x})["y"].tobytes()


def test_sources_name_the_onnx_node_and_the_memory(artifact: Path) -> None:
    source, header = (artifact / "src" / "tiny.c").read_text(), (artifact / "include" / "tiny.h").read_text()
    assert "ONNX: conv" in source
    assert "static void step_02_conv_requant(tiny_scratch *scratch) {" in source
    assert "#include <" not in source
    manifest = read(artifact).manifest
    assert f"{manifest.scratch_bytes} bytes of scratch" in header
    assert manifest.isas[0].blob_bytes > 0
    assert manifest.isas[0].object_bytes > 0


def test_verify_derives_the_sources_again(artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = artifact.parent / "tiny.onnx"
    assert main(["verify", str(artifact), "--model", str(model), "--samples", "8"]) == 0
    folder = shutil.copytree(artifact, tmp_path / "altered.edge")
    source = folder / "src" / "tiny.c"
    source.write_text(source.read_text().replace("step_02_bias[", "1 + step_02_bias[", 1))
    with pytest.raises(ArtifactError, match=r"tiny\.c was altered"):
        read(folder)
    _seal(folder)
    capsys.readouterr()
    assert main(["verify", str(folder), "--model", str(model), "--samples", "8", "--json"]) == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert any(problem["place"] == "src/tiny.c" and "1 + step_02_bias" in problem["found"] for problem in problems)


def _seal(folder: Path) -> None:
    """Give an altered artifact the hashes of what it holds."""
    manifest = parse_manifest((folder / MANIFEST_NAME).read_text(), folder)
    sealed = dataclasses.replace(manifest, files=file_entries(folder))
    (folder / MANIFEST_NAME).write_text(render_manifest(sealed))


def test_a_name_that_c_cannot_have_becomes_one(tmp_path: Path) -> None:
    path = edgeconv.compile(write_model(tmp_path / "m.onnx"), target="c", output=tmp_path / "7 of 9.edge").path
    assert (path / "include" / "model_7_of_9.h").is_file()
    assert edgeconv.load(path)(np.zeros((1, 2, 8), np.float32)).shape == (1, 3, 8)


def test_inspect_says_that_it_is_source(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(artifact)]) == 0
    assert "C source" in capsys.readouterr().out
