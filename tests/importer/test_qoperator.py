"""QOperator models become float operators between quantizers with the meaning that onnxruntime gives them.

Scales are powers of two and every rounding has one order, so all results are exact.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from edgeconv.errors import QuantizationError, UnsupportedModelError
from edgeconv.importer import QuantizedGraph, read_onnx
from tests.importer.interpreter import evaluate
from tests.importer.models import model, run_onnxruntime, save

RNG = np.random.default_rng(3)
U8, I8 = TensorProto.UINT8, TensorProto.INT8
MS = "com.microsoft"


def check_meaning(
    tmp_path: Path,
    nodes: str,
    constants: dict[str, Any],
    inputs: dict[str, Any] | None = None,
    kind: int = U8,
    output: int = U8,
    tolerance: int = 0,
) -> QuantizedGraph:
    proto = model(nodes, inputs, constants, input_type=kind, output_type=output)
    graph = read_onnx(save(proto, tmp_path))
    low = 0 if kind == U8 else -128
    numpy_kind = np.uint8 if kind == U8 else np.int8
    feeds = {i.name: RNG.integers(low, low + 256, i.shape).astype(numpy_kind) for i in graph.inputs}
    (found,), (expected,) = evaluate(graph, feeds), run_onnxruntime(proto, feeds)
    assert found.dtype == expected.dtype
    assert np.abs(found.astype(np.int64) - expected.astype(np.int64)).max() <= tolerance
    return graph


def quantizer(name: str, scale: float, zero: int, kind: type[np.generic] = np.uint8) -> dict[str, Any]:
    return {f"{name}s": np.float32(scale), f"{name}z": np.asarray(zero, kind)}


def weights(*shape: int) -> Any:
    return RNG.integers(-20, 20, shape).astype(np.int8)


X, Y = quantizer("x", 0.5, 120), quantizer("y", 16.0, 100)


def test_conv_with_scales_per_channel_and_a_bias(tmp_path: Path) -> None:
    constants = {"w": weights(4, 3, 3), "ws": np.float32([0.5, 1, 2, 0.25]), "wz": np.int8([0, 0, 0, 0]), **X, **Y}
    constants["b"] = RNG.integers(-999, 999, 4).astype(np.int32)
    graph = check_meaning(
        tmp_path, "y = QLinearConv<pads=[1, 1], strides=[2]>(x, xs, xz, w, ws, wz, ys, yz, b)", constants
    )
    assert sorted(node.op for node in graph.nodes) == ["Conv", "Dequantize", "Dequantize", "Dequantize", "Quantize"]
    assert graph.dialect == "qoperator"


def test_conv_of_signed_values_in_two_dimensions(tmp_path: Path) -> None:
    constants = {"w": weights(4, 1, 3, 2), "ws": np.float32(0.5), "wz": np.int8(0)}
    constants |= quantizer("x", 0.5, -3, np.int8) | quantizer("y", 4.0, 7, np.int8)
    nodes = 'y = QLinearConv<group=2, auto_pad="SAME_LOWER">(x, xs, xz, w, ws, wz, ys, yz)'
    check_meaning(tmp_path, nodes, constants, {"x": (1, 2, 5, 6)}, I8, I8)


def test_matmul_with_scales_per_column(tmp_path: Path) -> None:
    constants = {"w": weights(8, 5), "ws": np.float32([0.5, 1, 2, 0.25, 1]), "wz": np.int8([0] * 5), **X, **Y}
    check_meaning(tmp_path, "y = QLinearMatMul(x, xs, xz, w, ws, wz, ys, yz)", constants)


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("per_channel", [False, True])
def test_gemm_of_integers(tmp_path: Path, transposed: int, per_channel: bool) -> None:
    scale = np.float32([0.5, 1, 2, 0.25, 1]) if per_channel else np.float32(0.5)
    constants = {"w": weights(*((5, 8) if transposed else (8, 5))), "ws": scale, **X, **Y}
    constants |= {"wz": np.zeros(scale.shape, np.int8), "b": RNG.integers(-99, 99, 5).astype(np.int32)}
    nodes = f"y = {MS}.QGemm<transB={transposed}>(x, xs, xz, w, ws, wz, b, ys, yz)"
    check_meaning(tmp_path, nodes, constants, {"x": (2, 8)})


def test_a_bias_and_weights_shared_by_layers_keep_every_scale(tmp_path: Path) -> None:
    constants = {"w": weights(3, 3, 1), "ws": np.float32(0.5), "vs": np.float32(0.25), "wz": np.int8(0), **X, **Y}
    constants["b"] = RNG.integers(-999, 999, 3).astype(np.int32)
    nodes = """h = QLinearConv(x, xs, xz, w, ws, wz, ys, yz, b)
