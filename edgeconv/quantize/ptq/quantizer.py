"""Post-training quantization of a float ONNX model, from file to file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeconv.artifact.layers import weight_bytes
from edgeconv.importer.graph import Node, QuantizedGraph, Quantizer
from edgeconv.importer.read import read_model
from edgeconv.integer import lower
from edgeconv.quantize.policy import QuantPolicy
from edgeconv.quantize.ptq.bias_correction import correct_biases
from edgeconv.quantize.ptq.calibration import Samples, observe
from edgeconv.quantize.ptq.layers import weighted_layers
from edgeconv.quantize.ptq.onnx_graph import OnnxGraph
from edgeconv.quantize.ptq.placement import Placement, place
from edgeconv.quantize.ptq.ranges import Histogram, activation_quantizer
from edgeconv.quantize.ptq.rewrite import QuantizedWeights, Weights, write_quantizers

__all__ = ["Quantized", "layer_names", "quantize_prepared"]

Progress = Callable[[str], None]
_RANGE_OPS = ("Relu", "Clip", "BatchNormalization", "Add")


@dataclass(frozen=True)
class Quantized:
    """A quantized model and how it came about.

    Attributes:
        graph: the float model as the importer reads it.
        quantizers: of activations by value name, in execution order.
        names: the name that policies know each of these values by.
    """

    model: onnx.ModelProto
    graph: QuantizedGraph
    quantizers: Mapping[str, Quantizer]
    histograms: Mapping[str, Histogram]
    names: Mapping[str, str]
    weights: tuple[QuantizedWeights, ...]
    weight_bytes: int


def quantize_prepared(
    model: onnx.ModelProto,
    graph: QuantizedGraph,
    samples: Samples,
    policy: QuantPolicy,
    *,
    share_concat: bool = False,
    correct_bias: bool = True,
    progress: Progress = lambda _: None,
) -> Quantized:
    """Quantize a model that `prepare` gave.

    Args:
        graph: the same model as the importer reads it.
        samples: for calibration.
        share_concat: see `place`.
        correct_bias: let biases make up for the mean error of their layers.

    Raises:
        UsageError: a rule of the policy matches nothing.
        UnsupportedModelError, QuantizationError: what has no integer form; all nodes are listed.
        InputError: the samples make a value infinite or NaN.
    """
    placement = place(graph, share_concat=share_concat)
    names = layer_names(graph, placement)
    weighted = [layer.name for layer in weighted_layers(OnnxGraph(model))]
    bits = policy.resolve(weighted, list(dict.fromkeys(names.values())))
    activations = [value for value in placement.values if value not in graph.constants]
    elements = sum(int(np.prod(graph.shapes[value])) for value in activations)
    counts = policy.calibration != "minmax"
    histograms = observe(model, activations, samples, elements, counts=counts, progress=progress)
    histograms |= {name: _of_constant(graph.constants[name]) for name in placement.values if name in graph.constants}
    for group in placement.shared:
        joined = histograms[group[0]]
        for name in group[1:]:
            joined = joined.joined(histograms[name])
        histograms |= dict.fromkeys(group, joined)
    quantizers = {}
    for value in placement.values:
        group = next((group for group in placement.shared if value in group), (value,))
        width = max(bits[names[name]].activation_bits for name in group)
        method = "minmax" if value in graph.constants else policy.calibration
        quantizers[value] = activation_quantizer(
            histograms[value], width, method, percentile=policy.percentile,
            symmetric=policy.symmetric_activations, power_of_two=policy.power_of_two,
        )  # fmt: skip
    progress("quantizing weights")
    weights = Weights(
        lambda name: bits[name].weight_bits, policy.per_channel, policy.calibration == "mse", policy.power_of_two
    )
    quantized, found = write_quantizers(model, quantizers, placement.roots, weights)
    if correct_bias:
        correct_biases(model, quantized, found, graph.shapes, samples, progress)
    progress("lowering to integers")
    program = lower(read_model(quantized, model.graph.name or "the model", {}))
    return Quantized(quantized, graph, quantizers, histograms, names, found, weight_bytes(program))


def _of_constant(array: NDArray[np.generic]) -> Histogram:
    return Histogram(float(array.min()), float(array.max()), np.zeros(1, np.int64))


def layer_names(graph: QuantizedGraph, placement: Placement) -> dict[str, str]:
    """The name of each quantized value's layer: that of the convolution behind its ReLU, else of its own node.

    An input or constant has its own name.
    """
    producer = {node.output: node for node in graph.nodes}
    names = {}
    for value in placement.values:
        node: Node | None = producer.get(value)
        last = node
        while node is not None and node.op in _RANGE_OPS:
            inner = [name for name in node.inputs if name in producer]
            node = producer[inner[0]] if len(inner) == 1 and inner[0] not in placement.values else None
        if node is not None and node.op in ("Conv", "ConvTranspose", "MatMul"):
            last = node
        names[value] = value if last is None else last.name
    return names
