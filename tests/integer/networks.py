"""Programs of the size of real networks, for the tests of certificates."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from edgeconv.ir import Constant, Grid, Linear, Program, TensorType, dtype
from edgeconv.ir import operators as ops


def pulse_program(seed: int = 0) -> Program:
    """Four strided convolutions and two dense layers over 128 samples, with float32 scales: 210 channels."""
    rng = np.random.default_rng(seed)
    constants: dict[str, Constant] = {}
    layers: list[ops.Operator] = []
    x, channels = "x", 1
    for index, out in enumerate((16, 32, 32, 64)):
        weights = rng.integers(-127, 128, (out, channels, 5))
        constants[f"w{index}"] = Constant(dtype("i8"), weights)
        constants[f"b{index}"] = Constant(dtype("i32"), rng.integers(-5000, 5000, out))
        layers.append(ops.Conv(f"a{index}", x, f"w{index}", f"b{index}", dtype("i32"), (2,), (1,), (2, 2)))
        layers.append(ops.Requant(f"q{index}", f"a{index}", _scales(rng, channels * 5, out), Grid.full(dtype("u8"))))
        x, channels = f"q{index}", out
    layers.append(ops.Reshape("flat", x, (1, 512)))
    x, inner = "flat", 512
    for index, out, name in ((4, 64, "u8"), (5, 2, "i16")):
        constants[f"w{index}"] = Constant(dtype("i8"), rng.integers(-127, 128, (inner, out)))
        layers.append(ops.MatMul(f"a{index}", x, f"w{index}", None, dtype("i32")))
        offset = tuple(Fraction(float(np.float32(value))) for value in rng.uniform(-9, 9, out))
        linear = Linear(_scales(rng, inner, out).factors, offset)
        layers.append(ops.Requant(f"q{index}", f"a{index}", linear, Grid.full(dtype(name))))
        x, inner = f"q{index}", out
    table = Constant(dtype("i16"), np.arange(1 << 16) - (1 << 15))
    layers.append(ops.Table("t", x, "table"))
    inputs = {"x": TensorType((1, 1, 128), dtype("u8"))}
    return Program(inputs, ("t",), tuple(layers), {**constants, "table": table})


TIED_SUM = Linear(((Fraction(5, 7),), (Fraction(3, 5),)), (Fraction(-3, 2),))


def sum_program(add: Linear = TIED_SUM) -> Program:
    """A tensor added to a requantized copy of itself, with unequal scales; the default has ties."""
    layers = (
        ops.Requant("q", "x", Linear(((Fraction(3, 10),),)), Grid.full(dtype("u8"))),
        ops.Add("s", ("x", "q"), add, Grid.full(dtype("i8"), 2), origin="Add_3"),
    )
    return Program({"x": TensorType((1, 4), dtype("i8"))}, ("s",), layers)


def _scales(rng: np.random.Generator, fan_in: int, channels: int) -> Linear:
    wanted = 255 / (150 * 75 * 4 * np.sqrt(fan_in) * rng.uniform(0.5, 2, channels))
    x_scale, y_scale = (Fraction(float(np.float32(value))) for value in rng.uniform(0.01, 0.1, 2))
    weights = [Fraction(float(np.float32(value * float(y_scale / x_scale)))) for value in wanted]
    return Linear((tuple(weight * x_scale / y_scale for weight in weights),))
