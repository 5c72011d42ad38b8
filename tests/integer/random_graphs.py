"""Random quantized graphs over 1-D tensors: any operator on any value that suits it, ties and saturation likely."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from edgeconv.importer.graph import QuantizedGraph
from edgeconv.ir import Rounding
from tests.integer.graphs import GraphWriter

FUNCTIONS: list[tuple[str, dict[str, object]]] = [
    ("Sigmoid", {}),
    ("Tanh", {}),
    ("HardSwish", {}),
    ("Gelu", {"approximate": "none"}),
    ("Elu", {"alpha": 0.5}),
    ("LeakyRelu", {"alpha": 0.25}),
    ("Abs", {}),
    ("Softsign", {}),
]


@dataclass
class Composer:
    """Grows a graph: `grids` lie on one integer grid (a convolution may read them), `reals` are anything."""

    rng: np.random.Generator
    writer: GraphWriter = field(default_factory=GraphWriter)
    grids: list[str] = field(default_factory=list)
    reals: list[str] = field(default_factory=list)

    def scale(self) -> float:
        """Powers of two, their thirds, or anything: the first two make ties."""
        exponent = int(self.rng.integers(-4, 2))
        return float(self.rng.choice([2.0**exponent, 3 * 2.0**exponent, float(self.rng.uniform(0.05, 2))]))

    def quantize(self, x: str) -> str:
        type_ = str(self.rng.choice(["i8", "u8", "i4", "u6", "i16"]))
        low, high = (-3, 4) if type_[0] == "i" else (0, 9)
        inside = bool(self.rng.integers(0, 2))
        rounding = Rounding.HALF_AWAY if self.rng.random() < 0.3 else Rounding.HALF_EVEN
        scale, point = self.scale(), int(self.rng.integers(low, high))
        q = self.writer.quantize(x, scale, point, type_, rounding=rounding, inside=inside)
        if self.rng.random() < 0.2:
            q = self.writer.node("Clip", q, min=max(point - 5, -8 if type_ == "i4" else low), max=None)
        return self.writer.dequantize(q, scale, point)

    def pick(self, names: list[str]) -> str:
        return names[int(self.rng.integers(0, len(names)))]

    def weights(self, shape: tuple[int, ...], axis: int = 0) -> str:
        scales = tuple(self.scale() / 8 for _ in range(shape[axis]))
        integers = self.writer.constant(self.rng.integers(-8, 8, shape).astype(np.int8), "i4")
        return self.writer.dequantize(integers, scales, int(self.rng.integers(-1, 2)), axis)

    def float_constant(self, shape: tuple[int, ...]) -> str:
        return self.writer.constant((self.rng.integers(-12, 13, shape) / 4).astype(np.float32))

    def convolve(self) -> str:
        x = self.pick(self.grids)
        channels, extent = self.writer.shapes[x][1:]
        taps = int(self.rng.integers(1, min(3, extent) + 1))
        grouped = self.rng.random() < 0.3
        w = self.weights((channels if grouped else int(self.rng.integers(1, 5)), 1 if grouped else channels, taps))
        bias = self.float_constant((self.writer.shapes[w][0],)) if self.rng.random() < 0.7 else ""
        pads = tuple(int(p) for p in self.rng.integers(0, 2, 2))
        return self.writer.conv(
            x, w, bias, stride=int(self.rng.integers(1, 3)), pads=pads, groups=channels if grouped else 1
        )

    def convolve_transposed(self) -> str:
        x = self.pick(self.grids)
        channels = self.writer.shapes[x][1]
        groups = channels if self.rng.random() < 0.3 else 1
        per_group, taps = (int(n) for n in self.rng.integers(1, 4, 2))
        w = self.weights((channels, per_group, taps), axis=0 if groups == channels else 1)
        bias = self.float_constant((per_group * groups,)) if self.rng.random() < 0.7 else ""
        return self.writer.node(
            "ConvTranspose", *(x, w, bias) if bias else (x, w), groups=groups,
            strides=(int(self.rng.integers(1, 4)),), dilations=(int(self.rng.integers(1, 3)),),
            pads=(int(self.rng.integers(0, 2)), 0), output_padding=(int(self.rng.integers(0, 2)),),
        )  # fmt: skip

    def combine(self) -> str:
        a = self.pick(self.reals)
        same = [b for b in self.reals if self.writer.shapes[b] == self.writer.shapes[a]]
        op = str(self.rng.choice(["Add", "Sub", "Mul", "Concat"]))
        if op == "Concat":
            return self.writer.node(op, a, self.pick(same), axis=1)
        if self.rng.random() < 0.4:
            channels = self.writer.shapes[a][1]
            constant = self.float_constant((channels, 1) if self.rng.random() < 0.5 else ())
            return self.writer.node(op, *self.rng.permutation([a, constant]).tolist())
        return self.writer.node(op, a, self.pick(same))

    def apply(self) -> str:
        x = self.pick(self.reals)
        if self.rng.random() < 0.5:
            return (
                self.writer.node("Relu", x)
                if self.rng.random() < 0.5
                else self.writer.node("Clip", x, min=-1.3, max=4.0)
            )
        op, attributes = FUNCTIONS[int(self.rng.integers(0, len(FUNCTIONS)))]
        return self.writer.node(op, x, **attributes)

    def move(self) -> str:
        x = self.pick(self.reals)
        channels, extent = self.writer.shapes[x][1:]
        taps = int(self.rng.integers(1, min(2, extent) + 1))
        window: dict[str, object] = {"kernel": (taps,), "strides": (1,), "dilations": (1,), "pads": (0, taps - 1)}
        choices: list[Callable[[], str]] = [
            lambda: self.writer.node("MaxPool", x, **window),
            lambda: self.writer.node("AveragePool", x, counted_pads=(0, 0), **window),
            lambda: self.writer.node("Transpose", x, permutation=(0, 2, 1)),
            lambda: self.writer.node("Reshape", x, shape=(1, channels * extent, 1)),
            lambda: self.writer.node("Pad", x, pads=(0, 0, 1, 0, 0, 0), value=0.0, mode="constant"),
            lambda: self.writer.node("Pad", x, pads=(0, 1, 2, 0, 0, 1), value=0.0, mode="reflect"),
            lambda: self.writer.node("Pad", x, pads=(0, 0, 0, 0, 1, 2), value=0.0, mode="edge"),
            lambda: self.writer.node(
                "ResizeLinear",
                x,
                indices=((0, 0, *range(extent)),),
                left=((0, 3, *(2,) * (extent - 1), 3),),
                right=((0, 0, *(1,) * (extent - 1), 0),),
                denominators=(3,),
            ),
            lambda: self.writer.node("Resize", x, indices=(tuple(i // 2 for i in range(2 * extent)),)),
            lambda: self.writer.node(
                "Slice", x, starts=(0, 0, extent - 1), sizes=(1, channels, extent), steps=(1, 1, -1)
            ),
        ]
        return choices[int(self.rng.integers(0, len(choices)))]()

    def normalize(self) -> str:
        x = self.pick(self.reals)
        channels = self.writer.shapes[x][1]
        columns = [self.float_constant((channels,)) for _ in range(3)]
        variance = self.writer.constant(self.rng.choice([0.25, 1.0, 2.0, 0.7], channels).astype(np.float32))
        return self.writer.node("BatchNormalization", x, *columns, variance, epsilon=0.0)

    def step(self) -> None:
        actions = [
            self.convolve,
            self.convolve_transposed,
            self.combine,
            self.combine,
            self.apply,
            self.apply,
            self.move,
            self.normalize,
        ]
        value = actions[int(self.rng.integers(0, len(actions)))]()
        shape = self.writer.shapes[value]
        if shape[1] * shape[2] > 96:
            return
        self.reals.append(value)
        if self.rng.random() < 0.6:
            value = self.quantize(value)
            self.grids.append(value)
            self.reals.append(value)


def random_graph(seed: int) -> QuantizedGraph:
    """A graph of a few operators with two quantized outputs and at times a float one; the same for the same seed."""
    rng = np.random.default_rng(seed)
    composer = Composer(rng)
    shape = (1, int(rng.integers(1, 4)), int(rng.integers(2, 6)))
    if rng.random() < 0.3:
        source = composer.writer.dequantize(composer.writer.input(shape, "i16"), 2.0**-10, 3)
    else:
        source = composer.quantize(composer.writer.input(shape))
    composer.grids.append(source)
    composer.reals.append(source)
    for _ in range(int(rng.integers(3, 10))):
        composer.step()
    outputs = [composer.quantize(composer.reals[-1]), composer.quantize(composer.pick(composer.reals))]
    if rng.random() < 0.4:
        outputs.append(composer.pick(composer.reals))
    return composer.writer.graph(*outputs)
