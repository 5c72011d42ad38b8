"""What an ONNX value is while the graph is being read: a tensor known at run time, or a constant."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.importer.graph import Scale
from edgeconv.ir import DType, dtype

_INTEGER = re.compile(r"(u?)int(\d+)")


@dataclass(frozen=True)
class Tensor:
    """A value computed at run time.

    Attributes:
        name: its name in the quantized graph.
        dtype: the type of an integer value; None for a real value.
        nominal: for a real value that ONNX declares as integer (the sums of ConvInteger): that integer type.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType | None = None
    nominal: DType | None = None


@dataclass(frozen=True)
class Constant:
    """A constant array as ONNX has it; `narrow` is the type of integers that use less than the array's type."""

    name: str
    array: NDArray[np.generic]
    narrow: DType | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.array.shape


@dataclass(frozen=True)
class QuantizedConstant:
    """Integers that a DequantizeLinear has turned into real numbers: weights and biases."""

    name: str
    integers: NDArray[np.generic]
    dtype: DType
    scale: Scale

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.integers.shape

    def real(self) -> NDArray[np.float32]:
        """The values as DequantizeLinear computes them in float32."""
        integers = self.integers.astype(np.int64) - along(self.scale.zero_point, self.scale.axis, self.shape, np.int64)
        scale = along(self.scale.scale, self.scale.axis, self.shape, np.float32)
        return (integers.astype(np.float32) * scale).astype(np.float32)

    def with_integers(self, integers: NDArray[np.generic], axis: int) -> QuantizedConstant:
        """The same scale over rearranged integers, its axis now `axis`."""
        return replace(self, integers=integers, scale=replace(self.scale, axis=axis))


@dataclass(frozen=True)
class Unknown:
    """A value that a refused node would have produced; its readers stay silent."""


Value = Tensor | Constant | QuantizedConstant | Unknown
Known = Tensor | Constant | QuantizedConstant


def along(
    values: tuple[float, ...] | tuple[int, ...], axis: int, shape: tuple[int, ...], kind: type[np.generic]
) -> NDArray[Any]:
    """Values of an axis as an array that broadcasts over `shape`; a single value becomes a scalar array."""
    array = np.asarray(values, kind)
    if len(values) == 1:
        return array.reshape(())
    return array.reshape([-1 if i == axis else 1 for i in range(len(shape))])


def integer_dtype(kind: np.dtype[np.generic]) -> DType | None:
    """The integer type of a numpy dtype (int4 and the like of ml_dtypes too), or None where it is no integer."""
    match = _INTEGER.fullmatch(kind.name)
    if match is None or kind.name == "uint64":
        return None
    return dtype(f"{'u' if match[1] else 'i'}{match[2]}")


def per_axis(array: NDArray[np.generic], rank: int) -> tuple[tuple[float, ...], int] | None:
    """An array that broadcasts over a tensor of rank `rank`, as values along one axis; None if it varies along two."""
    shape = (1,) * (rank - array.ndim) + array.shape
    wide = [axis for axis, extent in enumerate(shape) if extent != 1]
    if len(wide) > 1 or len(shape) > rank:
        return None
    return tuple(float(value) for value in array.reshape(-1)), wide[0] if wide else 1
