"""The float network and its quantized twin are the same network, and leave torch unchanged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("brevitas")

import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, numpy_helper

from edgeconv.errors import InputError
from edgeconv.importer import read_onnx
from edgeconv.models import pulse
from edgeconv.models.pulse.config import POLICY
from edgeconv.models.pulse.network import PulseNet, QuantPulseNet, spread_channels
from edgeconv.models.pulse.trained import to_real
from edgeconv.quantize import Stage, TrainingProgress

pytestmark = pytest.mark.needs_torch
STEPS = 4


def short_training(seed: int = 0, **pulses: object) -> pulse.TrainedPulse:
    config = pulse.TrainConfig(
        pulses=pulse.PulseConfig(**pulses),
        batch=32,
        float_stage=Stage("float", STEPS, 1e-3),
        twin_stage=Stage("twin", STEPS, 1e-3),
        rounding_pulses=256,
        seed=seed,
        threads=1,
    )
    return pulse.train(config)


@pytest.fixture(scope="module")
def trained() -> pulse.TrainedPulse:
    return short_training()


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return pulse.heldout(300, 5).inputs["samples"]


def session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(path, options)


def test_the_network_has_the_cost_that_is_quoted() -> None:
    network, macs = PulseNet(), 0

    def count(layer: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal macs
        macs += output.numel() * layer.weight[0].numel()

    for layer in network.layers:
        layer.register_forward_hook(count)
    network(torch.zeros(1, 1, 128))
    assert macs == 283_776


def test_float_network_and_twin_share_names_and_shapes_of_parameters() -> None:
    twin = QuantPulseNet(POLICY, -12)
    shapes = {name: value.shape for name, value in PulseNet().named_parameters()}
    assert {name: value.shape for name, value in twin.named_parameters()} == shapes


def test_spread_channels_brings_every_live_channel_to_the_top_of_its_range() -> None:
    torch.manual_seed(0)
    network = PulseNet()
    x = to_real(pulse.PulseConfig(), pulse.heldout(64, 1).inputs["samples"])
    spread_channels(network, x, 0.5)
    for layer in network.layers[:-2]:
        x = torch.relu(layer(x))
        peaks = x.amax((0, 2))
        torch.testing.assert_close(peaks[peaks > 0.05], torch.full_like(peaks[peaks > 0.05], 0.5))


def test_training_repeats_bit_for_bit_and_follows_its_seed(trained: pulse.TrainedPulse, samples: np.ndarray) -> None:
    again, other = short_training(), short_training(seed=1)
    assert (again.predict_quantized(samples) == trained.predict_quantized(samples)).all()
    assert (again.predict_float(samples) == trained.predict_float(samples)).all()
    assert (other.predict_quantized(samples) != trained.predict_quantized(samples)).any()


def test_training_reports_every_stage_and_ends_at_the_last_step() -> None:
    seen: list[TrainingProgress] = []
    config = replace(pulse.TrainConfig(threads=1, batch=16).shortened(1000), seed=2)
    pulse.train(config, progress=seen.append)
    assert [report.stage for report in seen] == ["float", "quantization-aware"]
    assert seen[-1].step == seen[-1].steps == config.float_stage.steps + config.twin_stage.steps


def test_outputs_are_unbiased_in_their_units(trained: pulse.TrainedPulse) -> None:
    data = pulse.heldout(4000, 6)
    for predict in (trained.predict_float, trained.predict_quantized):
        error = predict(data.inputs["samples"]) - np.stack([data.truth.time_ns, data.truth.energy], 1)
        assert (np.abs(error.mean(0)) < 4 * error.std(0) / np.sqrt(256)).all()  # centred over as many


@pytest.mark.parametrize("bits", [8, 12])
def test_qcdq_takes_adc_codes_and_onnxruntime_agrees(tmp_path: Path, bits: int) -> None:
    trained = short_training(adc_bits=bits)
    samples = pulse.heldout(300, 5, trained.config).inputs["samples"]
    path = trained.export_qcdq(tmp_path / "pulse.onnx")
    graph = onnx.load(path).graph
    kind = TensorProto.UINT8 if bits == 8 else TensorProto.UINT16
    assert [(entry.name, entry.type.tensor_type.elem_type) for entry in graph.input] == [("samples", kind)]
    assert [entry.name for entry in graph.output] == ["time_energy"]
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"
    (y,) = session(path).run(None, {"samples": samples})
    expected = trained.predict_quantized(samples)
    # Scales of activations are powers of two, so only the float sums of the last layers differ; 1 step of one
    # hidden activation would show as far more.
    same = np.isclose(y, expected, rtol=1e-5, atol=1e-5).all(1)
    assert same.mean() > 0.98


def test_qcdq_holds_the_integers_that_were_trained(trained: pulse.TrainedPulse, tmp_path: Path) -> None:
    model = onnx.load(trained.export_qcdq(tmp_path / "pulse.onnx"))
    arrays = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    stored = [array for array in arrays if array.dtype == np.int8 and array.ndim > 1]
    layers = trained.quantized_network.layers
    assert len(stored) == len(layers)
    for layer in layers:
        weight = layer.quant_weight().int().numpy()
        assert any(array.shape == weight.shape and (array == weight).all() for array in stored)
        assert np.abs(weight).reshape(len(weight), -1).max(1).min() == 127  # every channel uses its whole range


@pytest.mark.parametrize("dialect", ["qcdq", "qonnx"])
def test_both_dialects_import_with_the_same_quantizers(
    trained: pulse.TrainedPulse, tmp_path: Path, dialect: str
) -> None:
    path = getattr(trained, f"export_{dialect}")(tmp_path / "pulse.onnx")
    graph = read_onnx(path)
    found = [node.attributes["quantizer"] for node in graph.nodes if node.op == "Quantize"]
    assert [(one.scale, one.zero_point, one.lo, one.hi) for one in found] == [((2.0**-8,), 0, 0, 255)] * 5
    (entry,) = graph.inputs
    assert (entry.name, str(entry.dtype)) == ("samples", "u16")


def test_the_float_export_answers_as_the_float_network(
    trained: pulse.TrainedPulse, samples: np.ndarray, tmp_path: Path
) -> None:
    (y,) = session(trained.export_float(tmp_path / "float.onnx")).run(None, {"samples": samples})
    np.testing.assert_allclose(y, trained.predict_float(samples), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dialect", ["qcdq", "qonnx"])
def test_the_benchmark_network_quantizes_float_samples_to_8_bits(tmp_path: Path, dialect: str) -> None:
    network = pulse.benchmark_network(seed=3)
    path = pulse.export_benchmark(network, tmp_path / "benchmark.onnx", dialect=dialect)
    graph = read_onnx(path)
    (entry,) = graph.inputs
    assert (entry.name, str(entry.dtype)) == ("samples", "f32")
    assert sum(node.op == "Quantize" for node in graph.nodes) == 6
    if dialect == "qcdq":
        x = np.random.default_rng(0).uniform(0, 1, (40, 1, 128)).astype(np.float32)
        (y,) = session(path).run(None, {"samples": x})
        with torch.no_grad():
            expected = network(torch.from_numpy(x)).numpy()
        assert y.std() > 0.01  # calibrated: signals reach the output
        assert np.isclose(y, expected, atol=1e-5).all(1).mean() > 0.9


def test_pulses_of_another_shape_or_type_are_refused(trained: pulse.TrainedPulse) -> None:
    with pytest.raises(InputError, match=r"expected: \(N, 1, 128\) of uint16"):
        trained.predict_quantized(np.zeros((3, 128), np.uint16))
    with pytest.raises(InputError, match="type float32"):
        trained.predict_float(np.zeros((3, 1, 128), np.float32))


@pytest.mark.accept
@pytest.mark.timeout(3600)
def test_the_whole_recipe_meets_its_goals() -> None:
    """Within 1.5 times the Cramér–Rao bound, int8 within 5 % of float, better than constant-fraction timing."""
    trained = pulse.train()
    data = pulse.heldout(20_000, 1)
    real = pulse.evaluate(trained.predict_float(data.inputs["samples"]), data)
    int8 = pulse.evaluate(trained.predict_quantized(data.inputs["samples"]), data)
    assert int8.time_over_bound < 1.5
    assert int8.energy_over_bound < 1.5
    assert int8.time_ps < 1.05 * real.time_ps
    assert int8.energy_percent < 1.05 * real.energy_percent
    assert int8.time_ps < pulse.classic(data)["constant fraction"].time_ps
