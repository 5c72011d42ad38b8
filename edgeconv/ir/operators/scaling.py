"""Operators that round: requant, add, table and threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from edgeconv.errors import ProgramError
from edgeconv.ir.exact import Grid, Linear
from edgeconv.ir.operators.base import Operator, require, require_integer
from edgeconv.ir.types import DType, TensorType


def broadcast(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The numpy broadcast of shapes.

    Raises:
        ProgramError: two extents differ and neither is 1.
    """
    rank = max(len(shape) for shape in shapes)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    result = []
    for extents in zip(*padded, strict=True):
        wide = {extent for extent in extents if extent != 1}
        if len(wide) > 1:
            raise ProgramError(f"shapes {', '.join(map(str, shapes))} do not broadcast together")
        result.append(wide.pop() if wide else 1)
    return tuple(result)


def infer_linear(linear: Linear, types: Sequence[TensorType]) -> tuple[int, ...]:
    """The output shape of `linear` over operands of these types, its channel axis checked."""
    require(len(linear.factors) == len(types), f"{len(linear.factors)} factors for {len(types)} operands")
    problem = linear.problem()
    require(problem is None, problem or "")
    shape = broadcast([type_.shape for type_ in types])
    if linear.channels > 1:
        require(0 <= linear.axis < len(shape), f"channel axis {linear.axis} of a tensor of rank {len(shape)}")
        extent = shape[linear.axis]
        require(linear.channels == extent, f"{linear.channels} channels for axis {linear.axis} of extent {extent}")
    return shape


@dataclass(frozen=True)
class Requant(Operator):
    """One rounding per quantizer: clip(round(linear(x)) + zero_point, lo, hi), per channel of `linear.axis`."""

    keyword: ClassVar[str] = "requant"
    operand_fields: ClassVar[tuple[str, ...]] = ("x",)
    x: str
    linear: Linear
    grid: Grid

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        require_integer(self.x, types[self.x])
        problem = self.grid.problem()
        require(problem is None, problem or "")
        return TensorType(infer_linear(self.linear, [types[self.x]]), self.grid.dtype)


@dataclass(frozen=True)
class Add(Operator):
    """A sum of several tensors, each with its own exact factor, rounded once.

    The result is clip(round(linear(x₁, x₂, …)) + zero_point, lo, hi).

    Operands broadcast as in numpy. Zero points of the operands are part of `linear.offset`.
    """

    keyword: ClassVar[str] = "add"
    operand_fields: ClassVar[tuple[str, ...]] = ("inputs",)
    inputs: tuple[str, ...]
    linear: Linear
    grid: Grid

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        require(len(self.inputs) >= 2, f"add of {len(self.inputs)} operand", "at least 2 (one is a requant)")
        for name in self.inputs:
            require_integer(name, types[name])
        problem = self.grid.problem()
        require(problem is None, problem or "")
        return TensorType(infer_linear(self.linear, [types[name] for name in self.inputs]), self.grid.dtype)


@dataclass(frozen=True)
class Table(Operator):
    """Any function of one value of at most 16 bits: output = values[x - x.dtype.lo].

    `values` is a constant of shape (2^bits,), or (channels, 2^bits) indexed by the position along `axis`. It may hold
    f32, where the function is the last thing before an output.
    """

    keyword: ClassVar[str] = "table"
    operand_fields: ClassVar[tuple[str, ...]] = ("x", "values")
    x: str
    values: str
    axis: int = 1

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        x, values = types[self.x], types[self.values]
        require_integer(self.x, x)
        require(x.dtype.bits <= 16, f"table over {x.dtype}", "a type of at most 16 bits")
        expected: tuple[int, ...] = (1 << x.dtype.bits,)
        if len(values.shape) == 2:
            expected = (x.shape[self.axis], *expected)
        require(values.shape == expected, f"table of shape {values.shape}", f"{expected}")
        return TensorType(x.shape, values.dtype)


@dataclass(frozen=True)
class Threshold(Operator):
    """A monotone function of an accumulator: counts the thresholds that x has reached.

    Increasing: output = base + #{j: x >= thresholds[k, j]}; decreasing: output = base - #{j: x > thresholds[k, j]}.
    `thresholds` is a constant i64 of shape (1 or channels, levels), each row in non-decreasing order; k is the position
    along `axis`. `base` holds one integer or one per row.
    """

    keyword: ClassVar[str] = "threshold"
    operand_fields: ClassVar[tuple[str, ...]] = ("x", "thresholds")
    x: str
    thresholds: str
    dtype: DType
    base: tuple[int, ...]
    increasing: tuple[bool, ...] = (True,)
    axis: int = 1

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        x, thresholds = types[self.x], types[self.thresholds]
        require_integer(self.x, x)
        require(str(thresholds.dtype) == "i64", f"thresholds of type {thresholds.dtype}", "i64")
        require(len(thresholds.shape) == 2, f"thresholds of shape {thresholds.shape}", "(1 or channels, levels)")
        rows, levels = thresholds.shape
        require(rows == 1 or rows == x.shape[self.axis], f"{rows} rows of thresholds", f"1 or {x.shape[self.axis]}")
        for name, length in (("base", len(self.base)), ("increasing", len(self.increasing))):
            require(length in (1, rows), f"{length} entries of {name}", f"1 or {rows}")
        for row in range(rows):
            base = self.base[row if len(self.base) > 1 else 0]
            increasing = self.increasing[row if len(self.increasing) > 1 else 0]
            reach = (base, base + levels) if increasing else (base - levels, base)
            require(self.dtype.holds(*reach), f"row {row}: values {reach[0]}…{reach[1]} do not fit {self.dtype}")
        return TensorType(x.shape, self.dtype)
