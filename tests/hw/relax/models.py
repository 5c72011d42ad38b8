"""QDQ models for the Relax back end, and a way to build and run what was partitioned."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from tvm import relax, runtime
from tvm.relax.frontend.onnx import from_onnx

from edgeconv import reference
from edgeconv.codegen.tir import tvm
from edgeconv.importer import read_onnx
from edgeconv.integer import lower
from tests.importer.models import model, save

Array = NDArray[Any]
PULSE = Path(__file__).parents[3] / "models" / "pulse" / "pulse.onnx"


def import_to_relax(proto: onnx.ModelProto) -> Any:
    """What TVM's frontend makes of a model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it wants shapes of outputs to be declared
        return from_onnx(proto)


def built(module: Any, options: Mapping[str, Any] | None = None) -> Any:
    """A partitioned module as an executable of LLVM code."""
    generated = relax.transform.RunCodegen({"edgeconv_fpga": dict(options)} if options else None)(module)
    return tvm.compile(generated, target="llvm")


def run(executable: Any, x: Array) -> Array:
    """The one result of `main`."""
    machine = relax.VirtualMachine(executable, tvm.cpu())
    return np.asarray(machine["main"](runtime.tensor(x)).numpy())


def expected(proto: onnx.ModelProto, x: Array, folder: Path) -> Array:
    """The result of the reference, by the importer of ONNX files: Relax has no part in it."""
    program = lower(read_onnx(save(proto, folder)))
    ((name, type_),) = program.inputs.items()
    (found,) = reference.run(program, {name: x.reshape(-1, *type_.shape)}).values()
    return found


