"""The two ends of a program, where floats are allowed: quantize and dequantize."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np

from edgeconv.ir.exact import Grid, Linear
from edgeconv.ir.operators.base import Operator, require, require_integer
from edgeconv.ir.operators.scaling import infer_linear
from edgeconv.ir.types import TensorType, dtype


@dataclass(frozen=True)
class Quantize(Operator):
    """Floats become integers: clip(round(float32(x / scale) ⊕ offset) + zero_point, lo, hi).

    The division, and the addition where offset is not zero, are IEEE float32 operations (⊕), each rounded once, exactly
    as ONNX's QuantizeLinear (offset 0) and QONNX's Quant (offset = zero point, inside the rounding) do it. NaN gives
    the zero point (offset rounded + zero_point), infinities saturate.

    Attributes:
        scale: positive float32 values, one or one per index of `axis`.
        offset: a float32 added before rounding.
    """

    keyword: ClassVar[str] = "quantize"
    operand_fields: ClassVar[tuple[str, ...]] = ("x",)
    x: str
    scale: tuple[float, ...]
    grid: Grid
    offset: float = 0.0
    axis: int = 1

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        x = types[self.x]
        require(x.dtype.is_float, f"operand %{self.x} is {x.dtype}", "f32")
        for value in (*self.scale, self.offset):
            require(float(np.float32(value)) == value, f"scale or offset {value!r} is not a float32")
        require(
            all(0 < value < float("inf") for value in self.scale), f"scales {self.scale} must be positive and finite"
        )
        extent = x.shape[self.axis] if len(self.scale) > 1 else 1
        require(len(self.scale) == extent, f"{len(self.scale)} scales for an axis of extent {extent}")
        problem = self.grid.problem()
        require(problem is None, problem or "")
        return TensorType(x.shape, self.grid.dtype)


@dataclass(frozen=True)
class Dequantize(Operator):
    """Integers become floats: the exact real value of `linear`, clipped to [lo, hi], rounded once to float32.

    Several operands are added (with broadcasting) inside the one rounding.

    Attributes:
        lo, hi: exact real bounds, or None; a ReLU at the output is lo = 0.
    """

    keyword: ClassVar[str] = "dequantize"
    operand_fields: ClassVar[tuple[str, ...]] = ("inputs",)
    inputs: tuple[str, ...]
    linear: Linear
    lo: Fraction | None = None
    hi: Fraction | None = None

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        for name in self.inputs:
            require_integer(name, types[name])
        bounds_ordered = self.lo is None or self.hi is None or self.lo <= self.hi
        require(bounds_ordered, f"clip bounds {self.lo} > {self.hi}")
        return TensorType(infer_linear(self.linear, [types[name] for name in self.inputs]), dtype("f32"))
