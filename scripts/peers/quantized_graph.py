"""A QDQ ONNX file of onnxruntime's quantizer as plain layers with the quantization of every tensor."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

__all__ = ["Layer", "Parameters", "QuantizedNetwork", "read_qdq"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Parameters:
    """real = scale·(integer - zero_point); one scale, or one per output channel (of weights, axis 0)."""

    scale: Array
    zero_point: int


@dataclass
class Layer:
    """One operator between quantized tensors.

    Attributes:
        inputs: names of activations.
        weights, bias: int8 and int32, with `weight_parameters`.
        relu: whether a Relu follows.
    """

    operator: str
    inputs: list[str]
    output: str
    attributes: dict[str, Any]
    weights: Array | None = None
    bias: Array | None = None
    weight_parameters: Parameters | None = None
    relu: bool = False


@dataclass
class QuantizedNetwork:
    """All layers in order, and the shapes and quantization of the tensors between them.

    Attributes:
        input, output: names of the float ends.
    """

    input: str
    output: str
    layers: list[Layer] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    parameters: dict[str, Parameters] = field(default_factory=dict)


def read_qdq(path: Path) -> QuantizedNetwork:
    """Read a file that onnxruntime.quantization wrote with QuantFormat.QDQ."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    network = QuantizedNetwork(graph.input[0].name, graph.output[0].name)
    for value in (*graph.input, *graph.value_info, *graph.output):
        network.shapes[value.name] = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
    alias: dict[str, str] = {}  # what a quantized or dequantized tensor holds
    weights: dict[str, tuple[Array, Parameters]] = {}

    def name_of(name: str) -> str:
        while name in alias:
            name = alias[name]
        return name

    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            scale, zero = constants[node.input[1]], constants[node.input[2]]
            parameters = Parameters(np.atleast_1d(scale), int(np.ravel(zero)[0]))
            if node.input[0] in constants:
                weights[node.output[0]] = constants[node.input[0]], parameters
                continue
            alias[node.output[0]] = node.input[0]
            if node.op_type == "QuantizeLinear":
                network.parameters[name_of(node.input[0])] = parameters
            continue
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if node.op_type == "Relu" and not any(name_of(node.input[0]) == known for known in network.parameters):
            network.layers[-1].relu = True
            network.layers[-1].output = node.output[0]
            continue
        layer = Layer(node.op_type, [], node.output[0], attributes)
        for name in node.input:
            if name in weights and weights[name][0].dtype == np.int8 and layer.weights is None:
                layer.weights, layer.weight_parameters = weights[name]
            elif name in weights:
                layer.bias = weights[name][0]
            elif name and name not in constants:
                layer.inputs.append(name_of(name))
        network.layers.append(layer)
    network.output = name_of(network.output)
    return network
