"""QuantizeLinear and DequantizeLinear of every type and form; scales are powers of two, so results are exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgeconv.errors import QuantizationError, UnsupportedModelError
from edgeconv.importer import QuantizedGraph, Quantizer, Scale, read_onnx
from tests.importer.interpreter import evaluate
from tests.importer.models import model, run_onnxruntime, save

RNG = np.random.default_rng(7)


def read(tmp_path: Path, proto: onnx.ModelProto) -> QuantizedGraph:
    return read_onnx(save(proto, tmp_path))


def check(tmp_path: Path, proto: onnx.ModelProto, scale: float = 0.125) -> QuantizedGraph:
    graph = read(tmp_path, proto)
    feeds = {i.name: RNG.integers(-90, 90, i.shape).astype(np.float32) * np.float32(scale) for i in graph.inputs}
    for ours, theirs in zip(evaluate(graph, feeds), run_onnxruntime(proto, feeds), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    return graph


def zero(kind: int, value: int = 0) -> onnx.TensorProto:
    return helper.make_tensor("", kind, [], [value])


INTEGERS = [
    (TensorProto.INT8, "i8", 10),
    (TensorProto.UINT8, "u8", 13),
    (TensorProto.UINT8, "u8", 25),
    (TensorProto.INT16, "i16", 21),
    (TensorProto.UINT16, "u16", 21),
    (TensorProto.INT4, "i4", 21),
    (TensorProto.UINT4, "u4", 21),
    (TensorProto.INT2, "i2", 25),
    (TensorProto.UINT2, "u2", 25),
]


@pytest.mark.parametrize(("kind", "name", "opset"), INTEGERS)
def test_every_integer_type_quantizes_with_its_zero_point(tmp_path: Path, kind: int, name: str, opset: int) -> None:
    nodes = "q = QuantizeLinear(x, s, z)\ny = DequantizeLinear(q, s, z)"
    constants = {"s": np.float32(0.25), "z": zero(kind, 1)}
    quantize, dequantize = check(tmp_path, model(nodes, constants=constants, opset=max(opset, 11))).nodes
    quantizer, scale = quantize.attributes["quantizer"], dequantize.attributes["scale"]
    assert isinstance(quantizer, Quantizer)
    assert str(quantizer.dtype) == name
    assert (quantizer.lo, quantizer.hi) == (quantizer.dtype.lo, quantizer.dtype.hi)
    assert (quantizer.scale, quantizer.zero_point, scale) == ((0.25,), 1, Scale((0.25,), (1,)))


def test_the_type_without_a_zero_point_is_uint8_or_the_declared_one(tmp_path: Path) -> None:
    plain = check(tmp_path, model("y = QuantizeLinear(x, s)", constants={"s": np.float32(0.5)}, output_type=2))
    declared = f"y = QuantizeLinear<output_dtype={TensorProto.INT16}>(x, s)"
    wide = check(tmp_path, model(declared, constants={"s": np.float32(0.5)}, opset=21, output_type=5))
    kinds = [str(graph.nodes[0].attributes["quantizer"].dtype) for graph in (plain, wide)]  # type: ignore[attr-defined]
    assert kinds == ["u8", "i16"]


def test_microsoft_quantizers_of_16_bits_are_the_same_operators(tmp_path: Path) -> None:
    nodes = "q = com.microsoft.QuantizeLinear(x, s, z)\ny = com.microsoft.DequantizeLinear(q, s, z)"
    graph = check(tmp_path, model(nodes, constants={"s": np.float32(0.25), "z": np.uint16(300)}))
    assert [node.op for node in graph.nodes] == ["Quantize", "Dequantize"]


def test_activations_may_have_one_scale_per_channel(tmp_path: Path) -> None:
    nodes = "q = QuantizeLinear<axis=1>(x, s, z)\ny = DequantizeLinear<axis=-2>(q, s, z)"
    constants = {"s": np.float32([0.25, 0.5, 1]), "z": np.int8([3, 3, 3])}
    quantize, dequantize = check(tmp_path, model(nodes, constants=constants)).nodes
    assert quantize.attributes["quantizer"].zero_point == 3  # type: ignore[attr-defined]
    assert dequantize.attributes["scale"] == Scale((0.25, 0.5, 1.0), (3, 3, 3), 1)


def test_weights_are_integers_behind_a_dequantize(tmp_path: Path) -> None:
    nodes = """dw = DequantizeLinear<axis=0>(w, sw, zw)
