"""A random program under construction, evaluated as it grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeconv import reference
from edgeconv.ir import Constant, DType, Grid, Program, TensorType, dtype
from edgeconv.ir import operators as ops
from tests.generate.choices import Choices
from tests.generate.scales import random_grid, random_linear, spread_values

SAMPLES = 3


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
        found = self.constants[name].array[None] if name in self.constants else self.values[name]
        return np.asarray(found.astype(np.int64))

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

    def channel_axis(self, name: str) -> int:
        """The axis along which a requantization of this tensor varies."""
        rank = len(self.types[name].shape)
        return 1 if rank > 2 else rank - 1

    def accumulator_type(self, bound: int) -> DType:
        """i32 where the bound fits (sometimes i64 all the same), else i64."""
        return dtype("i64" if bound >= 1 << 31 or self.choose.chance(6) else "i32")

    def farthest(self, name: str, zero_point: int) -> int:
        """The largest magnitude of a value of the tensor's type minus a zero point."""
        type_ = self.types[name].dtype
        return max(abs(type_.lo - zero_point), abs(type_.hi - zero_point))

    def requant(self, name: str, grid: Grid | None = None, per_channel: int = 50) -> str:
        """Round a tensor to a random grid.

        Args:
            per_channel: how many requantizations of 100 have factors for each channel.
        """
        grid = grid or random_grid(self.choose)
        axis = self.channel_axis(name)
        channels = self.types[name].shape[axis] if self.choose.chance(per_channel) else 1
        linear = random_linear(self.choose, [self.integers(name)], grid, channels, axis)
        return self.apply(ops.Requant(self.name("q"), name, linear, grid))

    def finish_accumulator(self, name: str) -> str:
        """What follows an accumulator: nearly always a requantization."""
        if self.choose.chance(8):
            return self.threshold(name)
        return self.requant(name)

    def threshold(self, name: str) -> str:
        """A table of thresholds on an accumulator, as a monotone function of it becomes."""
        x = self.integers(name)
        axis = min(1, len(self.types[name].shape) - 1)
        rows = self.types[name].shape[axis] if self.choose.chance(50) else 1
        levels = self.choose.pick((1, 3, 15, 200))
        lo, hi = int(x.min()), int(x.max()) + 1
        thresholds = np.sort(self.choose.numbers().integers(lo, hi + 1, (rows, levels)), axis=1)
        increasing = tuple(self.choose.chance(70) for _ in range(rows))
        base = tuple(0 if up else levels for up in increasing)
        table = self.constant(dtype("i64"), thresholds)
        return self.apply(ops.Threshold(self.name("h"), name, table, dtype("u8"), base, increasing, axis))

    def zero_point(self, type_: DType) -> int:
        """A zero point inside a type, often 0."""
        return self.choose.integer(type_.lo, type_.hi) if self.choose.chance(55) else 0

    def weights(self, types: tuple[str, ...], shape: tuple[int, ...]) -> str:
        """Constant weights; the smallest value of a type is often left out, as symmetric quantizers do."""
        type_ = dtype(self.choose.pick(types))
        w = spread_values(self.choose, type_, shape)
        w[w == type_.lo] += int(self.choose.chance(70))
        return self.constant(type_, w)

    def bias(self, channels: int, percent: int) -> str | None:
        """A bias of at most ±4000 for each channel, in `percent` of 100 cases."""
        if not self.choose.chance(percent):
            return None
        return self.constant(dtype("i32"), self.choose.numbers().integers(-4000, 4000, channels))
