"""A depthwise-separable network of the size of the depth family (128×416), as a program with hand-made forms."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from edgeconv.ir import Grid, Linear, TensorType, dtype
from edgeconv.ir import operators as ops
from edgeconv.ir.forms import AddFmaF32, FmaF32, ProvedForms

from .programs import Draft

_GRID = Grid.full(dtype("u8"))
_ACTIVATIONS = (((0, 255),), ((0, 255),))


class DepthNetwork:
    """Encoder with three resolutions, decoder that doubles four times and adds what the encoder had."""

    def __init__(self) -> None:
        self.draft = Draft(np.random.default_rng(0))
        self.draft.inputs["x"] = TensorType((1, 3, 128, 416), dtype("u8"))
        self.channels, self.extents = {"x": 3}, {"x": (128, 416)}

    def conv(self, x: str, outputs: int, kernel: int, stride: int = 1, *, depthwise: bool = False) -> str:
        name, channels = f"c{len(self.draft.operators)}", self.channels[x]
        w = self.draft.constant(f"{name}_w", "i8", outputs, 1 if depthwise else channels, kernel, kernel)
        pads, groups = (kernel // 2,) * 4, channels if depthwise else 1
        conv = ops.Conv(name, x, w, None, dtype("i32"), (stride, stride), (1, 1), pads, groups)
        quantized = f"{name}_q"
        factor = Fraction(1, 1 << 10)
        self.draft.operators += [conv, ops.Requant(quantized, name, Linear(((factor,),)), _GRID)]
        reach = 1 << 21
        self.draft.forms[quantized] = ProvedForms(quantized, (FmaF32(float(factor)),), (((-reach, reach),),))
        self.channels[quantized] = outputs
        self.extents[quantized] = tuple(-(-extent // stride) for extent in self.extents[x])
        return quantized

    def separable(self, x: str, outputs: int, stride: int = 1, kernel: int = 3) -> str:
        return self.conv(self.conv(x, self.channels[x], kernel, stride, depthwise=True), outputs, 1)

    def doubled(self, x: str) -> str:
        name = f"up{len(self.draft.operators)}"
        rows, columns = (tuple(j // 2 for j in range(2 * extent)) for extent in self.extents[x])
        self.draft.operators.append(ops.Resize(name, x, (rows, columns)))
        self.channels[name], self.extents[name] = self.channels[x], (len(rows), len(columns))
        return name

    def added(self, x: str, y: str) -> str:
        name, half = f"sum{len(self.draft.operators)}", (Fraction(1, 2),)
        self.draft.operators.append(ops.Add(name, (x, y), Linear((half, half)), _GRID))
        self.draft.forms[name] = ProvedForms(name, (AddFmaF32((0.5, 0.5), 0.0),), _ACTIVATIONS)
        self.channels[name], self.extents[name] = self.channels[x], self.extents[x]
        return name

    def finished(self) -> Draft:
        stem = self.conv("x", 24, 3, 2)
        first = self.separable(self.separable(stem, 24), 48, 2)
        second = self.separable(self.separable(first, 48, kernel=5), 96, 2)
        deep = second
        for outputs, stride in ((96, 1), (96, 1), (96, 1), (160, 2), (96, 1)):
            deep = self.separable(deep, outputs, stride)
        for outputs, skip in ((96, second), (48, first), (24, stem)):
            deep = self.added(self.separable(self.doubled(deep), outputs), skip)
        head = self.conv(self.separable(self.doubled(deep), 24), 1, 3)
        self.draft.operators.append(ops.Dequantize("y", (head,), Linear(((Fraction(1, 256),),))))
        self.draft.outputs.append("y")
        return self.draft
