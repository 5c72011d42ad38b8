"""QCDQ: QuantizeLinear and DequantizeLinear around float operators, with an integer Clip between them or none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from edgeconv.errors import QuantizationError
from edgeconv.importer.builder import Builder
from edgeconv.importer.graph import Quantizer, Scale
from edgeconv.importer.node import OnnxNode, type_name
from edgeconv.importer.quantizers import (
    checked_scale,
    floats,
    ints,
    quantize_array,
    scale_axis,
    single_zero_point,
)
from edgeconv.importer.values import Constant, QuantizedConstant, Tensor, Value, along, integer_dtype
from edgeconv.ir import DType, dtype

# TensorProto element types that `output_dtype` of QuantizeLinear may name.
_OUTPUT_TYPES = {
    TensorProto.UINT8: "u8",
    TensorProto.INT8: "i8",
    TensorProto.UINT16: "u16",
    TensorProto.INT16: "i16",
    TensorProto.UINT4: "u4",
    TensorProto.INT4: "i4",
    TensorProto.UINT2: "u2",
    TensorProto.INT2: "i2",
}
_WIDEST_QUANTIZER = 16


def quantize_linear(node: OnnxNode, build: Builder) -> list[Value]:
    """QuantizeLinear of the ONNX and the com.microsoft domain."""
    build.dialects.add("qcdq")
    x = node.value(0)
    _check_attributes(node)
    scale = checked_scale(node, 1)
    zero_points, kind = _zero_points_of_quantize(node, scale)
    if isinstance(x, Tensor) and x.dtype is not None:
        raise node.error(
            f"quantizes integers ({x.dtype}) of '{x.name}' again",
            expected="real values",
            advice="put a DequantizeLinear, or a Cast to float, before it",
            kind=QuantizationError,
        )
    axis = scale_axis(node, scale, x.shape, node.attribute("axis", 1))
    if isinstance(x, Tensor):
        zero_point = single_zero_point(node, zero_points)
        quantizer = Quantizer(floats(scale), zero_point, kind, kind.lo, kind.hi, axis=axis)
        return [build.quantize(node, x.name, quantizer)]
    quantizer = Quantizer(floats(scale), 0, kind, kind.lo, kind.hi, axis=axis)
    return [Constant(node.output, quantize_array(build.finite(node, x), quantizer, zero_points), kind)]


def _zero_points_of_quantize(node: OnnxNode, scale: NDArray[np.float32]) -> tuple[tuple[int, ...], DType]:
    declared = node.attribute("output_dtype", 0)
    if declared and declared not in _OUTPUT_TYPES:
        raise _float_type(node, f"output type {declared}")
    kind = dtype(_OUTPUT_TYPES[declared]) if declared else dtype("u8")
    if not node.has(2):
        return (0,), kind
    zero = node.constant(2, "the zero point")
    found = integer_dtype(zero.dtype)
    if found is None or found.bits > _WIDEST_QUANTIZER:
        raise _float_type(node, f"zero point of type {zero.dtype.name}")
    if declared and found != kind:
        raise node.error(
            f"zero point of type {found}, output of type {kind}", expected="one type", kind=QuantizationError
        )
    return _sized_like(node, zero, scale), found


def _float_type(node: OnnxNode, problem: str) -> Exception:
    return node.error(
        problem,
        expected="an integer type of 2, 4, 8 or 16 bits",
        advice="quantize to integers: 8-bit floats have no integer arithmetic",
        kind=QuantizationError,
    )


def _sized_like(node: OnnxNode, zero: NDArray[np.generic], scale: NDArray[np.float32]) -> tuple[int, ...]:
    if zero.size not in (1, scale.size):
        raise node.error(
            f"{zero.size} zero points for {scale.size} scales",
            expected="as many zero points as scales, or one",
            kind=QuantizationError,
        )
    return ints(zero)


def _check_attributes(node: OnnxNode) -> None:
    """Refuse attributes of newer operator sets that change the arithmetic."""
    for attribute in ("precision", "output_dtype"):
        element = node.attribute(attribute, 0)
        if element not in (0, TensorProto.FLOAT) and (attribute == "precision" or node.op == "DequantizeLinear"):
            raise node.error(
                f"{attribute} {type_name(element)}",
                expected="float32 arithmetic",
                advice="export the model in float32",
                kind=QuantizationError,
            )
    if node.attribute("block_size", 0):
        raise node.error(
            f"block_size {node.attribute('block_size')}",
            expected="one scale per tensor or per channel",
            advice="quantize per tensor or per channel",
            kind=QuantizationError,
        )


def dequantize_linear(node: OnnxNode, build: Builder) -> list[Value]:
    """DequantizeLinear of the ONNX and the com.microsoft domain."""
    build.dialects.add("qcdq")
    x = node.value(0)
    _check_attributes(node)
    scale = checked_scale(node, 1)
    kind = _integer_kind(node)
    zero_points: tuple[int, ...] = (0,)
    if node.has(2):
        zero = node.constant(2, "the zero point")
        _check_zero_type(node, zero, kind)
        zero_points = _sized_like(node, zero, scale)
    axis = scale_axis(node, scale, x.shape, node.attribute("axis", 1))
    parameters = Scale(floats(scale), zero_points, axis)
    if isinstance(x, Constant):
        return [QuantizedConstant(node.output, x.array, x.narrow or kind, parameters)]
    if isinstance(x, Tensor) and x.dtype is not None:
        return [build.dequantize(node, x, parameters)]
    return [_scaled_sums(node, build, parameters)]


def _integer_kind(node: OnnxNode) -> DType:
    x = node.value(0)
    if isinstance(x, Constant):
        found = integer_dtype(x.array.dtype)
    elif isinstance(x, Tensor):
        found = x.dtype or x.nominal
    else:
        found = None
    if found is None:
        raise node.error(
            f"'{x.name}' holds real numbers",
            expected="the integers of a quantizer or of an integer input",
            advice="remove this DequantizeLinear or quantize its input",
            kind=QuantizationError,
        )
    return found


def _check_zero_type(node: OnnxNode, zero: NDArray[np.generic], kind: DType) -> None:
    x = node.value(0)
    array_kind = integer_dtype(x.array.dtype) if isinstance(x, Constant) else kind
    found = integer_dtype(zero.dtype)
    # An integer Clip narrows what is known of the values, never the type that ONNX gives them.
    container = None if array_kind is None else array_kind.container
    if found is None or (found != array_kind and zero.dtype != container):
        raise node.error(
            f"zero point of type {zero.dtype.name} for integers of type {array_kind}",
            expected="the type of the integers",
            advice="give the zero point the type of the tensor it belongs to",
            kind=QuantizationError,
        )


def _scaled_sums(node: OnnxNode, build: Builder, scale: Scale) -> Tensor:
    """The integer sums of ConvInteger or MatMulInteger, which are exact reals here, times a scale."""
    x = node.tensor(0)
    if any(scale.zero_point):
        raise node.error("zero point on 32-bit sums", expected="zero point 0", kind=QuantizationError)
    factors = np.asarray(along(scale.scale, scale.axis, x.shape, np.float32))
    factor = build.real_constant(node, Constant(build.fresh(f"{node.output}.scale"), factors))
    return build.emit("Mul", node, (x.name, factor), x.shape)
