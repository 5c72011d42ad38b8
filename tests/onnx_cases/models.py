"""Random QDQ models with power-of-two scales: float32 sums below 2²⁴ are exact, so every runtime must agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.generate import Choices

SAMPLES = 8


class RandomModel:
    """A QDQ model under construction; `value` is the newest real tensor (dequantized), `shape` its shape."""

    def __init__(self, choose: Choices) -> None:
        self.choose = choose
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        spatial = (choose.integer(4, 12),) if choose.chance(60) else (choose.integer(4, 7), choose.integer(4, 7))
        self.input_shape = self.shape = (1, choose.pick((1, 2, 3, 5, 8)), *spatial)
        self.value = self.quantize("x", -4)
        for _ in range(choose.integer(1, 4)):
            self.layer()

    def constant(self, array: np.ndarray | np.generic) -> str:
        """An initializer."""
        name = f"k{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, op: str, *inputs: str, **attributes: object) -> str:
        """A node with one output."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=f"n{len(self.nodes)}", **attributes))
        return name

    def quantize(self, x: str, exponent: int) -> str:
        """QuantizeLinear and DequantizeLinear at a power-of-two scale with a random zero point."""
        kind = self.choose.pick((np.int8, np.uint8))
        limits = np.iinfo(kind)
        point = self.choose.integer(limits.min, limits.max) if self.choose.chance(50) else 0
        scale, zero = self.constant(np.float32(2.0**exponent)), self.constant(kind(point))
        return self.node("DequantizeLinear", self.node("QuantizeLinear", x, scale, zero), scale, zero)

    def weights(self, shape: tuple[int, ...], axis: int = 0) -> str:
        """Dequantized weights, per tensor or per channel."""
        rng = self.choose.numbers()
        w = self.constant(rng.integers(-127, 128, shape).astype(np.int8))
        if self.choose.chance(50):
            return self.node("DequantizeLinear", w, self.constant(np.float32(2.0**-6)))
        scales = (2.0 ** rng.integers(-8, -4, shape[axis])).astype(np.float32)
        return self.node("DequantizeLinear", w, self.constant(scales), axis=axis)

    def layer(self) -> None:
        """Append a layer and quantize what it gives."""
        kinds = [
            self.conv,
            self.conv,
            self.conv_transpose,
            self.add,
            self.concat,
            self.max_pool,
            self.clip,
            self.mul,
            self.move,
            self.resample,
        ]
        exponent = self.choose.pick(kinds if len(self.shape) > 2 else [self.gemm])()
        if self.choose.chance(30):
            self.value = self.node("Relu", self.value)
        self.value = self.quantize(self.value, exponent)
        if len(self.shape) > 2 and self.choose.chance(15):
            self.value = self.node("Flatten", self.value)
            self.shape = (1, int(np.prod(self.shape[1:])))

    def conv(self) -> int:
        """Convolution: plain or depthwise, with stride, padding and dilation."""
        choose, channels, rank = self.choose, self.shape[1], len(self.shape) - 2
        groups = channels if choose.chance(25) else 1
        out = channels if groups > 1 else choose.pick((1, 3, 8, 17))
        kernel = tuple(min(choose.pick((1, 2, 3)), extent) for extent in self.shape[2:])
        stride = tuple(choose.pick((1, 1, 2)) for _ in range(rank))
        pads = [choose.integer(0, k - 1) for k in (*kernel, *kernel)]
        weights = self.weights((out, channels // groups, *kernel))
        extra = []
        if choose.chance(60):
            extra = [self.constant((choose.numbers().integers(-4000, 4000, out) / 1024).astype(np.float32))]
        self.value = self.node("Conv", self.value, weights, *extra, group=groups, strides=stride, pads=pads)
        spatial = [(n + pads[i] + pads[rank + i] - kernel[i]) // stride[i] + 1 for i, n in enumerate(self.shape[2:])]
        self.shape = (1, out, *spatial)
        return choose.integer(-4, -1)

    def conv_transpose(self) -> int:
        """Transposed convolution: plain or in as many groups as channels, with stride, padding and output padding."""
        choose, channels, rank = self.choose, self.shape[1], len(self.shape) - 2
        groups, per_group = (channels, choose.pick((1, 2))) if choose.chance(25) else (1, choose.pick((1, 3, 8, 17)))
        kernel = tuple(choose.pick((2, 3, 4)) for _ in range(rank))
        stride = tuple(choose.pick((1, 2, 3)) for _ in range(rank))
        pads = [choose.integer(0, k // 2) for k in (*kernel, *kernel)]
        longer = [choose.integer(0, s - 1) for s in stride]
        weights = self.weights((channels, per_group, *kernel), axis=1)
        self.value = self.node(
            "ConvTranspose", self.value, weights, group=groups, strides=stride, pads=pads, output_padding=longer
        )
        spatial = [
            (n - 1) * stride[i] + kernel[i] + longer[i] - pads[i] - pads[rank + i] for i, n in enumerate(self.shape[2:])
        ]
        self.shape = (1, per_group * groups, *spatial)
        return choose.integer(-4, -1)

    def gemm(self) -> int:
        """Fully connected, weights as torch stores them."""
        out = self.choose.pick((1, 5, 16))
        self.value = self.node("Gemm", self.value, self.weights((out, self.shape[1])), transB=1)
        self.shape = (1, out)
        return self.choose.integer(-3, 0)

    def add(self) -> int:
        """The sum of two quantizations of one tensor, which have different scales."""
        self.value = self.node("Add", self.value, self.quantize(self.value, self.choose.integer(-5, -2)))
        return self.choose.integer(-4, -2)

    def mul(self) -> int:
        """The product of two quantizations of one tensor."""
        self.value = self.node("Mul", self.value, self.quantize(self.value, self.choose.integer(-5, -2)))
        return self.choose.integer(-3, 1)

    def concat(self) -> int:
        """Two quantizations of one tensor side by side."""
        self.value = self.node("Concat", self.value, self.quantize(self.value, -3), axis=1)
        self.shape = (1, 2 * self.shape[1], *self.shape[2:])
        return self.choose.integer(-4, -2)

    def max_pool(self) -> int:
        """Maximum over windows of two."""
        rank = len(self.shape) - 2
        if min(self.shape[2:]) >= 2:
            self.value = self.node("MaxPool", self.value, kernel_shape=[2] * rank, strides=[2] * rank)
            self.shape = (*self.shape[:2], *(n // 2 for n in self.shape[2:]))
        return -4

    def move(self) -> int:
        """Every other element backwards along the last axis, behind a border of what is inside."""
        rank = len(self.shape)
        # A reflection of two elements needs two beside the border: onnxruntime refuses fewer.
        mode = self.choose.pick(("reflect", "edge")) if self.shape[-1] > 2 else "edge"
        padded = self.node("Pad", self.value, self.constant(np.array([0] * (rank - 1) + [2] + [0] * rank)), mode=mode)
        places = (self.constant(np.array([place])) for place in (-1, -99, rank - 1, -2))
        self.value = self.node("Slice", padded, *places)
        self.shape = (*self.shape[:-1], (self.shape[-1] + 3) // 2)
        return self.choose.integer(-5, -3)

    def resample(self) -> int:
        """Twice as many positions along the last axis, linearly between the old ones."""
        factors = np.ones(len(self.shape), np.float32)
        factors[-1] = 2
        self.value = self.node("Resize", self.value, "", self.constant(factors), mode="linear")
        self.shape = (*self.shape[:-1], 2 * self.shape[-1])
        return self.choose.integer(-5, -3)

    def clip(self) -> int:
        """A Clip whose bounds lie off the grid."""
        bounds = self.constant(np.float32(-1.37)), self.constant(np.float32(4.21))
        self.value = self.node("Clip", self.value, *bounds)
        return self.choose.integer(-5, -3)

    def save(self, path: Path) -> None:
        """Write the model; its output is the newest tensor, dequantized."""
        graph = helper.make_graph(
            self.nodes,
            "random",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(self.input_shape))],
            [helper.make_tensor_value_info(self.value, TensorProto.FLOAT, None)],
            self.initializers,
        )
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)

    def samples(self) -> np.ndarray:
        """Inputs of shape (SAMPLES, *input_shape), ties of the first quantizer among them."""
        return (self.choose.numbers().integers(-300, 300, (SAMPLES, *self.input_shape)) / 32).astype(np.float32)
