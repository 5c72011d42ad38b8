"""Models as brevitas, onnxruntime.quantization and both exporters of torch write them."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgeconv.importer import QuantizedGraph, Scale, read_onnx
from tests.importer.interpreter import evaluate
from tests.importer.models import model, run_onnxruntime, save

RNG = np.random.default_rng(11)


def operators(graph: QuantizedGraph) -> Counter[str]:
    return Counter(node.op for node in graph.nodes)


def agree(graph: QuantizedGraph, path: Path, step: float) -> None:
    """Within `step` of onnxruntime, whose float32 accumulation tips roundings at ties, and mostly equal to it."""
    equal = []
    proto = onnx.load(path)
    for _ in range(16):
        feeds = {i.name: RNG.standard_normal(i.shape).astype(np.float32) for i in graph.inputs}
        for ours, theirs in zip(evaluate(graph, feeds), run_onnxruntime(proto, feeds), strict=True):
            difference = np.abs(ours - theirs)
            assert difference.max() <= step
            equal.append((difference < step / 100).mean())
    assert np.mean(equal) > 0.8


def output_step(graph: QuantizedGraph) -> float:
    """The scale of the last Dequantize."""
    scale = [node.attributes["scale"] for node in graph.nodes if node.op == "Dequantize"][-1]
    assert isinstance(scale, Scale)
    return max(scale.scale)


FLOAT_NODES = """c = Conv<pads=[2, 2], strides=[2]>(x, w1, b1)
r = Relu(c)
d = Conv<pads=[1, 1]>(r, w2)
s = Add(r, d)
p = MaxPool<kernel_shape=[2], strides=[2]>(s)
f = Flatten(p)
y = Gemm<transB=1>(f, w3, b3)"""


def float_weights() -> dict[str, Any]:
    shapes = {"w1": (8, 3, 5), "b1": (8,), "w2": (8, 8, 3), "w3": (2, 32), "b3": (2,)}
    return {name: (RNG.standard_normal(shape) / 4).astype(np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(
    ("form", "activations"),
    # onnxruntime has no 16-bit QLinear operators.
    [("QDQ", "QUInt8"), ("QDQ", "QInt8"), ("QDQ", "QUInt16"), ("QOperator", "QUInt8"), ("QOperator", "QInt8")],
)
def test_static_quantization_of_onnxruntime(tmp_path: Path, form: str, per_channel: bool, activations: str) -> None:
    quantization = pytest.importorskip("onnxruntime.quantization")

    class Samples(quantization.CalibrationDataReader):  # type: ignore[name-defined, misc]
        samples = iter([{"x": RNG.standard_normal((1, 3, 16)).astype(np.float32)} for _ in range(4)])

        def get_next(self) -> Any:
            return next(self.samples, None)

    source = save(model(FLOAT_NODES, {"x": (1, 3, 16)}, float_weights()), tmp_path)
    path = tmp_path / "quantized.onnx"
    quantization.quantize_static(
        source,
        path,
        Samples(),
        quant_format=getattr(quantization.QuantFormat, form),
        per_channel=per_channel,
        activation_type=getattr(quantization.QuantType, activations),
        weight_type=quantization.QuantType.QInt8,
        extra_options={"WeightSymmetric": True},
    )
    graph = read_onnx(path)
    assert operators(graph)["Conv"] == 2
    assert operators(graph)["MatMul"] == 1
    assert graph.dialect == ("qcdq" if form == "QDQ" else "mixed")
    agree(graph, path, (100 if activations == "QUInt16" else 1.5) * output_step(graph))


def brevitas_network(bits: int) -> Any:
    torch, qnn = pytest.importorskip("torch"), pytest.importorskip("brevitas.nn")
    from brevitas.quant import Int8WeightPerChannelFloat, Int32Bias

    torch.manual_seed(1)
    network = torch.nn.Sequential(
        qnn.QuantIdentity(bit_width=8, return_quant_tensor=True),
        qnn.QuantConv1d(
            3, 8, 5, stride=2, padding=2, weight_quant=Int8WeightPerChannelFloat, weight_bit_width=bits,
            bias_quant=Int32Bias,
        ),
        torch.nn.BatchNorm1d(8),
        qnn.QuantReLU(bit_width=bits, return_quant_tensor=True),
        torch.nn.Flatten(),
        qnn.QuantLinear(64, 2, bias=True, weight_bit_width=bits, bias_quant=Int32Bias),
    )  # fmt: skip
    network.train()
    network(torch.randn(8, 3, 16))
    return network.eval(), torch.randn(1, 3, 16)


@pytest.mark.needs_torch
@pytest.mark.parametrize("bits", [4, 8])
def test_qcdq_of_brevitas(tmp_path: Path, bits: int) -> None:
    export = pytest.importorskip("brevitas.export")
    network, x = brevitas_network(bits)
    path = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export.export_onnx_qcdq(
            network, args=x, export_path=str(path), opset_version=17, dynamo=False, input_names=["x"],
            dynamic_axes={"x": {0: "batch"}},
        )  # fmt: skip
    graph = read_onnx(path)
    assert graph.inputs[0].symbolic_batch
    assert graph.dialect == "qcdq"
    assert operators(graph)["Quantize"] == 2
    quantizer = [node.attributes["quantizer"] for node in graph.nodes if node.op == "Quantize"][1]
    assert (quantizer.lo, quantizer.hi) == (0, 2**bits - 1)  # type: ignore[attr-defined]
    agree(graph, path, 0.3)


@pytest.mark.needs_torch
@pytest.mark.parametrize("bits", [3, 12])
def test_qonnx_of_brevitas(tmp_path: Path, bits: int) -> None:
    torch, export = pytest.importorskip("torch"), pytest.importorskip("brevitas.export")
    network, x = brevitas_network(bits)
    path = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export.export_qonnx(network, args=x, export_path=str(path), opset_version=17, dynamo=False)
    graph = read_onnx(path)
    assert graph.dialect == "qonnx"
    widths = {str(kind) for kind in graph.constant_dtypes.values()}
    assert f"i{bits}" in widths
    with torch.no_grad():
        expected = network(x)
    expected = getattr(expected, "value", expected).numpy()
    (found,) = evaluate(graph, {graph.inputs[0].name: x.numpy()})
    np.testing.assert_allclose(found, expected, atol=0.3 if bits == 3 else 1e-3)


@pytest.mark.needs_torch
@pytest.mark.slow
def test_the_newer_exporter_of_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    class Network(torch.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = torch.nn.Conv1d(3, 8, 5, 2, 2), torch.nn.BatchNorm1d(8)
            self.head = torch.nn.Linear(8, 2)

        def forward(self, x: Any) -> Any:
            y = torch.nn.functional.gelu(self.norm(self.conv(x)))
            y = torch.nn.functional.interpolate(y, scale_factor=2.0, mode="nearest")
            y = torch.nn.functional.hardswish(y + y.mean(2, keepdim=True))
            return self.head(y.mean(2)).reshape(y.shape[0], 1, -1)

    torch.manual_seed(2)
    x = torch.randn(2, 3, 16)
    path = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            Network().eval(), (x,), dynamo=True, dynamic_shapes=({0: torch.export.Dim.DYNAMIC},), verbose=False
        )
    program.save(path, external_data=True)
    graph = read_onnx(path)
    assert graph.inputs[0].symbolic_batch
    feeds = {graph.inputs[0].name: RNG.standard_normal((1, 3, 16)).astype(np.float32)}
    np.testing.assert_allclose(evaluate(graph, feeds)[0], run_onnxruntime(onnx.load(path), feeds)[0], atol=1e-5)
