"""A float ONNX model made ready: constants folded, batch normalizations folded into the weights before them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxscript.optimizer
from numpy.typing import NDArray
from onnx import helper, version_converter

from edgeconv.errors import ModelFileError, QuantizationError, UnsupportedModelError
from edgeconv.importer.file import load, versions_by_domain
from edgeconv.importer.node import label
from edgeconv.quantize.ptq.layers import attribute
from edgeconv.quantize.ptq.onnx_graph import OnnxGraph

__all__ = ["prepare"]

# Per-channel DequantizeLinear and the integer Clip behind narrow types begin with operator set 13.
_OLDEST, _CONVERTED = 13, 17
# The newest that onnxruntime 1.31 reads.
_IR_VERSION = 10
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear", "QLinear", "ConvInteger", "MatMulInteger", "QGemm", "Quant",
               "IntQuant", "BipolarQuant", "DynamicQuantize")  # fmt: skip


def prepare(path: Path) -> onnx.ModelProto:
    """The model of a file with constants folded, functions inlined, and batch normalizations in the weights.

    Raises:
        ModelFileError: the file is missing or damaged.
        QuantizationError: it holds quantizers already.
        UnsupportedModelError: an operator set that cannot be converted.
    """
    model = load(path)
    quantized = [node for node in model.graph.node if node.op_type.startswith(_QUANTIZERS)]
    inputs = {value.name for value in model.graph.input}
    if quantized and all(node.op_type == "DequantizeLinear" and node.input[0] in inputs for node in quantized):
        node = quantized[0]
        raise QuantizationError(
            f"{path} takes integers: node '{label(node)}' says what those of input '{node.input[0]}' mean",
            expected="a model whose inputs are floats",
            advice="export the network behind that node; quantization-aware training keeps integer inputs",
        )
    if quantized:
        raise QuantizationError(
            f"{path} is quantized already: {len(quantized)} quantizers, such as node '{label(quantized[0])}'",
            expected="a float model",
            advice=f"edgeconv compile {path}",
        )
    model = _modern(model)
    for node in model.graph.node:
        # Policies and messages go by names; a node without one is called after what it makes.
        node.name = node.name or next(name for name in node.output if name)
    # The optimizer tells about every fold; what matters here is the model.
    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    try:
        model = onnxscript.optimizer.optimize(model)
    except Exception as error:  # whatever the file has that ONNX does not allow
        reason = str(error.__cause__ or error).strip().splitlines()[0][:300]
        raise ModelFileError(
            f"{path}: {reason}", expected="a valid ONNX model", advice="onnx.checker.check_model tells what is wrong"
        ) from error
    graph = OnnxGraph(model)
    for node in list(model.graph.node):
        if node.op_type == "BatchNormalization":
            _fold_batch_normalization(graph, node)
        elif node.op_type == "Gemm":
            _plain_gemm(graph, node)
        elif node.op_type == "Sum":
            _sums_of_two(graph, node)
        elif node.op_type == "Div" and all(graph.constant(name) is None for name in node.input):
            _product_with_reciprocal(graph, node)
    graph.remove_unused()
    model.ir_version = _IR_VERSION
    return model


def _modern(model: onnx.ModelProto) -> onnx.ModelProto:
    if versions_by_domain(model)[""] >= _OLDEST:
        return model
    try:
        return version_converter.convert_version(model, _CONVERTED)
    except Exception as error:  # the converter raises many types that share no base
        reason = str(error).strip().splitlines()[-1][:200]
        raise UnsupportedModelError(
            f"operator set {versions_by_domain(model)['']} cannot be converted to {_CONVERTED}: {reason}",
            expected=f"operator set {_OLDEST} or newer",
            advice="export the model with opset_version=17",
        ) from error


def _fold_batch_normalization(graph: OnnxGraph, node: onnx.NodeProto) -> None:
    """y = (Wx + b - mean)·g + beta with g = gamma / sqrt(variance + epsilon) is a layer with weights W·g.

    Computed in float64 and rounded once to float32. A normalization that no layer of its own precedes stays: the
    integer program holds it exactly.
    """
    layer = graph.producer.get(node.input[0])
    axis = _output_axis(layer) if layer is not None else None
    weights = graph.constant(layer.input[1]) if layer is not None and axis is not None else None
    statistics = [graph.constant(name) for name in node.input[1:5]]
    if layer is None or axis is None or weights is None or any(array is None for array in statistics):
        return
    if len(graph.consumers(layer.output[0])) != 1 or layer.output[0] in graph.outputs:
        return
    bias: NDArray[Any] | None = np.zeros((), np.float32)
    if len(layer.input) > 2 and layer.input[2]:
        bias = graph.constant(layer.input[2])
    if bias is None or any(output for output in node.output[1:]):
        return
    gamma, beta, mean, variance = (array.astype(np.float64) for array in statistics if array is not None)
    epsilon = np.float64(np.float32(attribute(node, "epsilon", 1e-5)))
    factor = gamma / np.sqrt(variance + epsilon)
    groups = int(attribute(layer, "group", 1)) if layer.op_type == "ConvTranspose" else 1
    shape = [1] * weights.ndim
    if groups > 1:
        # Output channels of a grouped transposed convolution stand on two axes: (groups·inputs, outputs / groups, …).
        per_channel = np.repeat(factor.reshape(groups, -1), weights.shape[0] // groups, axis=0)
        scaled = weights * per_channel.reshape(*per_channel.shape, *[1] * (weights.ndim - 2))
    else:
        shape[axis] = -1
        scaled = weights * factor.reshape(shape)
    name = label(layer)
    layer.input[1] = graph.add_constant(f"{name}.folded_weight", scaled.astype(np.float32))
    folded = graph.add_constant(f"{name}.folded_bias", ((bias - mean) * factor + beta).astype(np.float32))
    del layer.input[2:]
    layer.input.append(folded)
    graph.remove(node)
    graph.rename_output(layer, node.output[0])


def _output_axis(layer: onnx.NodeProto) -> int | None:
    """The axis of a layer's weights that runs over its outputs; None where a bias input cannot be added."""
    if layer.op_type == "Conv":
        return 0
    if layer.op_type == "ConvTranspose":
        return 1
    plain = layer.op_type == "Gemm" and all(attribute(layer, name, 1.0) == 1.0 for name in ("alpha", "beta"))
    return (0 if attribute(layer, "transB", 0) else 1) if plain else None