y = QLinearConv(h, ys, yz, w, vs, wz, ys, yz, b)"""
    graph = check_meaning(tmp_path, nodes, constants)
    assert len({node.output for node in graph.nodes}) == len(graph.nodes)
    shared = nodes.replace("w, vs", "w, ws").replace("ys, yz, b", "xs, xz, b").replace("(h, ys, yz", "(h, xs, xz")
    assert len(check_meaning(tmp_path, shared, constants).constants) == 2


def test_gemm_without_an_output_scale_is_real(tmp_path: Path) -> None:
    constants = {"w": weights(8, 5), "ws": np.float32(0.5), "wz": np.int8(0), **X}
    nodes = f"y = {MS}.QGemm<alpha=2.0>(x, xs, xz, w, ws, wz)"
    proto = model(nodes, {"x": (2, 8)}, constants, input_type=U8)
    graph = read_onnx(save(proto, tmp_path))
    feeds = {"x": RNG.integers(0, 256, (2, 8)).astype(np.uint8)}
    np.testing.assert_array_equal(evaluate(graph, feeds)[0], run_onnxruntime(proto, feeds)[0])


# onnxruntime's QLinearAdd and QLinearMul truncate towards other bits than round-half-even in ties: one step.
@pytest.mark.parametrize("op", ["Add", "Mul"])
def test_sums_and_products_broadcast(tmp_path: Path, op: str) -> None:
    constants = {**X, **quantizer("z", 0.25, 30), **quantizer("y", 1.0 if op == "Add" else 32.0, 100)}
    nodes = f"y = {MS}.QLinear{op}(x, xs, xz, z, zs, zz, ys, yz)"
    graph = check_meaning(tmp_path, nodes, constants, {"x": (1, 3, 8), "z": (1, 3, 1)}, tolerance=1)
    assert [node.op for node in graph.nodes] == ["Dequantize", "Dequantize", op, "Quantize"]


def test_concat_brings_every_input_to_the_output_scale(tmp_path: Path) -> None:
    constants = {**X, **quantizer("z", 2.0, 30), **quantizer("y", 0.5, 100)}
    nodes = f"y = {MS}.QLinearConcat<axis=1>(ys, yz, x, xs, xz, z, zs, zz)"
    check_meaning(tmp_path, nodes, constants, {"x": (1, 3, 8), "z": (1, 2, 8)})


POOLS = [
    "QLinearGlobalAveragePool<channels_last=0>",
    "QLinearAveragePool<kernel_shape=[2], strides=[2]>",
    "QLinearAveragePool<kernel_shape=[4], pads=[2, 1], count_include_pad=1>",
]


@pytest.mark.parametrize("pool", POOLS)
def test_pools(tmp_path: Path, pool: str) -> None:
    constants = {**X, **quantizer("y", 0.25, 100)}
    check_meaning(tmp_path, f"y = {MS}.{pool}(x, xs, xz, ys, yz)", constants)


def test_functions(tmp_path: Path) -> None:
    constants = {**quantizer("x", 0.0625, 120), **quantizer("y", 2**-8, 0)}
    check_meaning(tmp_path, f"y = {MS}.QLinearSigmoid(x, xs, xz, ys, yz)", constants)
    leaky = check_meaning(tmp_path, f"y = {MS}.QLinearLeakyRelu<alpha=0.25>(x, xs, xz, ys, yz)", {**X, **X, **Y})
    assert leaky.nodes[1].attributes == {"alpha": 0.25}


def test_integer_convolution_then_scale_and_quantizer(tmp_path: Path) -> None:
    nodes = """i = ConvInteger<pads=[1, 1]>(x, w, xz, wz)
f = Cast<to=1>(i)
m = Mul(f, scale)
y = QuantizeLinear(m, ys, yz)"""
    constants = {"w": weights(4, 3, 3), "xz": np.uint8(120), "wz": np.int8(0), "scale": np.float32(0.25), **Y}
    graph = check_meaning(tmp_path, nodes, constants)
    assert [node.op for node in graph.nodes] == ["Dequantize", "Dequantize", "Conv", "Mul", "Quantize"]


def test_integer_product_as_an_output_stays_integer(tmp_path: Path) -> None:
    constants = {"w": weights(8, 5), "xz": np.uint8(3), "wz": np.int8([1, 2, 3, 4, 5])}
    graph = check_meaning(tmp_path, "y = MatMulInteger(x, w, xz, wz)", constants, output=TensorProto.INT32)
    assert str(graph.nodes[-1].attributes["quantizer"].dtype) == "i32"  # type: ignore[attr-defined]


def test_dequantized_sums_are_scaled(tmp_path: Path) -> None:
    nodes = "i = MatMulInteger(x, w)\nd = DequantizeLinear(i, s)\ny = QuantizeLinear(d, ys, yz)"
    graph = check_meaning(tmp_path, nodes, {"w": weights(8, 5), "s": np.float32(0.25), **Y})
    assert [node.op for node in graph.nodes] == ["Dequantize", "Dequantize", "MatMul", "Mul", "Quantize"]


@pytest.mark.parametrize(
    ("nodes", "kind", "text"),
    [
        ("a, b, c = DynamicQuantizeLinear(x)\ny = Cast<to=1>(a)", UnsupportedModelError, "edgeconv quantize"),
        (
            "y = com.microsoft.QLinearSigmoid(x, xs, bad, xs, xz)",
            QuantizationError,
            "zero point (input 2) of type int8",
        ),
        ("y = com.microsoft.QLinearSigmoid(x, nan, xz, xs, xz)", QuantizationError, "the scale of input 0 is nan"),
        ("y = com.microsoft.QLinearSigmoid(x, xs, xz, zero, xz)", QuantizationError, "the output scale is 0.0"),
        ("y = com.microsoft.QLinearReduceMean(x, xs, xz, xs, xz)", UnsupportedModelError, "operator QLinearReduceMean"),
        (
            "y = com.microsoft.QLinearGlobalAveragePool<channels_last=1>(x, xs, xz, xs, xz)",
            UnsupportedModelError,
            "channels first",
        ),
    ],
)
def test_refusals_name_node_and_advice(tmp_path: Path, nodes: str, kind: type[Exception], text: str) -> None:
    constants = {**X, "bad": np.int8(0), "nan": np.float32(np.nan), "zero": np.float32(0)}
    input_type = TensorProto.FLOAT if "Dynamic" in nodes else U8
    with pytest.raises(kind) as caught:
        read_onnx(save(model(nodes, constants=constants, input_type=input_type), tmp_path))
    assert "node '" in str(caught.value)
    assert text in str(caught.value)
