"""Layers with constant weights: where their weights and biases stand, and which axis runs over the outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from edgeconv.importer.node import label
from edgeconv.quantize.ptq.onnx_graph import OnnxGraph

__all__ = ["WeightedLayer", "weighted_layers"]


@dataclass(frozen=True)
class WeightedLayer:
    """A convolution or matrix product with constant weights.

    Attributes:
        node: its ONNX node.
        weight_index: which input of the node holds the weights.
        axis: of the weights, over the outputs; None where there can be no scale for each output.
        bias_node: the node that reads the bias: `node`, or the Add behind a MatMul.
        bias_index: which input of it; None where there is no constant bias of one value per output.
        output: the value with the bias added.
    """

    node: onnx.NodeProto
    weight_index: int
    axis: int | None
    bias_node: onnx.NodeProto
    bias_index: int | None
    output: str

    @property
    def name(self) -> str:
        """The node's name."""
        return label(self.node)

    @property
    def x(self) -> str:
        """The activation that it reads."""
        return str(self.node.input[1 - self.weight_index])

    def rows(self, weights: NDArray[np.generic]) -> NDArray[np.float64]:
        """Weights as (outputs, weights of an output), or one row without an axis."""
        if self.axis is None:
            return weights.astype(np.float64).reshape(1, -1)
        return np.moveaxis(weights.astype(np.float64), self.axis, 0).reshape(weights.shape[self.axis], -1)

    def along(self, values: NDArray[np.float32], rank: int) -> NDArray[np.float32]:
        """One value for each output (or one in all), shaped to broadcast over the weights."""
        return values.reshape([-1 if i == self.axis else 1 for i in range(rank)])


def weighted_layers(graph: OnnxGraph) -> Iterator[WeightedLayer]:
    """All layers of a graph with constant weights, in execution order."""
    for node in list(graph.graph.node):
        if node.op_type in ("Conv", "ConvTranspose", "Gemm") and graph.constant(node.input[1]) is not None:
            yield _with_own_bias(graph, node)
        elif node.op_type == "MatMul":
            known = [i for i, name in enumerate(node.input) if graph.constant(name) is not None]
            if len(known) == 1:
                yield _matmul(graph, node, known[0])


def attribute(node: onnx.NodeProto, name: str, default: float) -> float:
    """A number among a node's attributes."""
    found = [helper.get_attribute_value(a) for a in node.attribute if a.name == name]
    return float(found[0]) if found else default


def _with_own_bias(graph: OnnxGraph, node: onnx.NodeProto) -> WeightedLayer:
    axis = {"Conv": 0, "ConvTranspose": 1}.get(node.op_type, 0 if attribute(node, "transB", 0) else 1)
    bias = graph.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    weights = graph.constant(node.input[1])
    assert weights is not None
    groups = int(attribute(node, "group", 1)) if node.op_type == "ConvTranspose" else 1
    outputs = weights.shape[axis] * groups
    plain = all(attribute(node, name, 1.0) == 1.0 for name in ("alpha", "beta"))
    index = 2 if bias is not None and bias.size == outputs and plain else None
    return WeightedLayer(node, 1, axis, node, index, node.output[0])


def _matmul(graph: OnnxGraph, node: onnx.NodeProto, index: int) -> WeightedLayer:
    weights = graph.constant(node.input[index])
    assert weights is not None
    axis = 1 if weights.ndim == 2 and index == 1 else None
    readers = graph.consumers(node.output[0])
    if axis is not None and len(readers) == 1 and readers[0].op_type == "Add" and node.output[0] not in graph.outputs:
        (add,) = readers
        bias_index = 1 - list(add.input).index(node.output[0])
        bias = graph.constant(add.input[bias_index])
        if bias is not None and bias.shape == (weights.shape[1],):
            return WeightedLayer(node, index, axis, add, bias_index, add.output[0])
    return WeightedLayer(node, index, axis, node, None, node.output[0])
