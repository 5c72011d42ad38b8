"""`edgeconv run` as the shell sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeconv import reference
from edgeconv.cli import main
from tests.artifact.double import built, copied, copy_program, golden, quantize_program

pytestmark = pytest.mark.needs_gcc

X = golden(quantize_program())["x"]
Y = reference.run(quantize_program(), {"x": X})["y"]


@pytest.fixture
def x_file(tmp_path: Path) -> str:
    np.save(tmp_path / "x.npy", X)
    return str(tmp_path / "x.npy")


def test_npy_to_npz(tmp_path: Path, x_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(built()), "--input", x_file, "-o", str(tmp_path / "y.npz")]) == 0
    assert "written to" in capsys.readouterr().out
    with np.load(tmp_path / "y.npz") as found:
        assert found["y"].tobytes() == Y.tobytes()


def test_several_inputs_by_name(tmp_path: Path) -> None:
    arrays = golden(copy_program())
    np.savez(tmp_path / "in.npz", **arrays)  # type: ignore[arg-type]
    assert main(["run", str(built("copy")), "-i", str(tmp_path / "in.npz"), "-o", str(tmp_path / "out.npz")]) == 0
    with np.load(tmp_path / "out.npz") as found:
        assert found["wide"].tobytes() == arrays["adc"].tobytes()


def test_json_without_an_output_file(x_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(built()), "-i", x_file, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["isa"] == "avx2"
    assert found["outputs"]["y"]["shape"] == [6, 1, 1, 8]
    assert found["outputs"]["y"]["first"] == Y.reshape(-1)[:8].tolist()


def test_standard_streams_and_few_imports(x_file: str) -> None:
    code = (
        "import sys; from edgeconv.cli import main; code = main(sys.argv[1:]); "
        "heavy = {'tvm', 'onnx', 'onnxruntime', 'torch', 'mpmath', 'rich'} & set(sys.modules); "
        "sys.exit(code or (f'imported {heavy}' if heavy else 0))"
    )
    command = [sys.executable, "-c", code, "run", str(built()), "-i", "-", "-o", "-"]
    done = subprocess.run(command, input=Path(x_file).read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(Y.tobytes())


def test_nan_is_refused_unless_told_otherwise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = X.copy()
    x[2, 0, 0, 3] = np.nan
    np.save(tmp_path / "x.npy", x)
    command = ["run", str(built()), "-i", str(tmp_path / "x.npy"), "-o", str(tmp_path / "y.npy")]
    assert main(command) == 2
    assert "input 'x' holds NaN: 1 of 48 values, the first at (2, 0, 0, 3)" in capsys.readouterr().err
    assert not (tmp_path / "y.npy").exists()
    assert main([*command, "--allow-nan"]) == 0
    assert np.load(tmp_path / "y.npy")[2, 0, 0, 3] == 0


def test_a_changed_byte_is_refused(tmp_path: Path, x_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    artifact = copied(tmp_path)
    program = artifact / "program.txt"
    program.write_text(program.read_text().replace("hi=127", "hi=126"))
    assert main(["run", str(artifact), "-i", x_file]) == 2
    assert f"{program} was altered" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["none.edge", "-i", "x.npy"], 2, "none.edge: no such file or folder"),
        (["BUILT", "-i", "none.npy"], 2, "none.npy: No such file"),
        (["BUILT", "-i", "X", "-o", "y.csv"], 2, "output file y.csv"),
        (["BUILT", "-i", "X", "--isa", "neon"], 2, "does not carry the instruction set 'neon'"),
        (["BUILT"], 2, "expected: -i FILE"),
        (["BUILT", "--hop", "3"], 2, "an option of --stream without --stream"),
    ],
)
def test_wrong_usage_ends_in_one_message(
    arguments: list[str], code: int, problem: str, x_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {"BUILT": str(built()), "X": x_file}
    assert main(["run", *(words.get(argument, argument) for argument in arguments)]) == code
    assert problem in capsys.readouterr().err


def test_a_wrong_shape_says_what_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "x.npy", X.reshape(6, 8))
    assert main(["run", str(built()), "-i", str(tmp_path / "x.npy")]) == 2
    assert "(1, 1, 8) for one sample, (N, 1, 8) or (N, 1, 1, 8) for N" in capsys.readouterr().err
