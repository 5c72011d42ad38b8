"""Operators that produce exact integer sums, to be rounded by a later requant: convolutions, products, averages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from edgeconv.ir.geometry import TransposedWindow, Window
from edgeconv.ir.operators.base import Operator, require, require_accumulator, require_integer
from edgeconv.ir.operators.scaling import broadcast
from edgeconv.ir.types import DType, TensorType


@dataclass(frozen=True)
class Conv(Operator):
    """Convolution over 1 or 2 spatial axes: acc[n,o,…] = bias[o] + Σ w[o,i,…]·(x[n,g·I+i,…] - x_zero_point).

    x is (N, C, spatial…), w a constant (O, C / groups, kernel…), bias a constant (O,) or None. Padding is real zero,
    that is x_zero_point. The sum is exact in `dtype` (i32 or i64).
    """

    keyword: ClassVar[str] = "conv"
    operand_fields: ClassVar[tuple[str, ...]] = ("x", "w", "bias")
    x: str
    w: str
    bias: str | None
    dtype: DType
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    groups: int = 1
    x_zero_point: int = 0

    def window(self, w: TensorType) -> Window:
        """The sliding window, given the type of the weights."""
        return Window(w.shape[2:], self.strides, self.dilations, self.pads)

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        out_channels = _check_convolution(self, types)
        x, w = types[self.x], types[self.w]
        return TensorType((x.shape[0], out_channels, *self.window(w).output_shape(x.shape[2:])), self.dtype)


@dataclass(frozen=True)
class ConvTranspose(Operator):
    """Transposed convolution over 1 or 2 spatial axes: every input adds a scaled kernel to the outputs it reaches.

    acc[n,o,p] = bias[o] + Σ w[o,i,t]·(x[n,g·I+i,q] - x_zero_point), over all q and t that meet there: q·stride +
    t·dilation - begin = p. x is (N, C, spatial…), w a constant (O, C / groups, kernel…), output channels first as in
    conv. `pads` cut begins and ends off the full result, `output_padding` lengthens its ends. The sum is exact.
    """

    keyword: ClassVar[str] = "conv_transpose"
    operand_fields: ClassVar[tuple[str, ...]] = ("x", "w", "bias")
    x: str
    w: str
    bias: str | None
    dtype: DType
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    output_padding: tuple[int, ...]
    groups: int = 1
    x_zero_point: int = 0

    def window(self, w: TensorType) -> TransposedWindow:
        """The transposed window, given the type of the weights."""
        return TransposedWindow(w.shape[2:], self.strides, self.dilations, self.pads, self.output_padding)

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        out_channels = _check_convolution(self, types)
        x, w = types[self.x], types[self.w]
        return TensorType((x.shape[0], out_channels, *self.window(w).output_shape(x.shape[2:])), self.dtype)


@dataclass(frozen=True)
class MatMul(Operator):
    """acc[…,m,n] = bias[n] + Σ_k (x[…,m,k] - x_zero_point)·(w[…,k,n] - w_zero_point), exact in `dtype`.

    w is a constant (K, N), or any tensor whose leading axes broadcast with those of x.
    """

    keyword: ClassVar[str] = "matmul"
    operand_fields: ClassVar[tuple[str, ...]] = ("x", "w", "bias")
    x: str
    w: str
    bias: str | None
    dtype: DType
    x_zero_point: int = 0
    w_zero_point: int = 0

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        x, w = types[self.x], types[self.w]
        require_integer(self.x, x)
        require_integer(self.w, w)
        require_accumulator(self.dtype)
        require(len(x.shape) >= 2 and len(w.shape) >= 2, f"matmul of shapes {x.shape} and {w.shape}", "rank 2 or more")
        require(x.shape[-1] == w.shape[-2], f"matmul of shapes {x.shape} and {w.shape}", "equal inner extents")
        _check_bias(self.bias, types, w.shape[-1])
        leading = broadcast([x.shape[:-2], w.shape[:-2]])
        return TensorType((*leading, x.shape[-2], w.shape[-1]), self.dtype)


@dataclass(frozen=True)
class Mul(Operator):
    """Elementwise product with broadcasting: acc = (x - x_zero_point)·(y - y_zero_point), exact in `dtype`."""

    keyword: ClassVar[str] = "mul"
    operand_fields: ClassVar[tuple[str, ...]] = ("x", "y")
    x: str
    y: str
    dtype: DType
    x_zero_point: int = 0
    y_zero_point: int = 0

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        require_integer(self.x, types[self.x])
        require_integer(self.y, types[self.y])
        require_accumulator(self.dtype)
        return TensorType(broadcast([types[self.x].shape, types[self.y].shape]), self.dtype)


@dataclass(frozen=True)
class AvgPool(Operator):
    """The sum of an average pool on a common denominator: acc = (L / count)·Σ (x - x_zero_point).

    count is how many taps of the window lie inside the input extended by `counted_pads` (all zero when padding is
    excluded from the average, equal to `pads` when it is included); L is the least common multiple of all counts
    (`Window.count_multiple`), so the average is acc / L exactly.
    """

    keyword: ClassVar[str] = "avg_pool"
    operand_fields: ClassVar[tuple[str, ...]] = ("x",)
    x: str
    dtype: DType
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    counted_pads: tuple[int, ...]
    x_zero_point: int = 0

    @property
    def window(self) -> Window:
        """The sliding window."""
        return Window(self.kernel, self.strides, self.dilations, self.pads)

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        x = types[self.x]
        require_integer(self.x, x)
        require_accumulator(self.dtype)
        require(len(x.shape) in (3, 4), f"avg_pool over a tensor of shape {x.shape}", "rank 3 (1-D) or 4 (2-D)")
        require(len(self.counted_pads) == len(self.pads), f"counted_pads {self.counted_pads} for pads {self.pads}")
        spatial = self.window.output_shape(x.shape[2:])
        self.window.count_multiple(x.shape[2:], self.counted_pads)
        return TensorType((*x.shape[:2], *spatial), self.dtype)


@dataclass(frozen=True)
class Cast(Operator):
    """The same integers in another type; the certificate shows that every value fits."""

    keyword: ClassVar[str] = "cast"
    operand_fields: ClassVar[tuple[str, ...]] = ("x",)
    x: str
    dtype: DType

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        require_integer(self.x, types[self.x])
        require(not self.dtype.is_float, "cast to f32", "an integer type (dequantize makes floats)")
        return TensorType(types[self.x].shape, self.dtype)


def _check_convolution(operator: Conv | ConvTranspose, types: Mapping[str, TensorType]) -> int:
    """What both kinds of convolution require; the number of output channels."""
    x, w = types[operator.x], types[operator.w]
    require_integer(operator.x, x)
    require_integer(operator.w, w)
    require_accumulator(operator.dtype)
    require(len(x.shape) in (3, 4), f"{operator.keyword} over a tensor of shape {x.shape}", "rank 3 (1-D) or 4 (2-D)")
    require(len(w.shape) == len(x.shape), f"weights of shape {w.shape} for an input of shape {x.shape}")
    out_channels, in_channels = w.shape[0], w.shape[1] * operator.groups
    require(in_channels == x.shape[1], f"weights read {in_channels} channels, the input has {x.shape[1]}")
    require(out_channels % operator.groups == 0, f"{out_channels} output channels in {operator.groups} groups")
    _check_bias(operator.bias, types, out_channels)
    return out_channels


def _check_bias(bias: str | None, types: Mapping[str, TensorType], channels: int) -> None:
    if bias is not None:
        require_integer(bias, types[bias])
        require(types[bias].shape == (channels,), f"bias of shape {types[bias].shape}", f"({channels},)")
