"""A quantized network as a .tflite file: LiteRT's own specification of int8, written through its schema.

Activations are int8 (those of the u8s8 file less 128), weights int8 per channel and symmetric, biases int32. The ends
are float, channels-last, as LiteRT has them. Pads that its `SAME` does not mean are operators of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.peers.quantized_graph import Layer, Parameters, QuantizedNetwork

__all__ = ["channels_last", "tflite_bytes"]

_LOGISTIC = Parameters(np.array([1 / 256], np.float32), 0)  # what LiteRT's kernel writes; zero point -128 as int8
_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "ADD": 2, "PAD": 2, "MEAN": 2, "LOGISTIC": 2}


def channels_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(N, C, W) and (N, C, H, W) as LiteRT's (N, H, W, C); others as they are."""
    if len(shape) == 3:
        return (shape[0], 1, shape[2], shape[1])
    return (shape[0], shape[2], shape[3], shape[1]) if len(shape) == 4 else shape


def tflite_bytes(network: QuantizedNetwork) -> bytes:
    """The file.

    Raises:
        ValueError: a layer that has no operator here.
    """
    return _Writer(network).bytes()


class _Writer:
    def __init__(self, network: QuantizedNetwork) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._s, self._network = schema, network
        self._model = schema.ModelT()
        self._model.version, self._model.description = 3, "edgeconv, for measurements"
        self._model.buffers, self._model.operatorCodes = [schema.BufferT()], []
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._model.subgraphs = [self._graph]
        self._index: dict[str, int] = {}
        self._flat: dict[str, tuple[int, ...]] = {}

    def bytes(self) -> bytes:
        import flatbuffers

        s, network = self._s, self._network
        start = self._tensor("float input", channels_last(network.shapes[network.input]), s.TensorType.FLOAT32)
        self._graph.inputs = [start]
        self._operator("QUANTIZE", [start], self._activation(network.input), None, s.QuantizeOptionsT())
        for layer in network.layers:
            self._layer(layer)
        end = self._tensor("float output", channels_last(network.shapes[network.output]), s.TensorType.FLOAT32)
        self._operator("DEQUANTIZE", [self._index[network.output]], end, None, s.DequantizeOptionsT())
        self._graph.outputs = [end]
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        kind: int,
        parameters: Parameters | None = None,
        data: NDArray[Any] | None = None,
        axis: int = 0,
    ) -> int:
        tensor = self._s.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), kind, 0
        if data is not None:
            buffer = self._s.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self._model.buffers.append(buffer)
            tensor.buffer = len(self._model.buffers) - 1
        if parameters is not None:
            quantization = self._s.QuantizationParametersT()
            quantization.scale = [float(value) for value in parameters.scale]
            quantization.zeroPoint = [parameters.zero_point] * len(parameters.scale)
            quantization.quantizedDimension = axis
            tensor.quantization = quantization
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _activation(self, name: str) -> int:
        if name not in self._index:
            unsigned = self._network.parameters[name]
            signed = Parameters(unsigned.scale, unsigned.zero_point - 128)
            shape = channels_last(self._network.shapes[name])
            self._index[name] = self._tensor(name, shape, self._s.TensorType.INT8, signed)
        return self._index[name]

    def _constant(self, name: str, values: NDArray[Any]) -> int:
        return self._tensor(name, values.shape, self._s.TensorType.INT32, None, values.astype(np.int32))

    def _operator(self, operator: str, inputs: list[int], output: int, kind: str | None, options: Any) -> None:
        code = getattr(self._s.BuiltinOperator, operator)
        known = [entry.builtinCode for entry in self._model.operatorCodes]
        if code not in known:
            entry = self._s.OperatorCodeT()
            entry.builtinCode, entry.deprecatedBuiltinCode = code, min(code, 127)
            entry.version = _VERSIONS.get(operator, 1)
            self._model.operatorCodes.append(entry)
            known.append(code)
        one = self._s.OperatorT()
        one.opcodeIndex, one.inputs, one.outputs = known.index(code), inputs, [output]
        if options is not None:
            one.builtinOptionsType = getattr(self._s.BuiltinOptions, type(options).__name__[:-1])
            one.builtinOptions = options
        self._graph.operators.append(one)

    def _layer(self, layer: Layer) -> None:
        emit = {
            "Conv": self._conv,
            "Gemm": self._linear,
            "Add": self._add,
            "Resize": self._resize,
            "ReduceMean": self._mean,
            "Sigmoid": self._sigmoid,
            "Flatten": self._flatten,
        }.get(layer.operator)
        if emit is None:
            raise ValueError(f"no .tflite form of {layer.operator}")
        emit(layer)

    def _activation_function(self, layer: Layer) -> int:
        functions = self._s.ActivationFunctionType
        return int(functions.RELU if layer.relu else functions.NONE)

    def _bias(self, layer: Layer) -> int:
        assert layer.bias is not None
        assert layer.weight_parameters is not None
        scale = self._network.parameters[layer.inputs[0]].scale * layer.weight_parameters.scale
        parameters = Parameters(scale.astype(np.float32), 0)
        return self._tensor(f"{layer.output}/bias", layer.bias.shape, self._s.TensorType.INT32, parameters, layer.bias)

    def _conv(self, layer: Layer) -> None:
        s, w = self._s, layer.weights
        assert w is not None
        assert layer.weight_parameters is not None
        if w.ndim == 3:
            w = w[:, :, None, :]
        strides, pads = list(layer.attributes["strides"]), list(layer.attributes["pads"])
        if len(strides) == 1:
            strides, pads = [1, *strides], [0, pads[0], 0, pads[1]]
        x = self._activation(layer.inputs[0])
        # SAME pads at the end what does not divide; with stride 1 and odd kernels it is what ONNX says.
        same = strides == [1, 1]
        if not same and any(pads):
            x = self._padded(layer.inputs[0], x, pads)
        depthwise = layer.attributes.get("group", 1) > 1
        options = s.DepthwiseConv2DOptionsT() if depthwise else s.Conv2DOptionsT()
        options.padding = s.Padding.SAME if same else s.Padding.VALID
        options.strideH, options.strideW = strides[0], strides[1]
        options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = self._activation_function(layer)
        if depthwise:
            options.depthMultiplier = 1
        stored = w.transpose(1, 2, 3, 0) if depthwise else w.transpose(0, 2, 3, 1)
        axis = 3 if depthwise else 0
        weights = self._tensor(
            f"{layer.output}/weights", stored.shape, s.TensorType.INT8, layer.weight_parameters, stored, axis
        )
        name = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        self._operator(name, [x, weights, self._bias(layer)], self._activation(layer.output), None, options)

    def _padded(self, name: str, x: int, pads: list[int]) -> int:
        top, left, bottom, right = pads
        n, h, w, c = channels_last(self._network.shapes[name])
        unsigned = self._network.parameters[name]
        parameters = Parameters(unsigned.scale, unsigned.zero_point - 128)
        shape = (n, h + top + bottom, w + left + right, c)
        padded = self._tensor(f"{name}/padded", shape, self._s.TensorType.INT8, parameters)
        amounts = self._constant(f"{name}/pads", np.array([[0, 0], [top, bottom], [left, right], [0, 0]]))
        self._operator("PAD", [x, amounts], padded, None, self._s.PadOptionsT())
        return padded

    def _linear(self, layer: Layer) -> None:
        s, w = self._s, layer.weights
        assert w is not None
        assert layer.weight_parameters is not None
        w = w if layer.attributes.get("transB") else w.T
        flat = self._flat.get(layer.inputs[0])
        if flat is not None:  # flattened channels-last here, channels-first in ONNX
            w = w.reshape(len(w), *flat[1:])
            w = np.moveaxis(w, 1, -1).reshape(len(w), -1)
        options = s.FullyConnectedOptionsT()
        options.fusedActivationFunction = self._activation_function(layer)
        weights = self._tensor(f"{layer.output}/weights", w.shape, s.TensorType.INT8, layer.weight_parameters, w)
        inputs = [self._activation(layer.inputs[0]), weights, self._bias(layer)]
        self._operator("FULLY_CONNECTED", inputs, self._activation(layer.output), None, options)

    def _add(self, layer: Layer) -> None:
        options = self._s.AddOptionsT()
        options.fusedActivationFunction = self._activation_function(layer)
        inputs = [self._activation(name) for name in layer.inputs]
        self._operator("ADD", inputs, self._activation(layer.output), None, options)

    def _resize(self, layer: Layer) -> None:
        options = self._s.ResizeNearestNeighborOptionsT()
        self._same_parameters(layer)
        size = self._constant(f"{layer.output}/size", np.array(self._network.shapes[layer.output][2:]))
        inputs = [self._activation(layer.inputs[0]), size]
        self._operator("RESIZE_NEAREST_NEIGHBOR", inputs, self._activation(layer.output), None, options)

    def _same_parameters(self, layer: Layer) -> None:
        """A movement keeps the quantization of what it moves."""
        self._network.parameters[layer.output] = self._network.parameters[layer.inputs[0]]

    def _mean(self, layer: Layer) -> None:
        options = self._s.ReducerOptionsT()
        options.keepDims = False
        axes = self._constant(f"{layer.output}/axes", np.array([1, 2]))
        inputs = [self._activation(layer.inputs[0]), axes]
        self._operator("MEAN", inputs, self._activation(layer.output), None, options)

    def _sigmoid(self, layer: Layer) -> None:
        self._network.parameters[layer.output] = _LOGISTIC
        self._operator("LOGISTIC", [self._activation(layer.inputs[0])], self._activation(layer.output), None, None)

    def _flatten(self, layer: Layer) -> None:
        self._same_parameters(layer)
        self._flat[layer.output] = self._network.shapes[layer.inputs[0]]
        options = self._s.ReshapeOptionsT()
        options.newShape = list(self._network.shapes[layer.output])
        shape = self._constant(f"{layer.output}/shape", np.array(options.newShape))
        inputs = [self._activation(layer.inputs[0]), shape]
        self._operator("RESHAPE", inputs, self._activation(layer.output), None, options)
