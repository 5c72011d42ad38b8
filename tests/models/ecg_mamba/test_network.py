"""The ECG network: real and quantized alike, the same when trained again, the same bits wherever it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("brevitas")

import onnxruntime
import torch

import edgeconv
from edgeconv import reference
from edgeconv.artifact import read
from edgeconv.errors import InputError, UsageError
from edgeconv.models.ecg_mamba import SignalConfig
from edgeconv.models.ecg_mamba.config import NetworkConfig, TrainConfig
from edgeconv.models.ecg_mamba.configurations import CONVOLUTIONAL, FULL
from edgeconv.models.ecg_mamba.family import FAMILY
from edgeconv.models.ecg_mamba.judge import generated, unseen
from edgeconv.models.ecg_mamba.network import EcgNet
from edgeconv.models.ecg_mamba.recipe import train
from edgeconv.models.ecg_mamba.trained import TrainedEcg, to_millivolts
from edgeconv.quantize import Stage
from edgeconv.quantize.convert import observe
from edgeconv.quantize.family import ModelFamily
from edgeconv.quantize.layers import FloatLayers
from edgeconv.runtime.emulated import open_runner
from tests.models.ecg_mamba.small import SMALL

pytestmark = pytest.mark.needs_torch


@pytest.fixture(scope="module")
def trained() -> TrainedEcg:
    return train(SMALL)


@pytest.fixture(scope="module")
def windows() -> np.ndarray:
    return generated(SMALL, 6, 77).inputs[:12]


@pytest.fixture(scope="module")
def model(trained: TrainedEcg, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained.export_qcdq(tmp_path_factory.mktemp("ecg") / "ecg.onnx")


def test_without_rounding_the_twin_is_the_float_network(trained: TrainedEcg, windows: np.ndarray) -> None:
    fresh = train(replace(SMALL, twin_stage=Stage("none", 1, 1e-12)))
    observe(fresh.quantized_network, True)
    np.testing.assert_allclose(fresh.predict_quantized(windows), fresh.predict_float(windows), rtol=1e-4, atol=1e-4)


def test_the_quantized_network_follows_the_float_one(trained: TrainedEcg, windows: np.ndarray) -> None:
    real, rounded = trained.predict_float(windows), trained.predict_quantized(windows)
    assert rounded.shape == (12, 26)
    for row, other in zip(real, rounded, strict=True):
        assert np.corrcoef(row, other)[0, 1] > 0.95


def test_torch_onnxruntime_and_every_instruction_set_agree_in_every_bit(
    trained: TrainedEcg, model: Path, windows: np.ndarray, tmp_path: Path
) -> None:
    artifact = edgeconv.compile(model, output=tmp_path / "ecg.edge")
    program = read(artifact.path).program()
    assert sum(operator.keyword == "selective_scan" for operator in program.operators) == 2
    expected = reference.run(program, {"leads": windows[:, None]})["logits"][:, 0]
    assert np.array_equal(trained.predict_quantized(windows), expected)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options)
    assert np.array_equal(session.run(None, {"leads": windows})[0], expected)
    for isa in (compiled.name for compiled in read(artifact.path).manifest.isas):
        assert np.array_equal(edgeconv.load(artifact.path, isa=isa)(windows), expected), isa


@pytest.mark.needs_qemu
def test_arm_code_has_the_bits_of_the_reference(model: Path, windows: np.ndarray, tmp_path: Path) -> None:
    artifact = read(edgeconv.compile(model, target="aarch64", output=tmp_path / "ecg.edge").path)
    x = windows[:2, None]
    expected = reference.run(artifact.program(), {"leads": x})["logits"]
    for isa in ("neon", "neon+dotprod"):
        assert open_runner(artifact, isa)(x).tobytes() == expected.tobytes(), isa


def test_both_dialects_and_the_float_network_leave_torch(
    trained: TrainedEcg, windows: np.ndarray, tmp_path: Path
) -> None:
    from edgeconv.importer import read_onnx
    from edgeconv.integer import lower

    program = lower(read_onnx(trained.export_qonnx(tmp_path / "ecg.qonnx")))
    found = reference.run(program, {"leads": windows[:, None]})["logits"][:, 0]
    assert np.array_equal(found, trained.predict_quantized(windows))
    session = onnxruntime.InferenceSession(trained.export_float(tmp_path / "float.onnx"))
    np.testing.assert_allclose(
        session.run(None, {"leads": windows})[0], trained.predict_float(windows), rtol=1e-3, atol=1e-4
    )


def test_the_same_configuration_gives_the_same_network(trained: TrainedEcg) -> None:
    again = train(SMALL)
    for mine, other in (
        (trained.float_network, again.float_network),
        (trained.quantized_network, again.quantized_network),
    ):
        for name, value in mine.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name


def test_the_default_network_has_the_size_that_is_documented() -> None:
    network = EcgNet(FloatLayers(), NetworkConfig(), SignalConfig())
    assert sum(parameter.numel() for parameter in network.parameters()) == 33_914
    shortened = TrainConfig().shortened(10)
    assert (shortened.records, shortened.float_stage.steps, shortened.twin_stage.steps) == (150, 40, 8)


def test_the_family_judges_on_patients_that_no_training_meets(tmp_path: Path) -> None:
    assert isinstance(FAMILY, ModelFamily)
    data = unseen(SMALL)
    training = generated(SMALL, SMALL.records, SMALL.seed)
    # Windows behind the end of a record are empty in both.
    met, new = ({window.tobytes() for window in each.inputs if window.any()} for each in (training, data))
    assert met
    assert new
    assert not met & new
    answers = {
        "knows all": lambda x: np.where(data.window_labels, 1.0, -1.0),
        "knows nothing": lambda x: np.zeros((len(x), 26)),
    }
    comparison = FAMILY.judge(answers, SMALL)
    assert comparison.rows[0] == ("knows all", "1.0000", "1.0000", "1.0000")
    assert comparison.rows[1][1] == "0.5000"
    pytest.importorskip("matplotlib")
    (plot,) = FAMILY.draw(answers, tmp_path / "plots", SMALL)
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_what_does_not_fit_is_refused(trained: TrainedEcg, windows: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"records of shape \(12, 12, 384\) and type int32"):
        trained.predict_float(windows.astype(np.int32))
    with pytest.raises(UsageError, match="states=65"):
        NetworkConfig(states=65)
    with pytest.raises(UsageError, match="batch=1"):
        replace(SMALL, batch=1)
    assert to_millivolts(SMALL.signal, windows).dtype == torch.float32


def test_convolutions_in_the_place_of_scans_are_as_many_and_as_exact(windows: np.ndarray, tmp_path: Path) -> None:
    sizes = [
        sum(one.numel() for one in EcgNet(FloatLayers(), config.network, config.signal).parameters())
        for config in (FULL, CONVOLUTIONAL)
    ]
    assert abs(sizes[0] / sizes[1] - 1) < 0.05
    plain = train(replace(SMALL, network=replace(SMALL.network, blocks=0, convolutions=3)))
    artifact = edgeconv.compile(plain.export_qcdq(tmp_path / "ecg.onnx"), output=tmp_path / "ecg.edge")
    program = read(artifact.path).program()
    assert max(op.dilations[0] for op in program.operators if op.keyword == "conv") == 9
    expected = reference.run(program, {"leads": windows[:, None]})["logits"][:, 0]
    assert np.array_equal(plain.predict_quantized(windows), expected)
    assert np.array_equal(edgeconv.load(artifact.path)(windows), expected)


def test_outputs_that_are_no_set_of_classes_are_refused() -> None:
    with pytest.raises(UsageError, match="7 classes for generated records\n  expected: 26 or 32"):
        train(replace(SMALL, network=replace(SMALL.network, classes=7)))
