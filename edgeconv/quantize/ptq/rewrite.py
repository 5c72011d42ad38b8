"""Writing quantizers into an ONNX model: QuantizeLinear, an integer Clip for odd widths, DequantizeLinear."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from edgeconv.importer.file import versions_by_domain
from edgeconv.importer.graph import Quantizer
from edgeconv.importer.operators import MICROSOFT
from edgeconv.quantize.ptq.layers import WeightedLayer, weighted_layers
from edgeconv.quantize.ptq.onnx_graph import OnnxGraph
from edgeconv.quantize.ptq.ranges import channel_scales

__all__ = ["QuantizedWeights", "Weights", "write_quantizers"]

# Operator sets from which ONNX's own quantizers take these containers; before, the com.microsoft domain has them.
_SINCE = {8: 13, 16: 21}


@dataclass(frozen=True)
class QuantizedWeights:
    """What became of one layer's weights.

    Attributes:
        signal, noise: sums of squares of the weights and of their error.
        output: the layer's value with its bias added; `channel_axis` is that of its outputs.
        bias: names of the constants that hold the integer bias and its scale; None where the bias stayed real.
    """

    layer: str
    bits: int
    size: int
    signal: float
    noise: float
    output: str
    channel_axis: int
    bias: tuple[str, str] | None


@dataclass(frozen=True)
class Weights:
    """How weights are quantized: bits by layer name, and the choices of `channel_scales`.

    Attributes:
        least_error: below 8 bits; at 8 bits cutting off the largest weights gains nothing (docs/quantize.md).
    """

    bits: Callable[[str], int]
    per_channel: bool
    least_error: bool
    power_of_two: bool


def write_quantizers(
    model: onnx.ModelProto, activations: Mapping[str, Quantizer], roots: Mapping[str, str], weights: Weights
) -> tuple[onnx.ModelProto, tuple[QuantizedWeights, ...]]:
    """A copy of a float model with quantizers.

    A value v keeps its name; `v.quantized` are its integers and `v.real` what the layers behind it read. Biases become
    int32 at the scale of the accumulator, float32(s_x·s_w).

    Args:
        activations: quantizers by value name (inputs and constants too).
        roots: for each value on a grid, the value of `activations` whose quantizer made it.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = OnnxGraph(copy)
    writer = _Writer(graph, versions_by_domain(copy)[""])
    found = []
    for layer in list(weighted_layers(graph)):
        # Scales are float32 values: their product in float32 is the scale of the bias.
        root = activations.get(roots.get(layer.x, ""))
        found.append(writer.quantize_layer(layer, None if root is None else np.float32(root.scale[0]), weights))
    for name, quantizer in activations.items():
        writer.quantize_activation(name, quantizer)
    graph.remove_unused()
    writer.declare_domain(copy)
    return copy, tuple(found)