class Network:
    """Writes random layers with scales that are no powers of two; zero points anywhere.

    Args:
        batch: leading extent of the input; a name for a symbol.
    """

    def __init__(self, seed: int, two_dimensional: bool = False, batch: int | str = "batch") -> None:
        self.rng = np.random.default_rng(seed)
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {}
        extents = self.rng.integers(6, 9, 2) if two_dimensional else self.rng.integers(12, 24, 1)
        self.shape = (int(self.rng.integers(1, 6)), *map(int, extents))
        self.inputs = {"x": (batch, *self.shape)}
        self.scale = 0.0
        self.value = self.quantized("x", 0.05)

    def line(self, text: str, name: str | None = None) -> str:
        """One node."""
        name = name or f"v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        return name

    def constant(self, value: Any) -> str:
        """One constant."""
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def quantized(self, x: str, about: float) -> str:
        """A quantizer of about such a scale, its integers cut off now and then."""
        self.scale = float(np.float32(about * self.rng.uniform(0.7, 1.4)))
        kind = self.rng.choice([np.int8, np.uint8])
        scale, zero = self.constant(np.float32(self.scale)), self.constant(np.asarray(self.rng.integers(0, 60), kind))
        q = self.line(f"QuantizeLinear({x}, {scale}, {zero})")
        if x != "x" and self.rng.random() < 0.3:
            low, high = (self.constant(np.asarray(bound, kind)) for bound in (0, 63))
            q = self.line(f"Clip({q}, {low}, {high})")
        return self.line(f"DequantizeLinear({q}, {scale}, {zero})")

    def weights(self, shape: tuple[int, ...], reach: int | None = None) -> tuple[str, str, float]:
        """Weights, their bias at the scale that exporters write, and about how much a layer of them enlarges."""
        reach = reach or (8 if self.rng.random() < 0.3 else 128)
        integers = self.rng.integers(-reach, reach, shape).astype(np.int8)
        scales = self.rng.uniform(0.01, 0.03, shape[0]).astype(np.float32)
        zero = self.constant(np.zeros(shape[0], np.int8))
        w = self.line(f"DequantizeLinear<axis=0>({self.constant(integers)}, {self.constant(scales)}, {zero})")
        bias = self.rng.integers(-3000, 3000, shape[0]).astype(np.int32)
        product = (np.float32(self.scale) * scales).astype(np.float32)
        zeros = self.constant(np.zeros(shape[0], np.int32))
        b = self.line(f"DequantizeLinear<axis=0>({self.constant(bias)}, {self.constant(product)}, {zeros})")
        return w, b, float(np.sqrt(np.prod(shape) / shape[0]) * reach / 2 * 0.02)

    def conv(self) -> None:
        """A convolution of 3 taps along each axis, cut off, bent or not."""
        outputs = int(self.rng.integers(2, 20))
        rank = len(self.shape) - 1
        w, b, gain = self.weights((outputs, self.shape[0], *(3,) * rank))
        pads = [int(pad) for pad in self.rng.integers(min(self.shape[1:]) < 4, 2, 2 * rank)]
        y = self.line(f"Conv<pads={pads}, strides={[1] * rank}>({self.value}, {w}, {b})")
        self.shape = (outputs, *(e - 2 + pads[i] + pads[i + rank] for i, e in enumerate(self.shape[1:])))
        if self.rng.random() < 0.3:
            y = self.line(f"Clip({y}, {self.constant(np.float32(-1.3))}, {self.constant(np.float32(6))})")
        elif self.rng.random() < 0.8:
            y = self.line(f"{self.rng.choice(['Relu', 'Relu', 'LeakyRelu', 'Sigmoid'])}({y})")
        self.value = self.quantized(y, self.scale * gain)

    def residual(self) -> None:
        """A 1-tap convolution, and its input added."""
        channels, rank = self.shape[0], len(self.shape) - 1
        w, b, gain = self.weights((channels, channels, *(1,) * rank))
        branch = self.quantized(self.line(f"Conv({self.value}, {w}, {b})"), self.scale * gain)
        self.value = self.quantized(self.line(f"Relu({self.line(f'Add({branch}, {self.value})')})"), self.scale * 1.5)

    def table(self) -> None:
        """A function of one value."""
        function = self.rng.choice(["Sigmoid", "Tanh", "Gelu"])
        self.value = self.quantized(self.line(f"{function}({self.value})"), 0.02)

    def concat(self) -> None:
        """Two quantizations of one tensor, joined."""
        other = self.quantized(self.value, self.scale * 0.8)
        joined = self.line(f"Concat<axis=1>({self.value}, {other})")
        self.value, self.shape = self.quantized(joined, self.scale), (2 * self.shape[0], *self.shape[1:])

    def pool(self) -> None:
        """The larger of two, or their mean."""
        if min(self.shape[1:]) < 2:
            return
        rank = len(self.shape) - 1
        window = f"<kernel_shape={[2] * rank}, strides={[2] * rank}>"
        if self.rng.random() < 0.5:
            self.value = self.line(f"MaxPool{window}({self.value})")
        else:
            self.value = self.quantized(self.line(f"AveragePool{window}({self.value})"), self.scale)
        self.shape = (self.shape[0], *(extent // 2 for extent in self.shape[1:]))

    def dense(self) -> None:
        """A fully connected layer; its sums leave as they are, or quantized."""
        size, outputs = int(np.prod(self.shape)), int(self.rng.integers(2, 12))
        w, b, gain = self.weights((outputs, size))
        flat = self.line(f"Flatten({self.value})")
        last = self.rng.random() < 0.5
        y = self.line(f"Gemm<transB=1>({flat}, {w}, {b})", "y" if last else None)
        if not last:
            self.line(f"Identity({self.quantized(y, self.scale * gain)})", "y")

    def model(self) -> onnx.ModelProto:
        """The model of everything that was written."""
        return model("\n".join(self.lines), self.inputs, self.constants, opset=21)

    def values(self, samples: int) -> Array:
        """Inputs that saturate now and then."""
        return np.random.default_rng(len(self.lines)).normal(0, 4, (samples, *self.inputs["x"][1:])).astype(np.float32)


def random_network(seed: int, two_dimensional: bool, batch: int | str = "batch") -> Network:
    """Some layers, then a fully connected one."""
    network = Network(seed, two_dimensional, batch)
    network.conv()
    for name in network.rng.permutation(["conv", "residual", "pool", "table", "concat"])[: network.rng.integers(2, 5)]:
        getattr(network, str(name))()
    network.dense()
    return network
