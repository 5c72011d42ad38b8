"""Whole way from ONNX: with power-of-two scales onnxruntime without optimizations computes exactly, and must agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeconv.importer import read_onnx
from edgeconv.integer import lower
from edgeconv.reference import run

SAMPLES = 20


class ModelWriter:
    """A QDQ model with power-of-two scales, so that float32 sums stay exact below 2²⁴."""

    def __init__(self, seed: int, signed: bool) -> None:
        self.rng = np.random.default_rng(seed)
        self.signed = signed
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, array: np.ndarray) -> str:  # type: ignore[type-arg]
        name = f"k{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op: str, *inputs: str, **attributes: object) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=f"n{len(self.nodes)}", **attributes))
        return name

    def quantized(self, x: str, exponent: int) -> str:
        """QuantizeLinear and DequantizeLinear with a random zero point."""
        kind = np.int8 if self.signed else np.uint8
        point = self.rng.integers(-20, 20) if self.signed else self.rng.integers(0, 40)
        scale, zero = self.constant(np.float32(2.0**exponent)), self.constant(np.array(point, kind))
        q = self.node("QuantizeLinear", x, scale, zero)
        return self.node("DequantizeLinear", q, scale, zero)

    def weights(self, shape: tuple[int, ...], axis: int = 0) -> str:
        scales = 2.0 ** self.rng.integers(-7, -4, shape[axis])
        integers = self.constant(self.rng.integers(-127, 128, shape).astype(np.int8))
        zero = self.constant(np.zeros(shape[axis], np.int8))
        return self.node("DequantizeLinear", integers, self.constant(scales.astype(np.float32)), zero, axis=axis)

    def bias(self, channels: int) -> str:
        return self.constant((self.rng.integers(-4000, 4000, channels) / 1024).astype(np.float32))

    def save(self, path: Path, shape: tuple[int, ...], output: str) -> None:
        values = [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))]
        results = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, "net", values, results, self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 10
        onnx.save(model, path)


def one_dimensional(m: ModelWriter) -> tuple[str, tuple[int, ...]]:
    x = m.quantized("x", -4)
    y = m.node("Conv", x, m.weights((8, 3, 5)), m.bias(8), strides=[2], pads=[2, 1])
    y = m.quantized(m.node("Relu", y), -3)
    z = m.node("Conv", y, m.weights((8, 2, 3)), m.bias(8), group=4, pads=[1, 1])
    z = m.quantized(m.node("Relu", m.node("Add", z, y)), -2)
    z = m.node("MaxPool", z, kernel_shape=[2], strides=[2])
    z = m.quantized(m.node("Concat", z, m.node("MaxPool", y, kernel_shape=[2], strides=[2]), axis=1), -2)
    z = m.node("Gemm", m.node("Flatten", z), m.weights((5, 16 * 4)), m.bias(5), transB=1)
    return m.quantized(z, 0), (1, 3, 16)


def two_dimensional(m: ModelWriter) -> tuple[str, tuple[int, ...]]:
    x = m.quantized("x", -4)
    y = m.node("Conv", x, m.weights((6, 2, 3, 3)), m.bias(6), pads=[1, 1, 1, 1], dilations=[1, 1])
    y = m.quantized(m.node("Clip", y, m.constant(np.float32(-1.25)), m.constant(np.float32(6.0))), -4)
    d = m.node("Conv", y, m.weights((6, 1, 3, 2)), group=6, strides=[2, 1], pads=[0, 1, 1, 0])
    d = m.quantized(m.node("LeakyRelu", d, alpha=0.125), -3)
    p = m.quantized(m.node("GlobalAveragePool", d), -4)
    return m.quantized(m.node("Mul", d, p), -2), (1, 2, 8, 8)


def transposed(m: ModelWriter) -> tuple[str, tuple[int, ...]]:
    x = m.quantized("x", -4)
    y = m.node("ConvTranspose", x, m.weights((3, 6, 4), axis=1), m.bias(6), strides=[2], pads=[1, 1])
    y = m.quantized(m.node("Relu", y), -3)
    z = m.node(
        "ConvTranspose", y, m.weights((6, 2, 3), axis=1), group=3, strides=[3], output_padding=[1], dilations=[2]
    )
    parameters = [m.constant((m.rng.integers(1, 9, 6) / 4).astype(np.float32)) for _ in range(3)]
    z = m.node("BatchNormalization", z, *parameters, m.constant(np.full(6, 4, np.float32)), epsilon=0.0)
    return m.quantized(z, -2), (1, 3, 5)


def resampled(m: ModelWriter) -> tuple[str, tuple[int, ...]]:
    x = m.quantized("x", -4)
    scales = m.constant(np.float32([1, 1, 2, 4]))
    y = m.node("Resize", x, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")
    y = m.quantized(m.node("Relu", y), -4)
    y = m.node("Pad", y, m.constant(np.array([0, 0, 2, 1, 0, 0, 0, 3])), mode="reflect")
    ends = [m.constant(np.array(values)) for values in ([-1, 2], [-99, 9], [2, 3], [-1, 2])]
    y = m.node("Slice", y, *ends)
    y = m.quantized(m.node("Conv", y, m.weights((4, 3, 3, 2)), m.bias(4)), -2)
    y = m.node("Pad", y, m.constant(np.array([0, 1, 1, 0, 0, 0, 2, 2])), mode="edge")
    y = m.node("Resize", y, "", m.constant(np.float32([1, 1, 0.5, 2])), mode="linear")
    return m.quantized(y, -3), (1, 3, 5, 4)


@pytest.mark.parametrize(
    "build", [one_dimensional, two_dimensional, transposed, resampled], ids=lambda build: build.__name__
)
@pytest.mark.parametrize("signed", [True, False], ids=["s8", "u8"])
@pytest.mark.parametrize("seed", [1, 2])
def test_power_of_two_model_equals_onnxruntime(build, signed: bool, seed: int, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    model = ModelWriter(seed, signed)
    output, shape = build(model)
    path = tmp_path / "model.onnx"
    model.save(path, shape, output)
    program = lower(read_onnx(path))
    x = (np.random.default_rng(seed).integers(-150, 150, (SAMPLES, *shape)) / 32).astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    expected = np.stack([session.run(None, {"x": sample})[0] for sample in x])
    np.testing.assert_array_equal(run(program, {"x": x})[output], expected, err_msg=f"seed {seed}")
