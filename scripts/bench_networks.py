"""Four networks of the kinds that edgeconv is made for, with random weights, for measurements and tests.

    python scripts/bench_networks.py FOLDER      # NAME.onnx, NAME.u8s8.onnx, NAME.s8s8.onnx for every network

Outputs mean nothing: shapes, operators and costs are what counts. `pulse` reads 128 points of a detector pulse; `ecg`
is a residual network over 12 leads of 4,000 points; `depth` an encoder and decoder of depthwise-separable convolutions
with upsampling over an image of 128×416; `wave` a chain of 1×5 and 5×1 convolutions.

Quantization is onnxruntime's static one, as its makers recommend it: QDQ, weights per channel, 32 calibration samples.
"""

from __future__ import annotations

import argparse
import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

__all__ = ["LAYERS", "NETWORKS", "STYLES", "float_network", "input_shape", "quantized", "samples", "write"]

Array = NDArray[np.float32]
STYLES = ("u8s8", "s8s8")
_INPUT_SHAPES = {"pulse": (1, 1, 128), "ecg": (1, 12, 4000), "depth": (1, 3, 128, 416), "wave": (1, 2, 96, 96)}
_CALIBRATION_SEED, _SAMPLES_SEED = 1, 2


class Graph:
    """A float network that grows at its end; every method adds a layer and returns the name of its output.

    Weights are He's, biases small, so that activations stay of order one.
    """

    def __init__(self, name: str, shape: tuple[int, ...], seed: int) -> None:
        self.name, self._rng = name, np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._input = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
        self.channels = {"x": shape[1]}

    def _add(self, operator: str, inputs: list[str], channels: int, **attributes: object) -> str:
        output = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        self.channels[output] = channels
        return output

    def _constant(self, values: NDArray[np.generic]) -> str:
        name = f"constant_{len(self._initializers)}"
        self._initializers.append(numpy_helper.from_array(values, name))
        return name

    def _weights(self, shape: tuple[int, ...], fan_in: int, gain: float) -> list[str]:
        weights = self._rng.standard_normal(shape) * gain * np.sqrt(2 / fan_in)
        bias = self._rng.uniform(-0.05, 0.05, shape[0])
        return [self._constant(weights.astype(np.float32)), self._constant(bias.astype(np.float32))]

    def conv(
        self, x: str, channels: int, kernel: tuple[int, ...], stride: int = 1, groups: int = 1, gain: float = 1.0
    ) -> str:
        """A convolution that keeps the extent at stride 1 (odd kernels)."""
        inputs = self.channels[x] // groups
        fan_in = inputs * int(np.prod(kernel))
        parameters = self._weights((channels, inputs, *kernel), fan_in, gain)
        pads = [extent // 2 for extent in kernel] * 2
        strides = [stride] * len(kernel)
        return self._add("Conv", [x, *parameters], channels, pads=pads, strides=strides, group=groups)

    def linear(self, x: str, inputs: int, outputs: int) -> str:
        """A fully connected layer."""
        return self._add("Gemm", [x, *self._weights((outputs, inputs), inputs, 1.0)], outputs, transB=1)

    def relu(self, x: str) -> str:
        """max(x, 0)."""
        return self._add("Relu", [x], self.channels[x])

    def sigmoid(self, x: str) -> str:
        """1 / (1 + exp(-x))."""
        return self._add("Sigmoid", [x], self.channels[x])

    def add(self, x: str, y: str) -> str:
        """x + y."""
        return self._add("Add", [x, y], self.channels[x])

    def flatten(self, x: str) -> str:
        """One row of features."""
        return self._add("Flatten", [x], 0, axis=1)

    def mean_over_time(self, x: str) -> str:
        """The mean over the last axis, which goes."""
        return self._add("ReduceMean", [x], self.channels[x], axes=[2], keepdims=0)

    def twice(self, x: str) -> str:
        """Nearest-neighbour upsampling by two."""
        scales = self._constant(np.array([1, 1, 2, 2], np.float32))
        modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self._add("Resize", [x, "", scales], self.channels[x], **modes)

    def model(self, output: str, shape: tuple[int, ...]) -> onnx.ModelProto:
        """The finished network."""
        self._nodes[-1].output[0] = "y"
        result = helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)
        graph = helper.make_graph(self._nodes, self.name, [self._input], [result], self._initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
        onnx.checker.check_model(model)
        return model


def _pulse(g: Graph) -> onnx.ModelProto:
    x = "x"
    for channels in (16, 32, 32, 64):
        x = g.relu(g.conv(x, channels, (5,), stride=2))
    hidden = g.relu(g.linear(g.flatten(x), 512, 64))
    return g.model(g.linear(hidden, 64, 2), (1, 2))


def _residual(g: Graph, x: str, channels: int) -> str:
    before = g.channels[x]
    stride, kernel = (2 if before != channels else 1), (7 if channels < 96 else 5)
    inner = g.relu(g.conv(x, channels, (kernel,), stride))
    # A small second convolution keeps the sums of the chain of order one.
    inner = g.conv(inner, channels, (kernel,), gain=0.3)
    short = g.conv(x, channels, (1,), stride) if before != channels else x
    return g.relu(g.add(inner, short))


def _ecg(g: Graph) -> onnx.ModelProto:
    x = g.relu(g.conv("x", 32, (9,), stride=2))
    for channels in (32, 64, 64, 96, 128, 128):
        x = _residual(g, x, channels)
    return g.model(g.linear(g.mean_over_time(x), 128, 26), (1, 26))


def _separable(g: Graph, x: str, channels: int, stride: int = 1, kernel: int = 3) -> str:
    depthwise = g.relu(g.conv(x, g.channels[x], (kernel, kernel), stride, groups=g.channels[x]))
    return g.relu(g.conv(depthwise, channels, (1, 1)))


def _depth(g: Graph) -> onnx.ModelProto:
    half = g.relu(g.conv("x", 24, (3, 3), stride=2))
    quarter = _separable(g, _separable(g, half, 24), 48, stride=2)
    eighth = _separable(g, _separable(g, quarter, 48, kernel=5), 96, stride=2)
    x = eighth
    for channels, stride in ((96, 1), (96, 1), (96, 1), (160, 2), (96, 1)):
        x = _separable(g, x, channels, stride)
    for channels, skip in ((96, eighth), (48, quarter), (24, half)):
        x = g.add(_separable(g, g.twice(x), channels), skip)
    x = _separable(g, g.twice(x), 24)
    return g.model(g.sigmoid(g.conv(x, 1, (3, 3))), (1, 1, 128, 416))


def _wave(g: Graph) -> onnx.ModelProto:
    x = "x"
    for channels in (24, 48, 48, 24):
        x = g.relu(g.conv(g.conv(x, channels, (1, 5)), channels, (5, 1)))
    return g.model(g.conv(x, 1, (1, 1)), (1, 1, 96, 96))


@dataclass(frozen=True)
class Layer:
    """One layer with its Relu, as a network; `channels` of 0 is a fully connected layer."""

    shape: tuple[int, ...]
    channels: int
    kernel: tuple[int, ...] = ()
    groups: int = 1

    def __call__(self, g: Graph) -> onnx.ModelProto:
        if not self.kernel:
            return g.model(g.relu(g.linear("x", self.shape[1], self.channels)), (1, self.channels))
        output = g.relu(g.conv("x", self.channels, self.kernel, groups=self.groups))
        return g.model(output, (1, self.channels, *self.shape[2:]))


LAYERS = {
    "conv1d_32_k7": Layer((1, 32, 2048), 32, (7,)),
    "conv1d_128_k7": Layer((1, 128, 512), 128, (7,)),
    "conv2d_32_3x3": Layer((1, 32, 64, 208), 32, (3, 3)),
    "pointwise_64_128": Layer((1, 64, 32, 104), 128, (1, 1)),
    "depthwise_64_3x3": Layer((1, 64, 64, 208), 64, (3, 3), groups=64),
    "linear_512_64": Layer((1, 512), 64),
}
NETWORKS = {"pulse": _pulse, "ecg": _ecg, "depth": _depth, "wave": _wave}


def input_shape(name: str) -> tuple[int, ...]:
    """Shape of the input `x` of a network or layer."""
    return LAYERS[name].shape if name in LAYERS else _INPUT_SHAPES[name]


def float_network(name: str) -> onnx.ModelProto:
    """The float network or layer of that name; always the same one."""
    return {**NETWORKS, **LAYERS}[name](Graph(name, input_shape(name), zlib.crc32(name.encode())))


def samples(name: str, count: int, seed: int = _SAMPLES_SEED) -> list[Array]:
    """Inputs of a network, as smooth as its real ones would be."""
    rng = np.random.default_rng(seed)
    return [np.ascontiguousarray(_sample(name, rng), np.float32).reshape(input_shape(name)) for _ in range(count)]


def _sample(name: str, rng: np.random.Generator) -> NDArray[np.float64]:
    if name in LAYERS:
        return np.abs(rng.standard_normal(input_shape(name)))  # as behind a Relu
    _, channels, *spatial = input_shape(name)
    if name == "pulse":
        time = np.arange(128) - rng.uniform(10, 40)
        shape = np.exp(-time / rng.uniform(10, 40)) - np.exp(-time / 3)
        return rng.uniform(0.2, 1) * np.where(time > 0, shape, 0) + 0.01 * rng.standard_normal(128)
    if name == "ecg":
        noise = rng.standard_normal((channels, *spatial))
        return np.stack([np.convolve(lead, np.ones(9) / 3, "same") for lead in noise])
    block = 8 if name == "depth" else 6
    coarse = rng.uniform(0, 1, (channels, spatial[0] // block, spatial[1] // block)).repeat(block, 1).repeat(block, 2)
    fine = rng.uniform(0, 1, (channels, *spatial))
    return 0.8 * coarse + 0.2 * fine if name == "depth" else 3 * (coarse - 0.5) + 0.2 * (fine - 0.5)


def quantized(model: Path, style: str, data: Iterator[Array], output: Path) -> Path:
    """A float ONNX file quantized by onnxruntime: activations unsigned (u8s8) or signed and symmetric (s8s8)."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, Array] | None:
            x = next(data, None)
            return None if x is None else {"x": x}

    prepared = output.with_suffix(".prepared.onnx")
    quant_pre_process(str(model), str(prepared))
    quantize_static(
        str(prepared),
        str(output),
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8 if style == "u8s8" else QuantType.QInt8,
        weight_type=QuantType.QInt8,
        extra_options={"ActivationSymmetric": style == "s8s8", "WeightSymmetric": True},
    )
    prepared.unlink()
    return output


def write(name: str, folder: Path, styles: tuple[str, ...] = STYLES, calibration: int = 32) -> dict[str, Path]:
    """Write a network to a folder, in float and quantized; paths by "float" and style."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {"float": folder / f"{name}.onnx"}
    onnx.save(float_network(name), paths["float"])
    for style in styles:
        data = iter(samples(name, calibration, _CALIBRATION_SEED))
        paths[style] = quantized(paths["float"], style, data, folder / f"{name}.{style}.onnx")
    return paths


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--network", choices=[*NETWORKS, *LAYERS], action="append", help="all four when left out")
    arguments = parser.parse_args()
    for path in itertools.chain.from_iterable(
        write(name, arguments.folder).values() for name in arguments.network or NETWORKS
    ):
        print(path)


if __name__ == "__main__":
    main()
