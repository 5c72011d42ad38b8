"""`edgeconv quantize`: the table, the metric of both models, and the way on to `compile`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgeconv.cli import main
from tests.importer.models import run_onnxruntime
from tests.quantize.ptq.models import write
from tests.quantize.ptq.test_placement import CONV

LAYER = CONV + "r = Relu(c)\nd = Conv<pads=[1, 1, 1, 1]>(r, w2)\nt = Relu(d)\ng = GlobalAveragePool(t)\ny = Conv(g, w1)"


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    data = np.random.default_rng(2).standard_normal((40, 3, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=data)
    return tmp_path / "data.npz"


def test_the_table_tells_layers_sizes_and_the_next_command(
    tmp_path: Path, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, output = write(tmp_path, LAYER), tmp_path / "net.q.onnx"
    assert main(["quantize", str(model), "-o", str(output), "--calibration", str(samples)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    assert lines[0].split()[:2] == ["layer", "quantized"]
    assert [line.split()[1] for line in lines[1:7]] == ["input", "Relu", "Relu", "AveragePool", "8", "output"]
    assert "calibrated on 40 samples: " + str(samples) in printed.out
    assert lines[-1] == f"next: edgeconv compile {output} -o net.edge"


@pytest.mark.needs_gcc
def test_the_next_command_works_and_verifies(tmp_path: Path, samples: Path) -> None:
    model, output, edge = write(tmp_path, LAYER), tmp_path / "net.q.onnx", tmp_path / "net.edge"
    assert main(["quantize", str(model), "-o", str(output), "--calibration", str(samples), "-q"]) == 0
    assert main(["compile", str(output), "-o", str(edge), "-t", "generic", "-q"]) == 0
    assert main(["verify", str(edge), "--model", str(output), "--float", str(model), "--input", str(samples)]) == 0


def test_a_folder_of_single_samples_calibrates_as_one_file_does(tmp_path: Path, samples: Path) -> None:
    model, folder = write(tmp_path, LAYER), tmp_path / "samples"
    folder.mkdir()
    for index, sample in enumerate(np.load(samples)["x"]):
        np.save(folder / f"{index:03d}.npy", sample)
    for source, name in ((samples, "a.onnx"), (folder, "b.onnx")):
        assert main(["quantize", str(model), "-o", str(tmp_path / name), "--calibration", str(source), "-q"]) == 0
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_the_measure_of_both_models_is_told(tmp_path: Path, samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import onnx

    model = write(tmp_path, LAYER)
    x = np.load(samples)["x"]
    (y,) = run_onnxruntime(onnx.load(str(model)), {"x": x})
    np.savez(tmp_path / "classes.npz", x=x, label=y.argmax(1).reshape(-1))
    np.savez(tmp_path / "values.npz", x=x, y=y)
    arguments = ["quantize", str(model), "-o", str(tmp_path / "q.onnx"), "--calibration", str(samples), "--json"]
    pairs = {}
    for name in ("classes", "values"):
        assert main([*arguments, "--evaluate", str(tmp_path / f"{name}.npz")]) == 0
        ((old, new),) = json.loads(capsys.readouterr().out)["metrics"]
        pairs[name] = (old["value"], new["value"], old["unit"])
    assert pairs["classes"][0] == 100
    assert 80 < pairs["classes"][1] <= 100
    assert pairs["classes"][2] == "%"
    assert pairs["values"][0] < 1e-6 < pairs["values"][1] < 0.05
    assert main([*arguments, "--evaluate", str(samples)]) == 0
    names = [old["name"] for old, _ in json.loads(capsys.readouterr().out)["metrics"]]
    assert names == ["y: SQNR", "y: same largest entry"]
    np.savez(tmp_path / "wrong.npz", x=x, label=np.zeros((40, 3), np.int64))
    assert main([*arguments, "--evaluate", str(tmp_path / "wrong.npz")]) == 2
    assert "targets for 'y' have shape (40, 3)" in capsys.readouterr().err


def test_options_change_what_the_policy_file_says(
    tmp_path: Path, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write(tmp_path, LAYER)
    (tmp_path / "p.toml").write_text('weight_bits = 4\n[layers]\n"layer.r" = { activation_bits = 16 }\n')
    arguments = ["quantize", str(model), "-o", str(tmp_path / "q.onnx"), "--calibration", str(samples), "--json"]
    assert main([*arguments, "--policy", str(tmp_path / "p.toml"), "--bits", "6"]) == 2
    assert "activation_bits of the rule 'layer.r' matches no layer" in capsys.readouterr().err
    (tmp_path / "p.toml").write_text('weight_bits = 4\n[layers]\n"c" = { activation_bits = 16 }\n')
    assert main([*arguments, "--policy", str(tmp_path / "p.toml")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [row["bits"] for row in report["weights"]] == [4, 4, 4]
    assert [row["bits"] for row in report["activations"]] == [8, 16, 8, 8]
    assert main([*arguments, "--policy", str(tmp_path / "p.toml"), "--bits", "6", "--method", "minmax"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [row["bits"] for row in report["weights"]] == [6, 6, 6]
    assert [row["bits"] for row in report["activations"]] == [6, 16, 6, 6]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nothing.npz", "No such file"),
        ("empty", "no .npy or .npz files in this folder"),
        ("other.npz", "input 'x' is missing"),
        ("nan.npy", "holds NaN or infinity"),
        ("shape.npy", "input 'x' has shape (4, 3, 8) and type float32"),
        ("none.npy", "numbers of samples {'x': 0}"),
        ("model.onnx", "is not an array file"),
    ],
)
def test_wrong_samples_are_told(source: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write(tmp_path, LAYER)
    (tmp_path / "empty").mkdir()
    np.savez(tmp_path / "other.npz", z=np.zeros(3))
    np.save(tmp_path / "nan.npy", np.full((2, 3, 8, 8), np.nan, np.float32))
    np.save(tmp_path / "shape.npy", np.zeros((4, 3, 8), np.float32))
    np.save(tmp_path / "none.npy", np.zeros((0, 3, 8, 8), np.float32))
    arguments = ["quantize", str(model), "-o", str(tmp_path / "q.onnx"), "--calibration", str(tmp_path / source)]
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "q.onnx").exists()


def test_compile_of_a_float_model_names_this_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", str(write(tmp_path, LAYER)), "-o", str(tmp_path / "net.edge")]) == 3
    assert "try: edgeconv quantize" in capsys.readouterr().err
