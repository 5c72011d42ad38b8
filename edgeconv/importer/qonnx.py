"""QONNX: Quant and BipolarQuant nodes that quantize and dequantize in one, at any bit width."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import QuantizationError
from edgeconv.importer.builder import Builder
from edgeconv.importer.graph import Quantizer, Scale
from edgeconv.importer.node import OnnxNode
from edgeconv.importer.quantizers import checked_scale, quantize_array, single_zero_point
from edgeconv.importer.values import QuantizedConstant, Tensor, Value, per_axis
from edgeconv.ir import DType, Rounding, dtype

_ROUNDINGS = {"ROUND": Rounding.HALF_EVEN, "HALF_EVEN": Rounding.HALF_EVEN, "HALF_UP": Rounding.HALF_AWAY}
_WIDEST_ACTIVATION, _WIDEST_CONSTANT = 16, 32


def quant(node: OnnxNode, build: Builder) -> list[Value]:
    """Quant (IntQuant): divide, add the zero point, clamp, round, and back to real numbers."""
    build.dialects.add("qonnx")
    x = node.value(0)
    scale, axis = _per_axis(node, checked_scale(node, 1), x.shape, "the scale")
    zero_points = _zero_points(node, x.shape, axis if len(scale) > 1 else None)
    kind, lo, hi = _range(node, _bit_width(node, isinstance(x, Tensor)))
    mode = str(node.attribute("rounding_mode", "ROUND")).upper()
    if mode not in _ROUNDINGS:
        raise node.error(
            f"rounding_mode {mode}",
            expected="ROUND (half to even) or HALF_UP (half away from zero)",
            advice="train with one of these rounding modes (brevitas: FloatToIntImplType.ROUND)",
        )
    quantizer = Quantizer(scale, 0, kind, lo, hi, _ROUNDINGS[mode], zero_point_inside=True, axis=axis)
    if isinstance(x, Tensor):
        quantizer = replace(quantizer, zero_point=single_zero_point(node, zero_points))
        name = build.real(node, 0)
        integers = build.quantize(node, name, quantizer, output=build.fresh(f"{node.output}.integers"))
        return [build.dequantize(node, integers, Scale(scale, (quantizer.zero_point,), axis))]
    integers_array = quantize_array(build.finite(node, x), quantizer, zero_points)
    return [QuantizedConstant(node.output, integers_array, kind, Scale(scale, zero_points, axis))]


def _per_axis(
    node: OnnxNode, array: NDArray[np.generic], shape: tuple[int, ...], meaning: str
) -> tuple[tuple[float, ...], int]:
    found = per_axis(array, len(shape))
    if found is None:
        raise node.error(
            f"{meaning} has shape {array.shape} for a value of shape {shape}",
            expected="one number, or one per index of one axis",
            advice="quantize per tensor or per channel",
            kind=QuantizationError,
        )
    values, axis = found
    if len(values) > 1 and len(values) != shape[axis]:
        raise node.error(
            f"{len(values)} entries of {meaning} for axis {axis} of extent {shape[axis]} (shape {shape})",
            expected=f"1 or {shape[axis]}",
            advice="give the scale the rank of the tensor, with 1 on every axis but the channels",
            kind=QuantizationError,
        )
    return values, axis if len(values) > 1 else 1


def _zero_points(node: OnnxNode, shape: tuple[int, ...], scale_axis: int | None) -> tuple[int, ...]:
    values, axis = _per_axis(node, node.constant(2, "the zero point"), shape, "the zero point")
    if any(value != np.rint(value) for value in values):
        raise node.error(
            f"zero points {sorted(set(values))[:4]}", expected="integers", advice="round the zero point while training"
        )
    integers = tuple(int(value) for value in values)
    if len(set(integers)) == 1:
        return integers[:1]
    if axis != scale_axis:
        raise node.error(f"zero points along axis {axis}, scales not", expected="both along one axis")
    return integers


def _bit_width(node: OnnxNode, is_activation: bool) -> int:
    widths = {float(value) for value in node.constant(3, "the bit width").reshape(-1)}
    limit = _WIDEST_ACTIVATION if is_activation else _WIDEST_CONSTANT
    width = widths.pop() if len(widths) == 1 else -1.0
    if width != int(width) or not 2 <= width <= limit:
        raise node.error(
            f"bit width {sorted({width, *widths})}",
            expected=f"one whole number from 2 to {limit}",
            advice="use BipolarQuant for one bit; round learned bit widths before exporting",
        )
    return int(width)


def _range(node: OnnxNode, bits: int) -> tuple[DType, int, int]:
    signed, narrow = bool(node.attribute("signed", 1)), bool(node.attribute("narrow", 0))
    kind = dtype(f"{'i' if signed else 'u'}{bits}")
    if not narrow:
        return kind, kind.lo, kind.hi
    return (kind, kind.lo + 1, kind.hi) if signed else (kind, kind.lo, kind.hi - 1)


def bipolar_quant(node: OnnxNode, build: Builder) -> list[Value]:
    """BipolarQuant: +scale where x >= 0, else -scale."""
    build.dialects.add("qonnx")
    x = node.value(0)
    scale, axis = _per_axis(node, checked_scale(node, 1), x.shape, "the scale")
    if isinstance(x, Tensor):
        name = build.real(node, 0)
        output = build.fresh(f"{node.output}.integers")
        integers = build.emit("Bipolar", node, (name,), x.shape, output=output, kind=dtype("i2"))
        return [build.dequantize(node, integers, Scale(scale, axis=axis))]
    signs = np.where(build.finite(node, x) >= 0, 1, -1).astype(np.int8)
    return [QuantizedConstant(node.output, signs, dtype("i2"), Scale(scale, axis=axis))]