db = DequantizeLinear<axis=0>(b, sb)
y = Conv(x, dw, db)"""
    w = RNG.integers(-9, 9, (2, 3, 3)).astype(np.int8)
    constants = {"w": w, "sw": np.float32([0.5, 0.25]), "zw": np.int8([1, -2]), "b": np.int32([5, -6])}
    graph = check(tmp_path, model(nodes, constants={**constants, "sb": np.float32([0.5, 0.125])}))
    weights, bias, conv = graph.nodes
    np.testing.assert_array_equal(graph.constants[weights.inputs[0]], w)
    assert weights.attributes["scale"] == Scale((0.5, 0.25), (1, -2), 0)
    assert graph.constants[bias.inputs[0]].dtype == np.int32
    assert conv.inputs == ("x", weights.output, bias.output)


def test_float_weights_quantized_in_the_file_become_narrow_integers(tmp_path: Path) -> None:
    nodes = """q = QuantizeLinear<axis=0>(w, s, z)
c = Clip(q, lo, hi)
d = DequantizeLinear<axis=0>(c, s, z)
y = Conv(x, d)"""
    w = (RNG.integers(-80, 80, (2, 3, 3)) / 8).astype(np.float32)
    constants = {"w": w, "s": np.float32([0.5, 0.25]), "z": np.int8([0, 0]), "lo": np.int8(-8), "hi": np.int8(7)}
    graph = check(tmp_path, model(nodes, constants=constants))
    (name,) = graph.nodes[0].inputs
    expected = np.clip(np.rint(w / np.float32([0.5, 0.25]).reshape(2, 1, 1)), -8, 7)
    np.testing.assert_array_equal(graph.constants[name], expected)
    assert str(graph.constant_dtypes[name]) == "i4"


def test_constants_round_by_float32_division(tmp_path: Path) -> None:
    # Quotients at ties: the float32 quotient is the tie where the exact one of the two float32 values lies beside it.
    scale = np.float32(0.33)
    w = (np.float32([0.5, 1.5, 2.5, 3.5, -0.5, 4.5]) * scale).astype(np.float32)
    proto = model("q = QuantizeLinear(w, s, z)\nd = DequantizeLinear(q, s, z)\ny = Add(x, d)", {"x": (1, 6)},
                  {"w": w, "s": scale, "z": np.int8(0)})  # fmt: skip
    graph = read(tmp_path, proto)
    probe = model("y = QuantizeLinear(x, s, z)", {"x": (6,)}, {"s": scale, "z": np.int8(0)}, output_type=3)
    np.testing.assert_array_equal(graph.constants[graph.nodes[0].inputs[0]], run_onnxruntime(probe, {"x": w})[0])


@pytest.mark.parametrize(
    "between", ["Transpose<perm=[1, 0]>(a)", "Reshape(a, shape)", "Identity(a)", "Squeeze(a, one)"]
)
@pytest.mark.parametrize("dequantized_first", [False, True])
def test_weights_reach_a_product_through_movements(tmp_path: Path, between: str, dequantized_first: bool) -> None:
    shapes = {"Transpose": (5, 8), "Reshape": (4, 2, 5), "Identity": (8, 5), "Squeeze": (8, 1, 5)}
    shape = shapes[between.split("<")[0].split("(")[0]]
    axis = len(shape) - 1 if "Transpose" not in between else 0
    after = 1
    if dequantized_first:
        nodes = f"a = DequantizeLinear<axis={axis}>(w, s, z)\nm = {between}\ny = MatMul(x, m)"
    else:
        nodes = f"a = Identity(w)\ni = {between}\nm = DequantizeLinear<axis={after}>(i, s, z)\ny = MatMul(x, m)"
    constants = {
        "w": RNG.integers(-9, 9, shape).astype(np.int8),
        "s": np.float32([0.25, 0.5, 1, 2, 4]),
        "z": np.int8([0, 1, 2, 3, 4]),
        "shape": np.array([8, 5], np.int64),
        "one": np.array([1], np.int64),
    }
    graph = check(tmp_path, model(nodes, {"x": (1, 8)}, constants))
    assert [node.op for node in graph.nodes] == ["Dequantize", "MatMul"]
    assert graph.nodes[0].attributes["scale"] == Scale((0.25, 0.5, 1.0, 2.0, 4.0), (0, 1, 2, 3, 4), 1)


def test_gemm_transposes_quantized_weights_with_their_axis(tmp_path: Path) -> None:
    nodes = "d = DequantizeLinear<axis=0>(w, s)\ny = Gemm<transB=1>(x, d)"
    w = RNG.integers(-9, 9, (3, 4)).astype(np.int8)
    graph = check(tmp_path, model(nodes, {"x": (1, 4)}, {"w": w, "s": np.float32([0.5, 1, 2])}))
    assert graph.nodes[0].attributes["scale"] == Scale((0.5, 1.0, 2.0), (0,), 1)
    np.testing.assert_array_equal(graph.constants[graph.nodes[0].inputs[0]], w.T)


def test_an_integer_clip_tightens_the_quantizer_before_it(tmp_path: Path) -> None:
    nodes = "q = QuantizeLinear(x, s, z)\nc = Clip(q, a, b)\ne = Clip(c, , d)\ny = DequantizeLinear(e, s, z)"
    constants = {"s": np.float32(0.5), "z": np.int8(0), "a": np.int8(-8), "b": np.int8(7), "d": np.int8(5)}
    graph = check(tmp_path, model(nodes, constants=constants))
    assert [node.op for node in graph.nodes] == ["Quantize", "Dequantize"]
    quantizer = graph.nodes[0].attributes["quantizer"]
    assert isinstance(quantizer, Quantizer)
    assert (quantizer.lo, quantizer.hi, str(quantizer.dtype)) == (-8, 5, "i8")


def test_integers_move_between_quantizers(tmp_path: Path) -> None:
    nodes = """q = QuantizeLinear(x, s, z)
