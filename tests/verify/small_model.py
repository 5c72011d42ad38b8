"""A quantized model small enough to compile in every test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper


def small_model(path: Path) -> Path:
    """A quantized convolution with bias and ReLU: float32 (n, 2, 9) in and out."""
    rng = np.random.default_rng(5)
    constants = {
        "s_x": np.float32(0.1),
        "z_x": np.uint8(120),
        "s_w": rng.uniform(0.01, 0.02, 3).astype(np.float32),
        "z_w": np.zeros(3, np.int8),
        "w": rng.integers(-127, 128, (3, 2, 3)).astype(np.int8),
        "s_y": np.float32(0.05),
        "z_y": np.uint8(0),
        "b": rng.integers(-500, 500, 3).astype(np.int32),
        "z_b": np.zeros(3, np.int32),
    }
    constants["s_b"] = constants["s_x"] * constants["s_w"]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s_x", "z_x"], ["xq"], "quantize_x"),
        helper.make_node("DequantizeLinear", ["xq", "s_x", "z_x"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "s_w", "z_w"], ["wd"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "s_b", "z_b"], ["bd"], axis=0),
        helper.make_node("Conv", ["xd", "wd", "bd"], ["c"], "convolution", pads=[1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "s_y", "z_y"], ["yq"], "quantize_y"),
        helper.make_node("DequantizeLinear", ["yq", "s_y", "z_y"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 2, 9])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 3, 9])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return path
