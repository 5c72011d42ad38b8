"""Random quantized networks import with the meaning they have in onnxruntime, exactly.

All scales are powers of two and sums stay below 2²⁴, so float32 rounds nothing outside the quantizers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeconv.importer import read_onnx
from tests.importer.interpreter import evaluate
from tests.importer.models import model, run_onnxruntime, save


class Network:
    """Writes random layers; every value is (1, channels, length)."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {}
        self.channels, self.length = int(self.rng.integers(1, 6)), int(self.rng.integers(9, 20))
        self.inputs = {"x": ("batch", self.channels, self.length)}
        self.value = self.quantized("x")
        for _ in range(int(self.rng.integers(2, 6))):
            layer = self.rng.choice(["conv", "pool", "average", "branch", "move", "clip"])
            self.value = getattr(self, f"add_{layer}")(self.value)

    def line(self, text: str) -> str:
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        return name

    def constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def scale(self, *shape: int) -> Any:
        return np.exp2(self.rng.integers(-3, 2, shape)).astype(np.float32)

    def quantized(self, x: str) -> str:
        kind = self.rng.choice([np.int8, np.uint8])
        scale = self.constant(self.scale())
        zero = self.constant(np.asarray(self.rng.integers(0, 9), kind))
        q = self.line(f"QuantizeLinear({x}, {scale}, {zero})")
        if self.rng.random() < 0.3:
            low, high = self.constant(np.asarray(0, kind)), self.constant(np.asarray(15, kind))
            q = self.line(f"Clip({q}, {low}, {high})")
        return self.line(f"DequantizeLinear({q}, {scale}, {zero})")

    def add_conv(self, x: str) -> str:
        groups = self.channels if self.rng.random() < 0.3 else 1
        outputs = self.channels if groups > 1 else int(self.rng.integers(1, 6))
        kernel = int(self.rng.integers(1, min(4, self.length) + 1))
        w = self.rng.integers(-7, 8, (outputs, self.channels // groups, kernel)).astype(np.int8)
        per_channel = self.rng.random() < 0.5
        scale = self.constant(self.scale(outputs) if per_channel else self.scale())
        weights = self.line(f"DequantizeLinear<axis=0>({self.constant(w)}, {scale})")
        stride = int(self.rng.integers(1, 3))
        pads = "SAME_UPPER" if self.rng.random() < 0.5 else "SAME_LOWER"
        y = self.line(f'Conv<auto_pad="{pads}", strides=[{stride}], group={groups}>({x}, {weights})')
        self.channels, self.length = outputs, -(-self.length // stride)
        return self.quantized(self.line(f"Relu({y})") if self.rng.random() < 0.5 else y)

    def add_pool(self, x: str) -> str:
        if self.length < 4:
            return x
        self.length = -(-(self.length - 3) // 2) + 1
        return self.line(f"MaxPool<kernel_shape=[3], strides=[2], ceil_mode=1>({x})")

    def add_average(self, x: str) -> str:
        if self.length < 2:
            return x
        self.length //= 2
        return self.quantized(self.line(f"AveragePool<kernel_shape=[2], strides=[2]>({x})"))

    def add_branch(self, x: str) -> str:
        other = self.quantized(self.line(f"Neg({x})"))
        return self.quantized(self.line(f"{self.rng.choice(['Add', 'Sub', 'Mul'])}({x}, {other})"))

    def add_move(self, x: str) -> str:
        shape = self.constant(np.array([0, -1, self.channels], np.int64))
        turned = self.line(f"Transpose<perm=[0, 2, 1]>({x})")
        flat = self.line(f"Reshape({turned}, {shape})")
        back = self.line(f"Transpose<perm=[0, 2, 1]>({flat})")
        self.channels *= 2
        return self.line(f"Concat<axis=1>({back}, {x})")

    def add_clip(self, x: str) -> str:
        low, high = self.constant(np.float32(-2.25)), self.constant(np.float32(3.0))
        return self.quantized(self.line(f"Clip({x}, {low}, {high})"))


@pytest.mark.parametrize("seed", range(25))
def test_random_networks_keep_their_meaning(tmp_path: Path, seed: int) -> None:
    network = Network(seed)
    proto = model("\n".join(network.lines), network.inputs, network.constants, outputs=(network.value,), opset=17)
    graph = read_onnx(save(proto, tmp_path))
    rng = np.random.default_rng(1000 + seed)
    for _ in range(4):
        # Multiples of 1/16 put many values on the ties of the input quantizer.
        x = (rng.integers(-400, 400, graph.inputs[0].shape) / 16).astype(np.float32)
        (found,), (expected,) = evaluate(graph, {"x": x}), run_onnxruntime(proto, {"x": x})
        np.testing.assert_array_equal(found, expected, err_msg=f"seed {seed}")
