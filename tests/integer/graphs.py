"""Writes quantized graphs by hand for tests, shapes worked out on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeconv.importer.graph import GraphInput, Node, QuantizedGraph, Quantizer, Scale
from edgeconv.ir import DType, Rounding, dtype
from edgeconv.ir import operators as ops
from edgeconv.ir.geometry import TransposedWindow, Window
from edgeconv.ir.operators.scaling import broadcast
from edgeconv.ir.types import TensorType


@dataclass
class GraphWriter:
    """Each method appends one node and returns the name of its value."""

    inputs: list[GraphInput] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    constant_dtypes: dict[str, DType] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def input(self, shape: tuple[int, ...], type_: str = "f32") -> str:
        name = f"x{len(self.inputs)}"
        self.inputs.append(GraphInput(name, shape, dtype(type_), True))
        self.shapes[name] = shape
        return name

    def constant(self, array: NDArray[np.generic], type_: str | None = None) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name], self.shapes[name] = array, array.shape
        if type_:
            self.constant_dtypes[name] = dtype(type_)
        return name

    def node(self, op: str, *inputs: str, **attributes: object) -> str:
        name = f"{op.lower()}{len(self.nodes)}"
        shapes = [self.shapes[value] for value in inputs if value]
        self.shapes[name] = _shape(op, shapes, attributes)
        self.nodes.append(Node(op, f"/{name}", inputs, name, attributes))
        return name

    def quantize(
        self, x: str, scale: float | tuple[float, ...], zero_point: int = 0, type_: str = "i8",
        lo: int | None = None, hi: int | None = None, rounding: Rounding = Rounding.HALF_EVEN, inside: bool = False,
        axis: int = 1,
    ) -> str:  # fmt: skip
        own = dtype(type_)
        scales = scale if isinstance(scale, tuple) else (scale,)
        lo, hi = own.lo if lo is None else lo, own.hi if hi is None else hi
        quantizer = Quantizer(tuple(map(_f32, scales)), zero_point, own, lo, hi, rounding, inside, axis)
        return self.node("Quantize", x, quantizer=quantizer)

    def dequantize(
        self, q: str, scale: float | tuple[float, ...], zero_point: int | tuple[int, ...] = 0, axis: int = 1
    ) -> str:
        scales = scale if isinstance(scale, tuple) else (scale,)
        points = zero_point if isinstance(zero_point, tuple) else (zero_point,)
        return self.node("Dequantize", q, scale=Scale(tuple(map(_f32, scales)), points, axis))

    def fake_quantize(self, x: str, scale: float, zero_point: int = 0, type_: str = "i8", **more: object) -> str:
        """Quantize, then Dequantize."""
        q = self.quantize(x, scale, zero_point, type_, **more)  # type: ignore[arg-type]
        return self.dequantize(q, scale, zero_point)

    def conv(
        self, x: str, w: str, bias: str = "", *, stride: int = 1, dilation: int = 1,
        pads: tuple[int, ...] | None = None, groups: int = 1,
    ) -> str:  # fmt: skip
        rank = len(self.shapes[x]) - 2
        inputs = (x, w, bias) if bias else (x, w)
        lists = {"strides": (stride,) * rank, "dilations": (dilation,) * rank, "pads": pads or (0,) * (2 * rank)}
        return self.node("Conv", *inputs, groups=groups, **lists)

    def graph(self, *outputs: str) -> QuantizedGraph:
        names = tuple(f"y{i}" for i in range(len(outputs)))
        return QuantizedGraph(
            tuple(self.inputs),
            outputs,
            names,
            tuple(self.nodes),
            self.constants,
            self.constant_dtypes,
            self.shapes,
            "qcdq",
        )


def _f32(value: float) -> float:
    return float(np.float32(value))


def _shape(op: str, shapes: list[tuple[int, ...]], attributes: dict[str, object]) -> tuple[int, ...]:
    given: dict[str, tuple[int, ...]] = attributes  # type: ignore[assignment]
    if op == "Conv":
        x, w = shapes[:2]
        window = Window(w[2:], given["strides"], given["dilations"], given["pads"])
        return (x[0], w[0], *window.output_shape(x[2:]))
    if op == "ConvTranspose":
        x, w = shapes[:2]
        fields = (given[name] for name in ("strides", "dilations", "pads", "output_padding"))
        outputs = w[1] * int(attributes["groups"])  # type: ignore[call-overload]
        return (x[0], outputs, *TransposedWindow(w[2:], *fields).output_shape(x[2:]))
    if op == "MatMul":
        return (*broadcast([shapes[0][:-2], shapes[1][:-2]]), shapes[0][-2], shapes[1][-1])
    if op in ("Add", "Sub", "Mul", "Div", "Pow"):
        return broadcast(shapes)
    if op in ("MaxPool", "AveragePool"):
        window = Window(given["kernel"], given["strides"], given["dilations"], given["pads"])
        return (*shapes[0][:2], *window.output_shape(shapes[0][2:]))
    if op == "Concat":
        axis = int(attributes["axis"])  # type: ignore[call-overload]
        return tuple(sum(s[i] for s in shapes) if i == axis else extent for i, extent in enumerate(shapes[0]))
    if op == "Pad":
        pad = ops.Pad("", "", given["pads"], 0, str(given["mode"]))
        return pad.infer({"": TensorType(shapes[0], dtype("i8"))}).shape
    if op == "Reshape":
        return given["shape"]
    if op == "Transpose":
        return tuple(shapes[0][axis] for axis in given["permutation"])
    if op == "Slice":
        return given["sizes"]
    if op == "ArgMax" or op.startswith("Reduce"):
        axes = given.get("axes") or (attributes["axis"],)
        return tuple(1 if axis in axes else extent for axis, extent in enumerate(shapes[0]))
    if op in ("Resize", "ResizeLinear"):
        return (*shapes[0][:2], *map(len, given["indices"]))  # type: ignore[arg-type]
    return shapes[0]
