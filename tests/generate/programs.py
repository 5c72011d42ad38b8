"""Random integer programs that exercise every operator, with inputs that fit them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from edgeconv import reference
from edgeconv.errors import ProgramError
from edgeconv.ir import Constant, DType, Grid, Linear, Program, Rounding, TensorType, dtype
from edgeconv.ir import operators as ops
from tests.generate.choices import Choices
from tests.generate.scales import random_grid, random_linear, spread_values

SAMPLES = 3
_MAX_ELEMENTS = 6000


@dataclass(frozen=True)
class Case:
    """A program and inputs for it: arrays of shape (SAMPLES, *shape) by input name."""

    program: Program
    inputs: Mapping[str, NDArray[np.generic]]


@dataclass
class Builder:
    """A program under construction, with the value of every tensor on the samples."""

    choose: Choices
    inputs: dict[str, TensorType] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    operators: list[ops.Operator] = field(default_factory=list)
    arrays: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    values: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    types: dict[str, TensorType] = field(default_factory=dict)
    serial: int = 0

    def name(self, stem: str) -> str:
        """A fresh tensor name."""
        self.serial += 1
        return f"{stem}{self.serial}"

    def add_input(self, type_: TensorType, values: NDArray[np.generic]) -> str:
        """A program input with its sample values."""
        name = self.name("in")
        self.inputs[name] = self.types[name] = type_
        self.arrays[name] = self.values[name] = values.astype(type_.dtype.container)
        return name

    def constant(self, type_: DType, values: NDArray[np.int64]) -> str:
        """A constant tensor."""
        name = self.name("c")
        self.constants[name] = Constant(type_, values)
        self.types[name] = self.constants[name].type
        return name

    def apply(self, operator: ops.Operator) -> str:
        """Append an operator and evaluate it alone."""
        constants = {name: self.constants[name] for name in operator.operands if name in self.constants}
        inputs = {name: self.types[name] for name in operator.operands if name not in constants}
        alone = Program(inputs, (operator.output,), (operator,), constants)
        result = reference.run(alone, {name: self.values[name] for name in inputs})
        self.values[operator.output] = result[operator.output]
        self.types[operator.output] = alone.types[operator.output]
        self.operators.append(operator)
        return operator.output

    def integers(self, name: str) -> NDArray[np.int64]:
        """Sample values as int64."""
        return np.asarray(self.values[name].astype(np.int64))

    def narrow(self, ranks: tuple[int, ...] = (2, 3, 4), bits: int = 16) -> list[str]:
        """Names of integer tensors of at most `bits` bits, newest last."""
        found = []
        for name, type_ in self.types.items():
            fits = not type_.dtype.is_float and type_.dtype.bits <= bits and len(type_.shape) in ranks
            if fits and name not in self.constants:
                found.append(name)
        return found

    def latest(self, ranks: tuple[int, ...] = (2, 3, 4), bits: int = 16) -> str | None:
        """A tensor to work on: mostly the newest."""
        names = self.narrow(ranks, bits)
        if not names:
            return None
        return names[-1] if self.choose.chance(80) else self.choose.pick(names)

    def accumulator_type(self, bound: int) -> DType:
        """i32 where the bound fits (sometimes i64 all the same), else i64."""
        return dtype("i64" if bound >= 1 << 31 or self.choose.chance(6) else "i32")

    def requant(self, name: str, grid: Grid | None = None) -> str:
        """Round a tensor to a random grid."""
        grid = grid or random_grid(self.choose)
        shape = self.types[name].shape
        axis = 1 if len(shape) > 2 else len(shape) - 1
        channels = shape[axis] if self.choose.chance(65) else 1
        linear = random_linear(self.choose, [self.integers(name)], grid, channels, axis)
        return self.apply(ops.Requant(self.name("q"), name, linear, grid))

    def finish_accumulator(self, name: str) -> str:
        """What follows an accumulator: nearly always a requantization."""
        if self.choose.chance(12):
            return _threshold(self, name)
        return self.requant(name)

    def zero_point(self, type_: DType) -> int:
        """A zero point inside a type, often 0."""
        return self.choose.integer(type_.lo, type_.hi) if self.choose.chance(55) else 0


def random_case(choose: Choices, size: int | None = None) -> Case:
    """A random program of about `size` layers with inputs.

    Every tensor that nothing reads is an output, so each operator's result is compared.
    """
    builder = Builder(choose)
    _input(builder)
    if choose.chance(20):
        _input(builder)
    for _ in range(size or choose.integer(1, 5)):
        choose.pick(_LAYERS)(builder)
        if builder.types[list(builder.types)[-1]].size > _MAX_ELEMENTS:
            break
    if choose.chance(35):
        _dequantize(builder)
    if not builder.operators:
        builder.requant(next(iter(builder.inputs)))
    read = {name for operator in builder.operators for name in operator.operands}
    outputs = tuple(o.output for o in builder.operators if o.output not in read)
    used = {name: type_ for name, type_ in builder.inputs.items() if name in read}
    program = Program(used, outputs, tuple(builder.operators), builder.constants)
    return Case(program, {name: builder.arrays[name] for name in used})


def _input(b: Builder) -> None:
    choose = b.choose
    channels = choose.pick((1, 1, 2, 3, 4, 7, 8, 12, 16, 17, 24, 32, 33, 48, 64, 70))
    channels = choose.integer(1, 70) if choose.chance(20) else channels
    if choose.chance(60):
        shape = (1, channels, choose.integer(1, 40))
    elif choose.chance(75):
        shape = (1, channels, choose.integer(1, 11), choose.integer(1, 13))
    else:
        shape = (1, channels)
    if choose.chance(35):
        values = choose.numbers().standard_normal((SAMPLES, *shape)).astype(np.float32) * np.float32(40)
        grid = random_grid(choose)
        scale = float(np.float32(choose.pick((0.25, 0.5, 0.1, 0.037))))
        values = np.where(choose.numbers().integers(0, 4, values.shape) == 0, np.rint(values) * scale / 2, values)
        name = b.add_input(TensorType(shape, dtype("f32")), values.astype(np.float32))
        offset = float(np.float32(choose.integer(-9, 9))) if choose.chance(20) else 0.0
        b.apply(ops.Quantize(b.name("q"), name, (scale,), grid, offset))
    else:
        type_ = dtype(choose.pick(("u8", "i8", "u8", "i8", "u16", "i16", "u12", "i4")))
        b.add_input(TensorType(shape, type_), spread_values(choose, type_, (SAMPLES, *shape)))


def _window(b: Builder, spatial: tuple[int, ...], longest: int) -> dict[str, tuple[int, ...]] | None:
    choose = b.choose
    kernel, strides, dilations, begins, ends = [], [], [], [], []
    for extent in spatial:
        taps = choose.pick((1, 2, 3, 3, 5, 7)) if longest >= 7 else choose.pick((1, 2, 3))
        dilation = choose.pick((1, 1, 1, 2, 3))
        begin, end = (min(extent, choose.integer(0, taps - 1)) for _ in range(2))
        if (taps - 1) * dilation + 1 > extent + begin + end:
            taps, dilation, begin, end = 1, 1, 0, 0
        kernel.append(taps)
        strides.append(choose.pick((1, 1, 1, 2, 3)))
        dilations.append(dilation)
        begins.append(begin)
        ends.append(end)
    return {
        "kernel": tuple(kernel),
        "strides": tuple(strides),
        "dilations": tuple(dilations),
        "pads": (*begins, *ends),
    }


def _conv(b: Builder) -> None:
    name = b.latest((3, 4))
    if name is None:
        return _matmul(b)
    choose, x = b.choose, b.types[name]
    channels = x.shape[1]
    window = _window(b, x.shape[2:], 7)
    divisors = [g for g in range(1, channels + 1) if channels % g == 0]
    groups = choose.pick((1, 1, 1, channels, choose.pick(divisors)))
    out_channels = groups * choose.pick((1, 1, 2)) if groups > 1 else choose.pick((1, 2, 5, 8, 16, 17, 32, 33, 48, 64))
    weight_type = dtype(choose.pick(("i8", "i8", "i8", "i4", "i2", "i3", "i6")))
    w_shape = (out_channels, channels // groups, *window.pop("kernel"))
    w = spread_values(choose, weight_type, w_shape)
    w[w == weight_type.lo] += int(choose.chance(70))
    zero_point = b.zero_point(x.dtype)
    bias = choose.numbers().integers(-4000, 4000, out_channels) if choose.chance(70) else None
    farthest = max(abs(x.dtype.lo - zero_point), abs(x.dtype.hi - zero_point))
    bound = int(np.abs(w).reshape(out_channels, -1).sum(1).max()) * farthest + 4000
    bias_name = None if bias is None else b.constant(dtype("i32"), bias)
    accumulator = b.accumulator_type(bound)
    conv = ops.Conv(
        b.name("acc"),
        name,
        b.constant(weight_type, w),
        bias_name,
        accumulator,
        groups=groups,
        x_zero_point=zero_point,
        **window,
    )
    b.finish_accumulator(b.apply(conv))


def _matmul(b: Builder) -> None:
    name = b.latest()
    if name is None:
        return
    choose, x = b.choose, b.types[name]
    inner = x.shape[-1]
    columns = choose.pick((1, 2, 5, 16, 17, 33, 64))
    weight_type = dtype(choose.pick(("i8", "i8", "i4", "i2", "i5")))
    w = spread_values(choose, weight_type, (inner, columns))
    zero_point = b.zero_point(x.dtype)
    bias = choose.numbers().integers(-4000, 4000, columns) if choose.chance(60) else None
    farthest = max(abs(x.dtype.lo - zero_point), abs(x.dtype.hi - zero_point))
    bound = int(np.abs(w).sum(0).max()) * farthest + 4000
    bias_name = None if bias is None else b.constant(dtype("i32"), bias)
    matmul = ops.MatMul(
        b.name("acc"), name, b.constant(weight_type, w), bias_name, b.accumulator_type(bound), zero_point
    )
    b.finish_accumulator(b.apply(matmul))


def _flatten(b: Builder) -> None:
    name = b.latest((3, 4))
    if name is not None:
        shape = b.types[name].shape
        b.apply(ops.Reshape(b.name("r"), name, (shape[0], int(np.prod(shape[1:])))))
        _matmul(b)


def _add(b: Builder) -> None:
    name = b.latest()
    if name is None:
        return
    shape = b.types[name].shape
    partners = [other for other in b.narrow() if b.types[other].shape == shape and other != name]
    other = b.choose.pick(partners) if partners else b.requant(name)
    if b.choose.chance(20) and len(shape) > 2 and shape[-1] > 1:
        starts = (0,) * len(shape)
        other = b.apply(ops.Slice(b.name("s"), other, starts, (*shape[:-1], 1), (1,) * len(shape)))
    grid = random_grid(b.choose)
    operands = (name, other, name) if b.choose.chance(10) else (name, other)
    axis = 1 if len(shape) > 1 else 0
    channels = shape[axis] if b.choose.chance(15) else 1
    linear = random_linear(b.choose, [b.integers(operand) for operand in operands], grid, channels, axis)
    b.apply(ops.Add(b.name("sum"), operands, linear, grid))


def _mul(b: Builder) -> None:
    name = b.latest()
    if name is None:
        return
    shape = b.types[name].shape
    other = b.choose.pick([n for n in b.narrow() if b.types[n].shape == shape])
    zero_points = b.zero_point(b.types[name].dtype), b.zero_point(b.types[other].dtype)
    reach = [
        max(abs(b.types[n].dtype.lo - z), abs(b.types[n].dtype.hi - z))
        for n, z in zip((name, other), zero_points, strict=True)
    ]
    product = ops.Mul(b.name("acc"), name, other, b.accumulator_type(reach[0] * reach[1]), *zero_points)
    b.finish_accumulator(b.apply(product))


def _avg_pool(b: Builder) -> None:
    name = b.latest((3, 4))
    if name is None:
        return
    x = b.types[name]
    if b.choose.chance(35):
        kernel = x.shape[2:]
        window = {
            "kernel": kernel,
            "strides": (1,) * len(kernel),
            "dilations": (1,) * len(kernel),
            "pads": (0, 0) * len(kernel),
        }
    else:
        window = _window(b, x.shape[2:], 3)
    counted = window["pads"] if b.choose.chance(50) else (0,) * len(window["pads"])
    zero_point = b.zero_point(x.dtype)
    farthest = max(abs(x.dtype.lo - zero_point), abs(x.dtype.hi - zero_point))
    # L is at most the product of lcm(1…3) per axis or the whole plane, whichever window was drawn.
    bound = farthest * max(36, int(np.prod(x.shape[2:]))) * 2
    pool = ops.AvgPool(
        b.name("acc"), name, b.accumulator_type(bound), counted_pads=counted, x_zero_point=zero_point, **window
    )
    try:
        pooled = b.apply(pool)
    except ProgramError:  # a window that lies wholly in the padding
        return
    b.finish_accumulator(pooled)


def _max_pool(b: Builder) -> None:
    name = b.latest((3, 4))
    if name is not None:
        window = _window(b, b.types[name].shape[2:], 3)
        if all(d == 1 for d in window["dilations"]):
            b.apply(ops.MaxPool(b.name("max"), name, **window))


def _table(b: Builder) -> None:
    name = b.latest()
    if name is None:
        return
    x = b.types[name]
    rows = x.shape[1] if b.choose.chance(25) and x.dtype.bits <= 8 else 1
    result = random_grid(b.choose).dtype
    values = spread_values(b.choose, result, (rows, 1 << x.dtype.bits))
    values_name = b.constant(result, values if rows > 1 else values[0])
    b.apply(ops.Table(b.name("t"), name, values_name))


def _threshold(b: Builder, name: str) -> str:
    x = b.integers(name)
    shape = b.types[name].shape
    axis = 1 if len(shape) > 1 else 0
    rows = shape[axis] if b.choose.chance(50) else 1
    levels = b.choose.pick((1, 3, 15, 200))
    lo, hi = int(x.min()), int(x.max()) + 1
    thresholds = np.sort(b.choose.numbers().integers(lo, hi + 1, (rows, levels)), axis=1)
    increasing = tuple(b.choose.chance(70) for _ in range(rows))
    base = tuple(0 if up else levels for up in increasing)
    table = b.constant(dtype("i64"), thresholds)
    return b.apply(ops.Threshold(b.name("h"), name, table, dtype("u8"), base, increasing, axis))


def _movement(b: Builder) -> None:
    name = b.latest()
    if name is None:
        return
    choose, x = b.choose, b.types[name]
    rank = len(x.shape)
    kind = choose.pick(("concat", "slice", "pad", "transpose", "reshape", "resize", "cast"))
    if kind == "concat":
        partners = [n for n in b.narrow() if b.types[n] == x]
        b.apply(ops.Concat(b.name("cat"), (name, choose.pick(partners)), choose.integer(1, rank - 1)))
    elif kind == "slice":
        starts = tuple(choose.integer(0, extent - 1) for extent in x.shape)
        steps = tuple(choose.pick((1, 1, 2)) for _ in x.shape)
        sizes = tuple(
            choose.integer(1, (extent - 1 - start) // step + 1)
            for extent, start, step in zip(x.shape, starts, steps, strict=True)
        )
        b.apply(ops.Slice(b.name("s"), name, starts, sizes, steps))
    elif kind == "pad":
        pads = [0 if axis % rank == 0 else choose.integer(0, 2) for axis in range(2 * rank)]
        b.apply(ops.Pad(b.name("p"), name, tuple(pads), choose.integer(x.dtype.lo, x.dtype.hi)))
    elif kind == "transpose":
        order = [0, *choose.numbers().permutation(np.arange(1, rank)).tolist()]
        b.apply(ops.Transpose(b.name("t"), name, tuple(int(axis) for axis in order)))
    elif kind == "reshape" and rank > 2:
        b.apply(ops.Reshape(b.name("r"), name, (x.shape[0], x.shape[2], x.shape[1], *x.shape[3:])))
    elif kind == "resize" and rank > 2:
        indices = tuple(
            tuple(j // 2 for j in range(2 * extent))
            if choose.chance(60)
            else tuple(choose.integer(0, extent - 1) for _ in range(choose.integer(1, 9)))
            for extent in x.shape[2:]
        )
        b.apply(ops.Resize(b.name("up"), name, indices))
    elif kind == "cast":
        wider = dtype("i32" if choose.chance(50) else "i16" if x.dtype.bits < 16 else "i32")
        b.requant(b.apply(ops.Cast(b.name("wide"), name, wider)))


def _requant(b: Builder) -> None:
    name = b.latest()
    if name is not None:
        b.requant(name)


def _dequantize(b: Builder) -> None:
    names = [name for name in b.types if not b.types[name].dtype.is_float and name not in b.constants]
    name = b.choose.pick(names)
    shape = b.types[name].shape
    axis = 1 if len(shape) > 1 else 0
    channels = shape[axis] if b.choose.chance(50) else 1
    unit = Grid(dtype("i8"), -4, 4, 0, Rounding.HALF_EVEN)
    linear = random_linear(b.choose, [b.integers(name)], unit, channels, axis)
    if b.choose.chance(60):
        linear = Linear(linear.factors, (Fraction(0),), axis=axis)
    lo = Fraction(0) if b.choose.chance(30) else None
    b.apply(ops.Dequantize(b.name("y"), (name,), linear, lo, None))


_LAYERS = (
    _conv,
    _conv,
    _conv,
    _conv,
    _matmul,
    _flatten,
    _add,
    _add,
    _mul,
    _avg_pool,
    _max_pool,
    _table,
    _movement,
    _movement,
    _requant,
)
