"""The whole way in one small file, to be read first: an ONNX model becomes an artifact and gives the bits it must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgeconv
from edgeconv import reference
from edgeconv.importer import read_onnx
from edgeconv.integer import lower


def tiny_model(path: Path) -> None:
    """Quantize, dequantize, convolve with 8-bit weights, clip at zero, quantize again: what exporters write."""
    constants = {
        "x_scale": np.float32(0.1),
        "x_zero": np.uint8(3),
        "w": np.array([[[1, -2, 3]], [[40, 50, -60]]], np.int8),  # 2 output channels, 1 input channel, 3 taps
        "w_scale": np.float32(0.02),
        "y_scale": np.float32(0.05),
        "y_zero": np.uint8(0),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["x_q"]),
        helper.make_node("DequantizeLinear", ["x_q", "x_scale", "x_zero"], ["x_real"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale"], ["w_real"]),
        helper.make_node("Conv", ["x_real", "w_real"], ["conv"], pads=[1, 1]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("QuantizeLinear", ["relu", "y_scale", "y_zero"], ["y_q"]),
        helper.make_node("DequantizeLinear", ["y_q", "y_scale", "y_zero"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2, 16])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)


@pytest.mark.needs_gcc
def test_a_model_becomes_an_artifact_that_gives_the_bits_of_the_reference(tmp_path: Path) -> None:
    tiny_model(tmp_path / "tiny.onnx")

    edgeconv.compile(tmp_path / "tiny.onnx", output=tmp_path / "tiny.edge")
    runner = edgeconv.load(tmp_path / "tiny.edge")

    x = np.linspace(-5, 25, 100 * 16, dtype=np.float32).reshape(100, 1, 16)
    y = runner(x)

    # The same model as an integer program, run by the interpreter that defines what is right.
    program = lower(read_onnx(tmp_path / "tiny.onnx"))
    (expected,) = reference.run(program, {"x": x[:, None]}).values()
    np.testing.assert_array_equal(y.reshape(expected.shape), expected)