p = MaxPool<kernel_shape=[2]>(q)
r = Concat<axis=1>(p, p)
t = Transpose<perm=[0, 2, 1]>(r)
y = DequantizeLinear(t, s, z)"""
    graph = check(tmp_path, model(nodes, constants={"s": np.float32(0.5), "z": np.uint8(100)}))
    assert [node.op for node in graph.nodes] == ["Quantize", "MaxPool", "Concat", "Transpose", "Dequantize"]


def test_integer_inputs_and_their_casts(tmp_path: Path) -> None:
    for kind, name in ((TensorProto.INT16, "i16"), (TensorProto.UINT8, "u8")):
        graph = read(tmp_path, model("y = Cast<to=1>(x)", input_type=kind))
        assert str(graph.inputs[0].dtype) == name
        assert [(node.op, node.attributes["scale"]) for node in graph.nodes] == [("Dequantize", Scale((1.0,)))]
        cast = read(tmp_path, model("i = Cast<to=3>(x)\ny = DequantizeLinear(i, s)", constants={"s": np.float32(1)},
                                    input_type=kind))  # fmt: skip
        assert [node.op for node in cast.nodes] == ["Cast", "Dequantize"]


BAD: list[tuple[str, dict[str, Any], type, list[str]]] = [
    ("y = QuantizeLinear(x, s)", {"s": np.float32(np.nan)}, QuantizationError, ["the scale is nan", "positive finite"]),
    ("y = QuantizeLinear(x, s)", {"s": np.float32(np.inf)}, QuantizationError, ["the scale is inf"]),
    ("y = QuantizeLinear(x, s)", {"s": np.float32(0)}, QuantizationError, ["the scale is 0.0", "calibrate"]),
    ("y = QuantizeLinear(x, s)", {"s": np.float32([1, -2, 1])}, QuantizationError, ["the scale is -2.0 at index 1"]),
    ("y = QuantizeLinear(x, s)", {"s": np.float16(1)}, QuantizationError, ["type float16", "expected: float32"]),
    ("y = QuantizeLinear(x, s)", {"s": np.float32([1, 1])}, QuantizationError, ["2 entries", "axis 1 of extent 3"]),
    ("y = QuantizeLinear<axis=5>(x, s)", {"s": np.float32([1, 1])}, QuantizationError, ["quantization axis 5"]),
    ("y = QuantizeLinear(x, s)", {"s": np.ones((1, 3, 2), np.float32)}, QuantizationError, ["shape (1, 3, 2)"]),
    (
        "y = QuantizeLinear(x, s, z)",
        {"s": np.float32([1, 1, 1]), "z": np.int8([1, 2])},
        QuantizationError,
        ["2 zero points for 3 scales"],
    ),
    (
        "y = QuantizeLinear(x, s, z)",
        {"s": np.float32([1, 1, 1]), "z": np.int8([1, 2, 1])},
        UnsupportedModelError,
        ["zero points from 1 to 2", "one zero point"],
    ),
    (
        "y = QuantizeLinear(x, s, z)",
        {"s": np.float32(1), "z": np.int32(0)},
        QuantizationError,
        ["zero point of type int32"],
    ),
    (
        "y = QuantizeLinear(x, s, z)",
        {"s": np.float32(1), "z": helper.make_tensor("", TensorProto.FLOAT8E4M3FN, [], [0])},
        QuantizationError,
        ["zero point of type float8", "8-bit floats"],
    ),
    (
        "q = QuantizeLinear(x, s, z)\ny = DequantizeLinear(q, s, u)",
        {"s": np.float32(1), "z": np.int8(0), "u": np.uint8(0)},
        QuantizationError,
        ["zero point of type uint8 for integers of type i8"],
    ),
    ("y = DequantizeLinear(x, s)", {"s": np.float32(1)}, QuantizationError, ["'x' holds real numbers"]),
    ("q = QuantizeLinear(x, s)\ny = QuantizeLinear(q, s)", {"s": np.float32(1)}, QuantizationError, ["integers (u8)"]),
    (
        "q = QuantizeLinear(x, s)\ny = Relu(q)",
        {"s": np.float32(1)},
        UnsupportedModelError,
        ["float operator on the integers"],
    ),
    ("s = ReduceMax(x)\ny = QuantizeLinear(x, s)", {}, UnsupportedModelError, ["the scale (input 1, 's')", "run time"]),
    (
        "y = QuantizeLinear<block_size=2>(x, s)",
        {"s": np.ones((1, 3, 4), np.float32)},
        QuantizationError,
        ["block_size 2"],
    ),
]


@pytest.mark.parametrize(("nodes", "constants", "kind", "texts"), BAD, ids=[f"{c[0]} {c[3][0]}" for c in BAD])
def test_impossible_quantizers_are_refused_by_name(
    tmp_path: Path, nodes: str, constants: Any, kind: type[Exception], texts: list[str]
) -> None:
    with pytest.raises(kind) as caught:
        read(tmp_path, model(nodes, constants=constants, opset=21))
    for text in ("node '", "expected: ", *texts):
        assert text in str(caught.value)


def test_constants_with_nan_are_refused(tmp_path: Path) -> None:
    with pytest.raises(QuantizationError, match="constant 'w' holds NaN or infinity"):
        read(tmp_path, model("y = Add(x, w)", constants={"w": np.float32([1, np.nan, 3]).reshape(3, 1)}))
