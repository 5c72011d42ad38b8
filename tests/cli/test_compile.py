"""`edgeconv compile`: a small model all the way, and every wrong input one clear message with nothing left behind."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgeconv
from edgeconv import api, reference
from edgeconv.artifact import read
from edgeconv.cli import main
from edgeconv.errors import ArtifactError
from edgeconv.runtime.cpu_features import supported_isas

pytestmark = pytest.mark.needs_gcc


def _initializer(name: str, values: object, dtype: type[np.generic]) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def write_model(path: Path, operator: str = "Relu") -> Path:
    """x f32 (1, 2, 8) → quantize → conv 2→3, k3 → an operator → quantize → dequantize → y."""
    rng = np.random.default_rng(5)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "sx", "zero"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "sx", "zero"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "sw"], ["wd"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "sb"], ["bd"], axis=0),
        helper.make_node("Conv", ["xd", "wd", "bd"], ["c"], name="conv", pads=[1, 1]),
        helper.make_node(operator, ["c"], ["r"], name="activation"),
        helper.make_node("QuantizeLinear", ["r", "sy", "zero"], ["yq"], name="last"),
        helper.make_node("DequantizeLinear", ["yq", "sy", "zero"], ["y"]),
    ]
    weight_scales = np.array([0.01, 0.013, 0.007], np.float32)
    scales = {"sx": 0.05, "sw": weight_scales, "sy": 0.03, "sb": np.float32(0.05) * weight_scales}
    initializers = [_initializer(name, value, np.float32) for name, value in scales.items()]
    initializers += [
        _initializer("zero", 0, np.int8),
        _initializer("w", rng.integers(-127, 128, (3, 2, 3)), np.int8),
        _initializer("b", rng.integers(-2000, 2000, 3), np.int32),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2, 8])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3, 8])]
    graph = helper.make_graph(nodes, "small", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=10)
    onnx.save(model, str(path))
    return path


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compiled")
    model = write_model(folder / "small.onnx")
    assert main(["compile", str(model), "-o", str(folder / "small.edge"), "--unit", "y=mV", "-q"]) == 0
    return folder / "small.edge"


def test_the_artifact_is_exact_on_every_instruction_set(compiled: Path) -> None:
    artifact = read(compiled)
    program = artifact.program()
    x = np.random.default_rng(1).normal(0, 4, (50, 1, 2, 8)).astype(np.float32)
    expected = reference.run(program, {"x": x})["y"]
    tested = [isa.name for isa in artifact.manifest.isas if isa.name in supported_isas()]
    assert "generic" in tested
    for isa in tested:
        assert edgeconv.load(compiled, isa)(x).tobytes() == expected.tobytes(), isa


def test_the_manifest_tells_layers_forms_and_units(compiled: Path) -> None:
    manifest = read(compiled).manifest
    assert manifest.outputs[0].unit == "mV"
    assert manifest.macs == 3 * 8 * 2 * 3
    requant = next(layer for layer in manifest.layers if layer.operator == "requant")
    assert {policy: sum(kinds.values()) for policy, kinds in requant.forms.items()} == {"generic": 3, "fma": 3}
    assert manifest.source["file"] == "small.onnx"


def test_json_and_progress(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_model(tmp_path / "small.onnx")
    target = "generic"
    assert main(["compile", str(model), "-o", str(tmp_path / "s.edge"), "-t", target, "--json", "-v"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["target"], found["tested_isas"], found["macs"]) == ("generic", ["generic"], 144)
    assert [line.split("]")[0] for line in err.splitlines() if line.startswith("[")] == [f"[{i}/7" for i in range(1, 8)]
    assert set(found["seconds"]) == set(api.STAGES)


def test_a_target_that_does_not_work_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_model(tmp_path / "small.onnx")
    target = tmp_path / "board.toml"
    target.write_text(
        'family = "cpu"\ndescription = "a board"\ntriple = "riscv64-linux-gnu"\nrun = "ssh"\n'
        '[isa.generic]\ncpu = "generic-rv64"\n'
    )
    assert main(["compile", str(model), "-o", str(tmp_path / "s.edge"), "--target", str(target)]) == 4
    err = capsys.readouterr().err
    assert "target 'board'" in err
    assert "try: compile with --target cpu" in err
    assert sorted(os.listdir(tmp_path)) == ["board.toml", "small.onnx"]


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["none.onnx"], 3, "none.onnx"),
        (["text.onnx"], 3, "text.onnx"),
        (["cut.onnx"], 3, "cut.onnx"),
        (["custom.onnx"], 3, "activation"),
        (["small.onnx", "-t", "pentium"], 2, "unknown target 'pentium'"),
        (["small.onnx", "--shape", "height"], 2, "--shape height"),
        (["small.onnx", "--shape", "h=0"], 2, "--shape h=0"),
        (["small.onnx", "--unit", "z=ns"], 2, "a unit for 'z', which is no input or output"),
        (["small.onnx", "-o", "taken"], 2, "taken exists and is not an artifact"),
        (["small.onnx", "-o", "none/x.edge"], 2, "does not exist"),
    ],
)
def test_wrong_input_ends_in_one_message(
    arguments: list[str],
    code: int,
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    model = write_model(tmp_path / "small.onnx")
    (tmp_path / "text.onnx").write_text("hello\n")
    (tmp_path / "cut.onnx").write_bytes(model.read_bytes()[:200])
    write_model(tmp_path / "custom.onnx", operator="Nonsense")
    (tmp_path / "taken").write_text("precious")
    before = sorted(os.listdir(tmp_path))
    assert main(["compile", *arguments]) == code
    err = capsys.readouterr().err
    assert problem in err
    assert "Traceback" not in err
    assert sorted(os.listdir(tmp_path)) == before


def test_a_full_disk_ends_in_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], compiled: Path
) -> None:
    from edgeconv.artifact import write

    linked = write.link

    def link_then_fill_the_disk(*arguments: object) -> object:
        result = linked(*arguments)  # type: ignore[arg-type]
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        return result

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    monkeypatch.setattr(write, "link", link_then_fill_the_disk)
    program = read(compiled).program()
    try:
        with pytest.raises(edgeconv.EdgeconvError, match="could not be written: File too large"):
            api.compile_program(program, tmp_path / "s.edge", "generic")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == []


def test_wrong_code_never_becomes_an_artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: Path) -> None:
    golden = api.golden_samples

    def wrong(*arguments: object) -> object:
        inputs, outputs = golden(*arguments)  # type: ignore[arg-type]
        outputs["y"][0, 0, 0, 0] += 1
        return inputs, outputs

    monkeypatch.setattr(api, "golden_samples", wrong)
    with pytest.raises(ArtifactError, match="output 'y' of the generic code differs from the reference"):
        api.compile_program(read(compiled).program(), tmp_path / "s.edge", "generic")
    assert os.listdir(tmp_path) == []