class _Writer:
    def __init__(self, graph: OnnxGraph, opset: int) -> None:
        self._graph, self._opset = graph, opset
        self._used_microsoft = False

    def declare_domain(self, model: onnx.ModelProto) -> None:
        """Name the com.microsoft domain where a quantizer needed it."""
        if self._used_microsoft and all(entry.domain != MICROSOFT for entry in model.opset_import):
            model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))

    def _domain(self, bits: int) -> str:
        own = self._opset >= _SINCE[bits]
        self._used_microsoft |= not own
        return "" if own else MICROSOFT

    def quantize_activation(self, name: str, quantizer: Quantizer) -> None:
        """Let all readers of a value read its rounded version; an output of the graph stays as it is."""
        graph, container = self._graph, quantizer.dtype.container
        domain = self._domain(quantizer.dtype.bits)
        readers = graph.consumers(name)
        scale = graph.add_constant(f"{name}.scale", np.float32(quantizer.scale[0]).reshape(()))
        zero = graph.add_constant(f"{name}.zero_point", np.asarray(quantizer.zero_point, container))
        integers, real = graph.fresh(f"{name}.quantized"), graph.fresh(f"{name}.real")
        nodes = [self._node("QuantizeLinear", [name, scale, zero], integers, domain)]
        if (quantizer.lo, quantizer.hi) != (quantizer.dtype.lo, quantizer.dtype.hi):
            clipped = graph.fresh(f"{name}.clipped")
            nodes.append(self._clip(integers, clipped, name, quantizer.lo, quantizer.hi, container))
            integers = clipped
        nodes.append(self._node("DequantizeLinear", [integers, scale, zero], real, domain))
        for reader in readers:
            for index, read in enumerate(reader.input):
                if read == name:
                    reader.input[index] = real
        graph.insert_after(name, nodes)

    def quantize_layer(
        self, layer: WeightedLayer, input_scale: np.float32 | None, weights: Weights
    ) -> QuantizedWeights:
        """Quantize a layer's weights, and its bias where the scale of its input is known."""
        graph = self._graph
        array = graph.constant(layer.node.input[layer.weight_index])
        assert array is not None
        if not weights.per_channel or layer.axis is None:
            rows = array.astype(np.float64).reshape(1, -1)
        else:
            rows = layer.rows(array)
        bias = None
        if layer.bias_index is not None and input_scale is not None:
            bias = graph.constant(layer.bias_node.input[layer.bias_index])
        bits = weights.bits(layer.name)
        scale = channel_scales(
            rows, bits, least_error=weights.least_error and bits < 8, power_of_two=weights.power_of_two,
            bias=None if bias is None else _largest_bias(bias, len(rows)), input_scale=float(input_scale or 0),
        )  # fmt: skip
        wide: NDArray[np.float32] = layer.along(scale, array.ndim) if len(rows) > 1 else scale
        most = (1 << (bits - 1)) - 1
        integers = np.clip(np.rint(array / wide), -most, most).astype(np.int8)
        per_axis = len(rows) > 1
        real = self._dequantized_constant(
            layer.node.input[layer.weight_index], integers, scale if per_axis else scale[0], layer.axis, most
        )
        layer.node.input[layer.weight_index] = real
        constants: tuple[str, str] | None = None
        if bias is not None and input_scale is not None:
            assert layer.bias_index is not None
            real, constants = self._bias(layer, bias, input_scale * scale)
            layer.bias_node.input[layer.bias_index] = real
        error = array.astype(np.float64) - integers * wide.astype(np.float64)
        signal = float((array.astype(np.float64) ** 2).sum())
        channel_axis = -1 if layer.node.op_type == "MatMul" else 1
        return QuantizedWeights(
            layer.name, bits, array.size, signal, float((error**2).sum()), layer.output, channel_axis, constants
        )

    def _dequantized_constant(
        self,
        name: str,
        integers: NDArray[np.int8],
        scale: NDArray[np.float32] | np.float32,
        axis: int | None,
        most: int,
    ) -> str:
        graph = self._graph
        real, narrow = graph.fresh(f"{name}.real"), most < np.iinfo(np.int8).max
        stored = graph.add_constant(f"{name}.integers", integers)
        scale_name = graph.add_constant(f"{name}.scale", np.asarray(scale, np.float32))
        nodes = []
        if narrow:
            # The importer reads the width of constants off this Clip, as brevitas writes them.
            clipped = graph.fresh(f"{name}.clipped")
            nodes.append(self._clip(stored, clipped, name, -most - 1, most, np.dtype(np.int8)))
            stored = clipped
        node = self._node("DequantizeLinear", [stored, scale_name], real, self._domain(8))
        if np.ndim(scale):
            node.attribute.append(helper.make_attribute("axis", axis))
        graph.insert_after("", [*nodes, node])
        return real

    def _bias(
        self, layer: WeightedLayer, bias: NDArray[Any], scale: NDArray[np.float32]
    ) -> tuple[str, tuple[str, str]]:
        """Integers at the accumulator's scale; a grouped transposed convolution repeats its scales.

        Returns:
            names of the dequantized bias, and of the constants of its integers and their scale.
        """
        graph, base = self._graph, layer.bias_node.input[layer.bias_index or 0]
        wide = np.tile(scale, bias.size // len(scale)) if len(scale) > 1 else np.repeat(scale, bias.size)
        integers = np.rint(bias.astype(np.float64).reshape(-1) / wide).astype(np.int32)
        stored = graph.add_constant(f"{base}.integers", integers)
        scale_name = graph.add_constant(f"{base}.scale", wide.astype(np.float32))
        real = graph.fresh(f"{base}.real")
        node = self._node("DequantizeLinear", [stored, scale_name], real, self._domain(8))
        node.attribute.append(helper.make_attribute("axis", 0))
        graph.insert_after("", [node])
        return real, (stored, scale_name)

    def _clip(self, x: str, output: str, base: str, lo: int, hi: int, kind: np.dtype[np.generic]) -> onnx.NodeProto:
        bounds = [
            self._graph.add_constant(f"{base}.{end}", np.asarray(value, kind))
            for end, value in (("lo", lo), ("hi", hi))
        ]
        return helper.make_node("Clip", [x, *bounds], [output], name=f"{output}.Clip")

    @staticmethod
    def _node(op: str, inputs: list[str], output: str, domain: str) -> onnx.NodeProto:
        return helper.make_node(op, inputs, [output], name=f"{output}.{op}", domain=domain or None)


def _largest_bias(bias: NDArray[Any], rows: int) -> NDArray[np.float64]:
    """The largest bias that each weight scale has to carry."""
    return np.abs(bias.astype(np.float64)).reshape(-1, rows).max(0) if rows > 1 else np.abs(bias).max(keepdims=True)
