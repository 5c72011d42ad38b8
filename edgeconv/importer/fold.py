"""Constant folding: any operator whose inputs are all constants is evaluated while the graph is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgeconv.importer.node import OnnxNode
from edgeconv.importer.values import Constant, QuantizedConstant, Value

# Larger results are a sign that a run-time tensor was meant, and would only fill memory.
_LARGEST = 1 << 28


def constant(node: OnnxNode) -> list[Value]:
    """The value of a Constant node in any of its attribute forms."""
    if node.attribute("value") is not None:
        array = numpy_helper.to_array(node.attribute("value"))
    elif node.attribute("value_float") is not None or node.attribute("value_floats") is not None:
        array = np.asarray(node.attribute("value_float", node.attribute("value_floats")), np.float32)
    elif node.attribute("value_int") is not None or node.attribute("value_ints") is not None:
        array = np.asarray(node.attribute("value_int", node.attribute("value_ints")), np.int64)
    else:
        raise node.error("holds a string or sparse value", expected="a numeric tensor")
    return [Constant(node.output, array)]


def shape(node: OnnxNode) -> list[Value]:
    """Shape of a value whose shape is static, with the start and end attributes of operator set 15."""
    extents = node.value(0).shape
    part = extents[slice(node.attribute("start", 0), node.attribute("end"))]
    return [Constant(node.output, np.asarray(part, np.int64))]


def size(node: OnnxNode) -> list[Value]:
    """Number of elements of a value."""
    return [Constant(node.output, np.asarray(int(np.prod(node.value(0).shape, dtype=np.int64)), np.int64))]


def is_foldable(node: OnnxNode) -> bool:
    """Whether every input is a constant (and there is one)."""
    given = [value for value in node.inputs if value is not None]
    return bool(given) and all(isinstance(value, (Constant, QuantizedConstant)) for value in given)


def fold(node: OnnxNode) -> list[Value]:
    """The outputs of a node over constants, by ONNX's reference implementation.

    Raises:
        UnsupportedModelError: the operator cannot be evaluated.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for name, value in zip(node.proto.input, node.inputs, strict=True):
        if isinstance(value, Constant):
            arrays[name] = value.array
        elif isinstance(value, QuantizedConstant):
            arrays[name] = value.real()
    try:
        results = _evaluator(node, arrays).run(None, arrays)
    except Exception as error:
        raise node.error(
            f"cannot be evaluated on its constant inputs: {error}",
            expected="an operator of the ONNX domain on valid constants",
            advice="run a constant-folding pass (onnxscript.optimizer.optimize) on the model first",
        ) from error
    arrays_out = [np.asarray(result) for result in results]
    if any(array.size > _LARGEST for array in arrays_out):
        raise node.error(f"a constant of more than {_LARGEST} elements", expected="a smaller one")
    names = [name for name in node.outputs if name]
    return [Constant(name, array) for name, array in zip(names, arrays_out, strict=True)]


def _evaluator(node: OnnxNode, arrays: dict[str, NDArray[Any]]) -> ReferenceEvaluator:
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in arrays.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.outputs if name]
    graph = helper.make_graph([node.proto], "constants", inputs, outputs)
    return ReferenceEvaluator(
        helper.make_model(graph, opset_imports=[helper.make_opsetid(node.proto.domain, node.opset)])
    )
