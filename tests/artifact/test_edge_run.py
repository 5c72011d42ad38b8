"""edge-run: the model as a program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy

from edgeconv import reference
from edgeconv.artifact import compilers, read
from tests.artifact.double import built, copy_program, golden, quantize_program, write_double

pytestmark = pytest.mark.needs_gcc

X = golden(quantize_program())["x"]
Y = reference.run(quantize_program(), {"x": X})["y"]


def run(*arguments: object, model: str = "quantize", stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [str(built(model) / "edge-run"), *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False)


def refused(*arguments: object, stdin: bytes = b"", model: str = "quantize", code: int = 2) -> str:
    done = run(*arguments, stdin=stdin, model=model)
    assert done.returncode == code, done
    assert done.stderr.startswith(b"edge-run: ")
    return done.stderr.decode()


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_npy_in_npy_out(tmp_path: Path, version: tuple[int, int]) -> None:
    with (tmp_path / "x.npy").open("wb") as file:
        npy.write_array(file, X, version=version)
    assert run("-i", tmp_path / "x.npy", "-o", tmp_path / "y.npy").returncode == 0
    found = np.load(tmp_path / "y.npy")
    assert found.shape == Y.shape
    assert found.tobytes() == Y.tobytes()


def test_the_batch_axis_stays_where_it_is(tmp_path: Path) -> None:
    for shape, expected in (((6, 1, 8), (6, 1, 8)), ((6, 1, 1, 8), (6, 1, 1, 8))):
        np.save(tmp_path / "x.npy", X.reshape(shape))
        assert run("-i", tmp_path / "x.npy", "-o", tmp_path / "y.npy").returncode == 0
        assert np.load(tmp_path / "y.npy").shape == expected


def test_raw_samples_from_standard_input_in_pieces(tmp_path: Path) -> None:
    many = np.tile(X, (1000, 1, 1, 1))
    done = run("--format", "raw", stdin=many.tobytes())
    assert done.returncode == 0
    assert done.stdout == np.tile(Y, (1000, 1, 1, 1)).tobytes()
    assert run("-o", tmp_path / "y.npy", stdin=many.tobytes()).returncode == 0
    assert np.load(tmp_path / "y.npy").shape == (6000, 1, 8), "the header is completed when the count is known"


def test_text_is_the_default_for_standard_output() -> None:
    lines = run(stdin=X.tobytes()).stdout.decode().splitlines()
    assert [[float(value) for value in line.split()] for line in lines] == Y.reshape(6, 8).tolist()


def test_several_inputs_and_outputs_by_name(tmp_path: Path) -> None:
    arrays = golden(copy_program())
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    inputs = [argument for name in arrays for argument in ("-i", f"{name}={tmp_path / name}.npy")]
    assert run(*inputs, "-o", f"thin={tmp_path / 'thin.raw'}", model="copy").returncode == 0
    assert (tmp_path / "thin.raw").read_bytes() == arrays["gain"].tobytes()
    assert "several outputs" in refused(*inputs, model="copy")
    assert "input 'gain' is missing" in refused(*inputs[:2], "-o", "thin=-", model="copy")
    assert "NAME=FILE" in refused("-i", "x.npy", model="copy")


def test_values_outside_a_narrow_type_are_refused(tmp_path: Path) -> None:
    arrays = golden(copy_program())
    arrays["adc"][3, 0, 1] = 2048
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    text = refused(
        "-i", f"adc={tmp_path / 'adc.npy'}", "-i", f"gain={tmp_path / 'gain.npy'}", "-o", "thin=-", model="copy"
    )
    assert "an integer input holds a value outside its type" in text


def test_nan_is_refused_unless_told_otherwise() -> None:
    x = X.copy()
    x[2, 0, 0, 3] = np.nan
    assert "--allow-nan" in refused(stdin=x.tobytes())
    done = run("--allow-nan", "--format", "raw", stdin=x.tobytes())
    assert np.frombuffer(done.stdout, np.float32).reshape(Y.shape)[2, 0, 0, 3] == 0


def _header(text: str, version: int = 1) -> bytes:
    body = text.encode()
    size = len(body).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + body


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (
            _header("{'descr': '<f8', 'fortran_order': False, 'shape': (6, 1, 8), }"),
            "dtype '<f8' does not fit input 'x'",
        ),
        (_header("{'descr': '>f4', 'fortran_order': False, 'shape': (6, 1, 8), }"), "dtype '>f4' does not fit"),
        (_header("{'descr': '<f4', 'fortran_order': True, 'shape': (6, 1, 8), }"), "Fortran order"),
        (_header("{'descr': '<f4', 'fortran_order': False, 'shape': (6, 2, 8), }"), "shape (6, 2, 8) does not fit"),
        (_header("{'descr': '<f4', 'fortran_order': False, 'shape': (8,), }"), "shape (8,) does not fit input 'x'"),
        (_header("{'descr': '<f4', 'shape': (6, 1, 8), }"), "fortran_order or shape is missing"),
        (_header("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}"), "repeated key"),
        (_header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,)}"), "structured types"),
        (_header("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 1, 8)}"), "too large"),
        (_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 1, 8)}"), "an extent expected"),
        (_header("{'descr': '<f4"), "a string does not end"),
        (_header("{'descr': '<f4', 'fortran_order': False, 'shape': (6, 1, 8), }")[:30], "cut short"),
        (_header("{}", 9), "format version 9.0"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "header of 4294967295 bytes"),
    ],
)
def test_malformed_npy_files_are_refused(header: bytes, problem: str) -> None:
    assert problem in refused(stdin=header)


def test_no_header_whatever_crashes_it() -> None:
    rng = np.random.default_rng(0)
    good = _header("{'descr': '<f4', 'fortran_order': False, 'shape': (6, 1, 8), }") + X.tobytes()
    for _ in range(60):
        data = bytearray(good)
        for at in rng.integers(0, 80, 3):
            data[at] = rng.integers(0, 256)
        assert run("--format", "raw", stdin=bytes(data)).returncode in (0, 2)


def test_truncated_data_leaves_no_output(tmp_path: Path) -> None:
    path = tmp_path / "y.npy"
    text = refused("-o", path, stdin=X.tobytes()[:-3])
    assert "ends inside a sample, after 5 whole ones of 32 bytes" in text
    assert not path.exists()
    assert "ends inside a sample" in refused(
        stdin=_header("{'descr': '<f4', 'fortran_order': False, 'shape': (9, 1, 8)}")
    )


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    assert "No such file" in refused("-i", tmp_path / "none.npy")
    assert "No such file" in refused("-o", tmp_path / "none" / "y.npy", stdin=X.tobytes())
    assert "No space left" in refused("-o", "/dev/full", stdin=np.tile(X, (500, 1, 1, 1)).tobytes())


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["stray"], "unexpected argument 'stray'"),
        (["--bench", "0"], "a whole number from 1 on"),
        (["--isa", "mmx"], "'mmx' is not in this artifact"),
        (["--format", "csv"], "unknown format 'csv'"),
    ],
)
def test_wrong_usage(arguments: list[str], problem: str) -> None:
    assert problem in refused(*arguments)


def test_help_names_the_tensors() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert b"input  x: f32 (1, 1, 8), 32 bytes a sample" in done.stdout
    assert b"instruction sets: generic avx2" in done.stdout


def test_self_test_says_what_differs(tmp_path: Path) -> None:
    assert run("--self-test", built() / "golden").returncode == 0
    folder = Path(shutil.copytree(built() / "golden", tmp_path / "golden"))
    y = Y.copy()
    y[4, 0, 0, 2] += 0.5
    np.save(folder / "output-0.npy", y)
    done = run("--self-test", folder)
    assert done.returncode == 1
    expected = f"found {Y[4, 0, 0, 2]:.9g}, expected {y[4, 0, 0, 2]:.9g}"
    assert f"avx2: output 'y': 1 of 48 values differ; first in sample 4 at 2: {expected}\n" in done.stdout.decode()


def test_bench_prints_json() -> None:
    found = json.loads(run("--bench", "20", "--batch", "3", "--isa", "generic").stdout)
    assert (found["isa"], found["batch"], found["rounds"]) == ("generic", 3, 20)
    assert 0 < found["least_ns"] <= found["p05_ns"] <= found["median_ns"] <= found["p95_ns"]


@pytest.mark.needs_musl
def test_it_is_the_library_itself_and_small() -> None:
    artifact = read(built())
    assert artifact.executable.is_symlink()
    assert artifact.executable.resolve() == artifact.library.resolve()
    assert artifact.library.stat().st_size < 100_000


@pytest.mark.needs_musl
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the root folder")
def test_it_runs_in_an_empty_root(tmp_path: Path) -> None:
    program = shutil.copy(built() / "edge-run", tmp_path / "edge-run")
    code = (
        "import os, sys; os.chroot(sys.argv[1]); os.chdir('/'); os.execv('/edge-run', ['edge-run', '--format', 'raw'])"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, input=X.tobytes(), capture_output=True, check=True)
    assert done.stdout == Y.tobytes()
    assert os.listdir(tmp_path) == [Path(program).name]


def test_without_musl_it_is_linked_with_glibc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    which = shutil.which
    monkeypatch.setattr(compilers.shutil, "which", lambda name: None if name == "musl-gcc" else which(name))
    artifact = write_double(tmp_path / "plain.edge", isas=("generic",))
    assert artifact.manifest.executable_libc == "glibc"
    assert not artifact.executable.is_symlink()
    done = subprocess.run([artifact.executable, "--format", "raw"], input=X.tobytes(), capture_output=True, check=True)
    assert done.stdout == Y.tobytes()
    assert read(artifact.path).manifest == artifact.manifest