def _sums_of_two(graph: OnnxGraph, node: onnx.NodeProto) -> None:
    """A sum of several values becomes sums of two, which each have a value that can be quantized."""
    total, *others = node.input
    for index, other in enumerate(others):
        last = index == len(others) - 1
        partial = node.output[0] if last else graph.fresh(f"{node.output[0]}.sum{index + 1}")
        add = helper.make_node("Add", [total, other], [partial], name=f"{node.name}.{index + 1}")
        graph.insert_before(node, add)
        total = partial
    if others:
        graph.remove(node)


def _product_with_reciprocal(graph: OnnxGraph, node: onnx.NodeProto) -> None:
    """A quotient of activations has no integer form; a product with the reciprocal, a table, has one."""
    inverse = graph.fresh(f"{node.output[0]}.reciprocal")
    reciprocal = helper.make_node("Reciprocal", [node.input[1]], [inverse], name=f"{node.name}.reciprocal")
    graph.insert_before(node, reciprocal)
    node.op_type = "Mul"
    node.input[1] = inverse


def _plain_gemm(graph: OnnxGraph, node: onnx.NodeProto) -> None:
    """alpha and beta of a Gemm go into its constants, so that its bias has the accumulator's scale."""
    for name, index in (("alpha", 1), ("beta", 2)):
        factor = np.float32(attribute(node, name, 1.0))
        array = graph.constant(node.input[index]) if index < len(node.input) else None
        if factor != 1 and array is not None:
            node.input[index] = graph.add_constant(f"{label(node)}.{name}", (array * factor).astype(np.float32))
            for stale in [a for a in node.attribute if a.name == name]:
                node.attribute.remove(stale)
