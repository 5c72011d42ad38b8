"""Small ONNX models from the text of their nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, parser

DOMAINS = {"com.microsoft": 1, "qonnx.custom_op.general": 1, "onnx.brevitas": 1, "edgeconv.test": 1}
Shape = Sequence[int | str | None]


def model(
    nodes: str,
    inputs: Mapping[str, Shape] | None = None,
    constants: Mapping[str, Any] | None = None,
    *,
    outputs: Sequence[str] = ("y",),
    opset: int = 17,
    input_type: int = TensorProto.FLOAT,
    output_type: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A model from one node a line, such as `y = Conv<pads=[1, 1]>(x, w)`.

    Args:
        inputs: shapes by name; by default one input x of shape (1, 3, 8).
        constants: arrays (or TensorProtos, for types that numpy lacks) by name; Python floats become float32.
    """
    protos = [parser.parse_node(line) for line in nodes.strip().splitlines()]
    declared = inputs or {"x": (1, 3, 8)}
    graph = helper.make_graph(
        protos,
        "g",
        [helper.make_tensor_value_info(name, input_type, shape) for name, shape in declared.items()],
        [helper.make_tensor_value_info(name, output_type, None) for name in outputs],
        [_tensor(name, value) for name, value in (constants or {}).items()],
    )
    used = {node.domain for node in protos} - {""}
    opsets = [helper.make_opsetid("", opset)] + [
        helper.make_opsetid(domain, DOMAINS[domain]) for domain in sorted(used)
    ]
    # onnxruntime reads up to 13; the newest operator sets want at least 11.
    return helper.make_model(graph, opset_imports=opsets, ir_version=10 if opset < 23 else 12)


def _tensor(name: str, value: Any) -> onnx.TensorProto:
    if isinstance(value, onnx.TensorProto):
        value.name = name
        return value
    array = np.asarray(value)
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    return numpy_helper.from_array(array, name)


def save(proto: onnx.ModelProto, folder: Path) -> Path:
    """Write a model into a folder of a test."""
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def run_onnxruntime(proto: onnx.ModelProto, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """The outputs by onnxruntime, optimisations off."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, dict(feeds)))
