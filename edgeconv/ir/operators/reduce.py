"""Reductions over axes: exact sums, extremes, and the index of an extreme. The reduced axes keep the extent 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from edgeconv.ir.operators.base import Operator, require, require_accumulator, require_integer
from edgeconv.ir.types import DType, TensorType, dtype


def reduced_shape(axes: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with the extent 1 along `axes`.

    Raises:
        ProgramError: the axes are not increasing axes of the shape, or a reduced axis is empty.
    """
    inside = bool(axes) and axes == tuple(sorted(set(axes))) and axes[0] >= 0 and axes[-1] < len(shape)
    require(inside, f"reduces axes {axes} of a tensor of rank {len(shape)}", "increasing axes inside the rank")
    require(all(shape[axis] > 0 for axis in axes), f"reduces an empty axis of shape {shape}")
    return tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))


@dataclass(frozen=True)
class ReduceSum(Operator):
    """acc = Σ (x - x_zero_point) over `axes`, exact in `dtype`; a mean is this sum over the number of its terms."""

    keyword: ClassVar[str] = "reduce_sum"
    operand_fields: ClassVar[tuple[str, ...]] = ("x",)
    x: str
    dtype: DType
    axes: tuple[int, ...]
    x_zero_point: int = 0

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        require_integer(self.x, types[self.x])
        require_accumulator(self.dtype)
        return TensorType(reduced_shape(self.axes, types[self.x].shape), self.dtype)


@dataclass(frozen=True)
class ReduceMax(Operator):
    """The largest value over `axes`."""

    keyword: ClassVar[str] = "reduce_max"
    operand_fields: ClassVar[tuple[str, ...]] = ("x",)
    x: str
    axes: tuple[int, ...]

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        require_integer(self.x, types[self.x])
        return TensorType(reduced_shape(self.axes, types[self.x].shape), types[self.x].dtype)


@dataclass(frozen=True)
class ReduceMin(Operator):
    """The smallest value over `axes`."""

    keyword: ClassVar[str] = "reduce_min"
    operand_fields: ClassVar[tuple[str, ...]] = ("x",)
    x: str
    axes: tuple[int, ...]

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        require_integer(self.x, types[self.x])
        return TensorType(reduced_shape(self.axes, types[self.x].shape), types[self.x].dtype)


@dataclass(frozen=True)
class ArgMax(Operator):
    """The index along `axis` of the largest value (the smallest where not `largest`), as i64.

    Of several equal ones the first, or the last where `last` is set.
    """

    keyword: ClassVar[str] = "argmax"
    operand_fields: ClassVar[tuple[str, ...]] = ("x",)
    x: str
    axis: int
    largest: bool = True
    last: bool = False

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        require_integer(self.x, types[self.x])
        return TensorType(reduced_shape((self.axis,), types[self.x].shape), dtype("i64"))
