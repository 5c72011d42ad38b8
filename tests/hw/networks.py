"""Random networks of the operators that the accelerator has, over shapes that make edges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod

import numpy as np
from numpy.typing import NDArray

from edgeconv.ir import Constant, DType, Grid, Linear, Program, Rounding, TensorType, dtype
from edgeconv.ir import operators as ops
from edgeconv.ir.geometry import TransposedWindow, Window
from edgeconv.ir.operators import Operator

Array = NDArray[np.generic]
CHANNELS = (1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 20, 24, 31, 32, 33, 40, 48)
MOST_ELEMENTS = 4000


@dataclass
class Network:
    """A program that grows by random layers; `last` is what the next layer reads."""

    rng: np.random.Generator
    inputs: dict[str, TensorType] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)
    types: dict[str, TensorType] = field(default_factory=dict)
    last: str = ""

    def pick(self, *choices: object) -> object:
        """One of the choices."""
        return choices[int(self.rng.integers(len(choices)))]

    def number(self, lo: int, hi: int) -> int:
        """A number of lo…hi."""
        return int(self.rng.integers(lo, hi, endpoint=True))

    def chance(self, percent: int) -> bool:
        """True in so many of a hundred cases."""
        return bool(self.rng.integers(100) < percent)

    # --- parts ---------------------------------------------------------------------------------------------------

    def input(self, shape: tuple[int, ...], name: str = "x") -> str:
        """A new input of integers."""
        type_ = TensorType(shape, dtype(str(self.pick("u8", "i8", "u8", "u4", "i16", "u16", "u12"))))
        self.inputs[name] = self.types[name] = type_
        self.last = name
        return name

    def add(self, operator: Operator) -> str:
        """Append an operator."""
        self.operators.append(operator)
        self.types[operator.output] = operator.infer(self.types)
        return operator.output

    def name(self) -> str:
        """A name that is free."""
        return f"t{len(self.operators)}"

    def constant(self, values: NDArray[np.int64], type_: DType) -> str:
        """A new constant."""
        name = f"c{len(self.constants)}"
        self.constants[name] = Constant(type_, values.astype(type_.container))
        self.types[name] = self.constants[name].type
        return name

    def weights(self, *shape: int) -> str:
        """Random weights, extremes likely."""
        type_ = dtype(str(self.pick("i8", "i8", "i4", "i2")))
        values = self.rng.integers(type_.lo, type_.hi, shape, endpoint=True)
        extreme = self.rng.random(shape) < 0.1
        values[extreme] = self.rng.choice([type_.lo, type_.hi], int(extreme.sum()))
        return self.constant(values, type_)

    def bias(self, channels: int) -> str | None:
        """Random biases or none."""
        if self.chance(30):
            return None
        reach = int(self.pick(100, 5000, 1 << 20))  # type: ignore[call-overload]
        return self.constant(self.rng.integers(-reach, reach, channels), dtype("i32"))

    def zero_point(self, name: str) -> int:
        """A zero point for a tensor that is read."""
        type_ = self.types[name].dtype
        return 0 if self.chance(40) else self.number(type_.lo, type_.hi)

    def grid(self) -> Grid:
        """An output grid: 8, 4 or 3 bits, either sign, perhaps with a tighter clip."""
        type_ = dtype(str(self.pick("u8", "i8", "u8", "i4", "u3")))
        lo, hi = type_.lo, type_.hi
        if self.chance(25):
            lo, hi = sorted(int(v) for v in self.rng.integers(lo, hi, 2, endpoint=True))
        rounding = Rounding.HALF_EVEN if self.chance(85) else Rounding.HALF_AWAY
        zero = self.number(type_.lo, type_.hi) if rounding is Rounding.HALF_EVEN and self.chance(60) else 0
        return Grid(type_, lo, hi, zero, rounding)

    def requant(self, acc: str, reach: float, axis: int = 1) -> str:
        """Round a tensor whose values spread over about ±reach."""
        grid = self.grid()
        count = self.types[acc].shape[axis] if self.chance(60) else 1
        wanted = (grid.dtype.hi - grid.dtype.lo + 1) / max(reach, 1.0)
        factors = []
        for _ in range(count):
            value = wanted * float(self.rng.uniform(0.2, 1.5))
            if self.chance(25):
                factors.append(Fraction(2) ** int(np.floor(np.log2(value))))  # structural ties
            else:
                factors.append(Fraction(float(np.float32(value))))
            if self.chance(10):
                factors[-1] = -factors[-1]
        self.last = self.add(ops.Requant(self.name(), acc, Linear((tuple(factors),), axis=axis), grid))
        return self.last

    def spatial(self) -> tuple[int, ...]:
        """Spatial extents of the last tensor."""
        return self.types[self.last].shape[2:]

    def channels(self) -> int:
        """Channels of the last tensor."""
        return self.types[self.last].shape[1]

    # --- layers --------------------------------------------------------------------------------------------------

    def window(self, spatial: tuple[int, ...], most: int) -> Window:
        """A window that fits, with any strides, dilations and pads."""
        while True:
            rank = len(spatial)
            kernel = tuple(self.number(1, min(most, extent + 2)) for extent in spatial)
            strides = tuple(self.number(1, 3) for _ in spatial)
            dilations = tuple(1 if self.chance(70) else self.number(2, 3) for _ in spatial)
            pads = tuple(0 if self.chance(40) else self.number(0, kernel[i % rank]) for i in range(2 * rank))
            window = Window(kernel, strides, dilations, pads)
            if all(e + window.begin(i) + window.end(i) >= window.reach(i) for i, e in enumerate(spatial)):
                return window

    def conv(self) -> None:
        """A convolution, dense, grouped or depthwise."""
        x, inputs = self.last, self.channels()
        groups = int(self.pick(*[g for g in (1, 1, 2, 3, 4, inputs) if inputs % g == 0]))  # type: ignore[call-overload]
        outputs = groups * self.number(1, 3) if groups > 1 else int(self.pick(*CHANNELS))  # type: ignore[call-overload]
        window = self.window(self.spatial(), 64 if len(self.spatial()) == 1 and self.chance(10) else 5)
        w = self.weights(outputs, inputs // groups, *window.kernel)
        operator = ops.Conv(
            self.name(), x, w, self.bias(outputs), dtype("i32"), window.strides, window.dilations, window.pads, groups,
            self.zero_point(x),
        )  # fmt: skip
        self.requant(self.add(operator), self.reach(x, w, prod(window.kernel) * inputs // groups))

    def reach(self, x: str, w: str, terms: int) -> float:
        """About how far a sum of products spreads."""
        return float((1 << self.types[x].dtype.bits) * (1 << (self.types[w].dtype.bits - 1)) * np.sqrt(terms) / 2)

    def conv_transpose(self) -> None:
        """A transposed convolution."""
        x, inputs, spatial = self.last, self.channels(), self.spatial()
        groups = int(self.pick(*[g for g in (1, 1, 2) if inputs % g == 0]))  # type: ignore[call-overload]
        outputs = groups * self.number(1, 20)
        kernel = tuple(self.number(1, 5) for _ in spatial)
        strides = tuple(self.number(1, 3) for _ in spatial)
        dilations = tuple(1 if self.chance(80) else 2 for _ in spatial)
        pads = tuple(self.number(0, 1) for _ in range(2 * len(spatial)))
        padding = tuple(self.number(0, stride - 1) for stride in strides)
        window = TransposedWindow(kernel, strides, dilations, pads, padding)
        if any(window.full_extent(i, e) <= pads[i] + pads[i + len(spatial)] for i, e in enumerate(spatial)):
            pads = (0,) * len(pads)
        w = self.weights(outputs, inputs // groups, *kernel)
        operator = ops.ConvTranspose(
            self.name(), x, w, self.bias(outputs), dtype("i32"), strides, dilations, pads, padding, groups,
            self.zero_point(x),
        )  # fmt: skip
        self.requant(self.add(operator), self.reach(x, w, prod(kernel) * inputs // groups))

    def linear(self) -> None:
        """A fully connected layer over everything."""
        size = self.types[self.last].size
        flat = self.add(ops.Reshape(self.name(), self.last, (1, size)))
        outputs = int(self.pick(1, 2, 5, 10, 16, 17, 33))  # type: ignore[call-overload]
        w = self.weights(size, outputs)
        zero = self.zero_point(flat)
        operator = ops.MatMul(self.name(), flat, w, self.bias(outputs), dtype("i32"), zero, 0)
        self.requant(self.add(operator), self.reach(flat, w, size))

    def max_pool(self) -> None:
        """A max pool; every window reaches the input."""
        while True:
            window = self.window(self.spatial(), 4)
            if window.counts(self.spatial(), (0,) * len(window.pads)).min() > 0:
                break
        if self.types[self.last].dtype.bits > 8:
            self.requant(self.last, float(1 << self.types[self.last].dtype.bits))
        self.last = self.add(ops.MaxPool(self.name(), self.last, *self._fields(window)))

    @staticmethod
    def _fields(window: Window) -> tuple[tuple[int, ...], ...]:
        return window.kernel, window.strides, window.dilations, window.pads

    def avg_pool(self) -> None:
        """An average pool, padding counted or not, or over everything."""
        spatial = self.spatial()
        window = Window.of(spatial) if self.chance(30) else self.window(spatial, 3)
        counted = window.pads if self.chance(50) else (0,) * len(window.pads)
        if window.counts(spatial, counted).min() < 1:
            return
        x = self.last
        zero = self.zero_point(x)
        pool = ops.AvgPool(self.name(), x, dtype("i32"), *self._fields(window), counted, zero)
        multiple = window.count_multiple(spatial, counted)
        self.requant(self.add(pool), float(multiple << self.types[x].dtype.bits))

    def table(self) -> None:
        """Any function of one value."""
        if self.types[self.last].dtype.bits > 8:
            return
        out = dtype(str(self.pick("u8", "i8", "i5")))
        size = 1 << self.types[self.last].dtype.bits
        values = self.constant(self.rng.integers(out.lo, out.hi, size, endpoint=True), out)
        self.last = self.add(ops.Table(self.name(), self.last, values))

    def residual(self) -> None:
        """The sum of two branches that come from one tensor."""
        self.narrow()
        shape = self.types[self.last].shape
        start, channels = self.last, shape[1]
        ends = [start] if self.chance(40) else []
        while len(ends) < 2:
            w = self.weights(channels, channels, *(1,) * len(shape[2:]))
            ones = (1,) * len(shape[2:])
            conv = ops.Conv(self.name(), start, w, None, dtype("i32"), ones, ones, (0,) * 2 * len(ones), 1, 0)
            ends.append(self.requant(self.add(conv), self.reach(start, w, channels)))
        count = channels if self.chance(20) else 1
        factors = tuple(
            tuple(Fraction(float(np.float32(self.rng.uniform(0.1, 1.2)))) for _ in range(count)) for _ in range(2)
        )
        if self.chance(30):
            factors = tuple((Fraction(1, 2),) * count for _ in range(2))
        offset = (Fraction(self.number(-100, 100), 4),)
        self.last = self.add(ops.Add(self.name(), tuple(ends), Linear(factors, offset), self.grid()))

    def concat(self) -> None:
        """Branches joined along the channels."""
        self.narrow()
        shape, start = self.types[self.last].shape, self.last
        grid = self.grid()
        parts = []
        for _ in range(self.number(2, 3)):
            outputs = int(self.pick(1, 3, 8, 12, 16))  # type: ignore[call-overload]
            ones = (1,) * len(shape[2:])
            w = self.weights(outputs, shape[1], *ones)
            conv = ops.Conv(self.name(), start, w, None, dtype("i32"), ones, ones, (0,) * 2 * len(ones), 1, 0)
            acc = self.add(conv)
            factor = Fraction(float(np.float32(200 / self.reach(start, w, shape[1]))))
            parts.append(self.add(ops.Requant(self.name(), acc, Linear(((factor,),)), grid)))
        if self.chance(30) and self.types[start].dtype == grid.dtype:
            parts.append(start)
        self.last = self.add(ops.Concat(self.name(), tuple(parts), 1))

    def rescale(self) -> None:
        """A requantization alone."""
        self.requant(self.last, float(1 << self.types[self.last].dtype.bits))

    def narrow(self) -> None:
        """A tensor of at most 8 bits."""
        if self.types[self.last].dtype.bits > 8:
            self.rescale()

    def program(self) -> Program:
        """The program; what nothing reads is its output."""
        read = {name for operator in self.operators for name in operator.operands}
        outputs = tuple(o.output for o in self.operators if o.output not in read)
        used = {name: type_ for name, type_ in self.inputs.items() if name in read}
        return Program(used, outputs, tuple(self.operators), self.constants)

    def values(self, program: Program, samples: int) -> dict[str, Array]:
        """Random inputs with their extremes."""
        found: dict[str, Array] = {}
        for name, type_ in program.inputs.items():
            lo, hi = type_.dtype.lo, type_.dtype.hi
            values = self.rng.integers(lo, hi, (samples, *type_.shape), endpoint=True)
            extreme = self.rng.random(values.shape) < 0.05
            values[extreme] = self.rng.choice([lo, hi], int(extreme.sum()))
            found[name] = values.astype(type_.dtype.container)
        return found


LAYERS: dict[str, Callable[[Network], None]] = {
    "conv": Network.conv,
    "conv_transpose": Network.conv_transpose,
    "linear": Network.linear,
    "max_pool": Network.max_pool,
    "avg_pool": Network.avg_pool,
    "table": Network.table,
    "residual": Network.residual,
    "concat": Network.concat,
    "rescale": Network.rescale,
}


def random_network(seed: int, layers: int, first: str | None = None) -> tuple[Network, Program]:
    """A network of about `layers` layers; the first one may be named."""
    network = Network(np.random.default_rng(seed))
    channels = int(network.pick(*CHANNELS))  # type: ignore[call-overload]
    if network.chance(70):
        network.input((1, channels, network.number(1, 40)))
    else:
        network.input((1, channels, network.number(1, 9), network.number(1, 10)))
    names = list(LAYERS)
    for index in range(layers):
        name = first if first and index == 0 else str(network.pick(*names))
        if len(network.types[network.last].shape) < 3:
            break
        LAYERS[name](network)
        if network.types[network.last].size > MOST_ELEMENTS:
            break
    if not network.operators:
        network.rescale()
    return network, network.program()
