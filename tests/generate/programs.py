"""Random integer programs that exercise every operator, with inputs that fit them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from edgeconv.ir import Grid, Linear, Program, Rounding, TensorType, dtype
from edgeconv.ir import operators as ops
from tests.generate.builder import SAMPLES, Builder, Case
from tests.generate.choices import Choices
from tests.generate.layers import APART, LAYERS, USUAL
from tests.generate.scales import random_grid, random_linear, spread_values

_MAX_ELEMENTS = 6000


def random_case(
    choose: Choices, size: int | None = None, first: str | None = None, repeat: int = 1, last: Sequence[str] = ()
) -> Case:
    """A random program of about `size` layers with inputs.

    Every tensor that nothing reads is an output, so each operator's result is compared.

    Args:
        first: name of the layer that comes first, `repeat` times (`layers.LAYERS`, `layers.APART`), or None for any.
        last: names of further layers at the end.
    """
    builder = Builder(choose)
    add_input(builder)
    if choose.chance(20):
        add_input(builder)
    for index in range((size or choose.integer(1, 5)) + repeat - 1):
        (LAYERS | APART)[first if first and index < repeat else choose.pick(USUAL)](builder)
        if builder.types[list(builder.types)[-1]].size > _MAX_ELEMENTS:
            break
    for name in last:
        LAYERS[name](builder)
    if choose.chance(35):
        _dequantize(builder)
    if not builder.operators:
        builder.requant(next(iter(builder.inputs)))
    read = {name for operator in builder.operators for name in operator.operands}
    outputs = tuple(o.output for o in builder.operators if o.output not in read)
    used = {name: type_ for name, type_ in builder.inputs.items() if name in read}
    program = Program(used, outputs, tuple(builder.operators), builder.constants)
    return Case(program, {name: builder.arrays[name] for name in used})


def add_input(b: Builder) -> None:
    """A quantized float input, or an integer one as an ADC gives it."""
    choose = b.choose
    channels = choose.pick((1, 1, 2, 3, 4, 7, 8, 12, 16, 17, 24, 32, 33, 48, 64, 70))
    channels = choose.integer(1, 70) if choose.chance(20) else channels
    batch = 2 if choose.chance(4) else 1
    if choose.chance(60):
        shape = (batch, channels, choose.integer(1, 40))
    elif choose.chance(75):
        shape = (batch, channels, choose.integer(1, 11), choose.integer(1, 13))
    else:
        shape = (batch, channels)
    if choose.chance(35):
        _quantized_input(b, shape)
    else:
        type_ = dtype(choose.pick(("u8", "i8", "u8", "i8", "u16", "i16", "u12", "i4")))
        b.add_input(TensorType(shape, type_), spread_values(choose, type_, (SAMPLES, *shape)))


def _quantized_input(b: Builder, shape: tuple[int, ...]) -> None:
    choose = b.choose
    rng = choose.numbers()
    grid = random_grid(choose)
    count = shape[1] if choose.chance(15) else 1
    scales = tuple(float(np.float32(choose.pick((0.25, 0.5, 0.1, 0.037)))) for _ in range(count))
    values = rng.standard_normal((SAMPLES, *shape)) * 40
    # A quarter of the values lie on the grid of half scales: exact ties of the division.
    values = np.where(rng.integers(0, 4, values.shape) == 0, np.rint(values) * scales[0] / 2, values)
    if choose.chance(10):
        special = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-42, 3e38])
        values = np.where(rng.integers(0, 6, values.shape) == 0, rng.choice(special, values.shape), values)
    name = b.add_input(TensorType(shape, dtype("f32")), values.astype(np.float32))
    offset = float(np.float32(choose.integer(-9, 9))) if choose.chance(20) else 0.0
    b.apply(ops.Quantize(b.name("q"), name, scales, grid, offset))


def _dequantize(b: Builder) -> None:
    choose = b.choose
    names = [name for name in b.types if not b.types[name].dtype.is_float and name not in b.constants]
    name = choose.pick(names)
    shape = b.types[name].shape
    partners = [n for n in names if b.types[n].shape == shape]
    operands = (name, choose.pick(partners)) if choose.chance(25) else (name,)
    axis = min(1, len(shape) - 1)
    channels = shape[axis] if choose.chance(50) else 1
    unit = Grid(dtype("i8"), -4, 4, 0, Rounding.HALF_EVEN)
    linear = random_linear(choose, [b.integers(operand) for operand in operands], unit, channels, axis)
    if choose.chance(60):
        linear = Linear(linear.factors, (Fraction(0),), axis=axis)
    lo = Fraction(0) if choose.chance(30) else None
    hi = Fraction(3) if choose.chance(15) else None
    b.apply(ops.Dequantize(b.name("y"), operands, linear, lo, hi))
