"""QOperator: operators that carry their quantizers with them become Dequantize, the float operator, Quantize."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import QuantizationError
from edgeconv.importer.builder import Builder
from edgeconv.importer.elementwise import broadcast_shape, float_attributes, times
from edgeconv.importer.graph import Quantizer, Scale
from edgeconv.importer.linear import emit_matmul, matrix
from edgeconv.importer.movement import emit_concat
from edgeconv.importer.node import OnnxNode
from edgeconv.importer.quantizers import checked_scale, floats, ints, positive, scale_axis, single_zero_point
from edgeconv.importer.values import Constant, QuantizedConstant, Tensor, Value, integer_dtype
from edgeconv.importer.windows import emit_average_pool, emit_conv, emit_global_pool
from edgeconv.ir import DType, dtype

_SUMS = dtype("i32")


def _zero_point(node: OnnxNode, index: int, kind: DType, scales: int) -> tuple[int, ...]:
    if not node.has(index):
        return (0,)
    zero = node.constant(index, "a zero point")
    found = integer_dtype(zero.dtype)
    if found is None or found.container != kind.container:
        raise node.error(
            f"zero point (input {index}) of type {zero.dtype.name} for integers of type {kind}",
            expected=f"{kind}",
            advice="give the zero point the type of the tensor it belongs to",
            kind=QuantizationError,
        )
    if zero.size not in (1, scales):
        raise node.error(
            f"{zero.size} zero points (input {index}) for {scales} scales", expected="as many, or one",
            kind=QuantizationError,
        )  # fmt: skip
    return ints(zero)


def operand(node: OnnxNode, build: Builder, at: int, scale_at: int, zero_at: int, axis: int = 1) -> str:
    """The name of quantized input `at` as a real value, given where its scale and zero point are."""
    scale = checked_scale(node, scale_at, f"the scale of input {at}")
    return _dequantized(node, build, at, scale, zero_at, axis)


def _dequantized(node: OnnxNode, build: Builder, at: int, scale: NDArray[np.float32], zero_at: int, axis: int) -> str:
    value = node.value(at)
    kind = _integer_kind(node, at)
    zero = _zero_point(node, zero_at, kind, scale.size)
    parameters = Scale(floats(scale), zero, scale_axis(node, _flat(scale), value.shape, axis))
    if isinstance(value, Tensor):
        return build.dequantize(node, value, parameters, part=f"input{at}").name
    assert isinstance(value, Constant)
    constant = QuantizedConstant(value.name, value.array, value.narrow or kind, parameters)
    return build.real_constant(node, constant)


def _flat(scale: NDArray[np.float32]) -> NDArray[np.float32]:
    # Some writers give QLinearMatMul's per-column scales as a row of shape (1, N).
    return scale.reshape(-1) if sum(extent > 1 for extent in scale.shape) <= 1 else scale


def _integer_kind(node: OnnxNode, at: int) -> DType:
    value = node.value(at)
    kind = integer_dtype(value.array.dtype) if isinstance(value, Constant) else None
    if isinstance(value, Tensor):
        kind = value.dtype
    if kind is None:
        raise node.error(
            f"input {at} ('{value.name}') holds real numbers", expected="quantized integers", kind=QuantizationError
        )
    return kind


def result(node: OnnxNode, build: Builder, real: Tensor, scale_at: int, zero_at: int) -> list[Value]:
    """Append the Quantize at the end of an operator, its type that of the zero point."""
    scale = _flat(checked_scale(node, scale_at, "the output scale"))
    kind = dtype("u8")
    if node.has(zero_at):
        found = integer_dtype(node.constant(zero_at, "the output zero point").dtype)
        if found is None or found.bits > 16:
            raise node.error(
                "output zero point of a wide or float type", expected="8 or 16 bits", kind=QuantizationError
            )
        kind = found
    zero = single_zero_point(node, _zero_point(node, zero_at, kind, scale.size))
    axis = scale_axis(node, scale, real.shape, len(real.shape) - 1 if scale.size > 1 else 1)
    return [build.quantize(node, real.name, Quantizer(floats(scale), zero, kind, kind.lo, kind.hi, axis=axis))]


def _bias(node: OnnxNode, build: Builder, at: int, scale: NDArray[np.float32]) -> str:
    # Its scale is the product of the scales of input and weights in float32, as exporters of QDQ write it.
    value = node.value(at)
    if not isinstance(value, Constant) or integer_dtype(value.array.dtype) != _SUMS:
        raise node.error(f"bias '{value.name}'", expected="a constant of type int32", kind=QuantizationError)
    flat = positive(node, scale.astype(np.float32).reshape(-1), "the product of input and weight scales")
    axis = scale_axis(node, flat, value.shape, len(value.shape) - 1, "the bias scale")
    constant = QuantizedConstant(value.name, value.array, _SUMS, Scale(floats(flat), axis=axis))
    return build.real_constant(node, constant)


def qlinear_conv(node: OnnxNode, build: Builder) -> list[Value]:
    """QLinearConv, channels first."""
    build.dialects.add("qoperator")
    _refuse_channels_last(node)
    x, w = operand(node, build, 0, 1, 2), operand(node, build, 3, 4, 5, axis=0)
    bias: tuple[str, ...] = ()
    if node.has(8):
        scales = checked_scale(node, 1) * checked_scale(node, 4)
        bias = (_bias(node, build, 8, scales),)
    return result(node, build, emit_conv(node, build, (x, w, *bias), part="real"), 6, 7)


def _refuse_channels_last(node: OnnxNode) -> None:
    if node.attribute("channels_last", 0):
        raise node.error("channels_last", expected="channels first", advice="export without layout optimisations")


def qlinear_matmul(node: OnnxNode, build: Builder) -> list[Value]:
    """QLinearMatMul."""
    build.dialects.add("qoperator")
    left = operand(node, build, 0, 1, 2, axis=max(len(node.value(0).shape) - 2, 0))
    right = operand(node, build, 3, 4, 5, axis=len(node.value(3).shape) - 1)
    return result(node, build, emit_matmul(node, build, left, right, part="real"), 6, 7)


def qgemm(node: OnnxNode, build: Builder) -> list[Value]:
    """QGemm of com.microsoft; without an output scale its output is real."""
    build.dialects.add("qoperator")
    left = operand(node, build, 0, 1, 2)
    if node.attribute("transA", 0):
        shape = build.shapes[left][::-1]
        left = build.emit("Transpose", node, (left,), shape, part="transposed", permutation=(1, 0)).name
    transposed = bool(node.attribute("transB", 0))
    weights, scale = node.value(3), checked_scale(node, 4, "the weight scale")
    kind = _integer_kind(node, 3)
    zero = _zero_point(node, 5, kind, scale.size)
    if not isinstance(weights, Constant):
        raise node.error(f"weights '{weights.name}' are computed at run time", expected="a constant")
    axis = scale_axis(node, scale, weights.shape, 0 if transposed else 1)
    quantized = QuantizedConstant(weights.name, weights.array, weights.narrow or kind, Scale(floats(scale), zero, axis))
    right = matrix(node, build, quantized, transpose=transposed)
    alpha = node.float32("alpha", 1.0)
    quantizes, with_bias = node.has(7), node.has(6)
    product = emit_matmul(node, build, left, right, part="product" if quantizes or with_bias or alpha != 1 else "")
    if alpha != 1:
        product = times(node, build, product.name, alpha, part="scaled" if quantizes or with_bias else "")
    if with_bias:
        scales = np.float32(alpha) * checked_scale(node, 1) * scale
        bias = _bias(node, build, 6, scales)
        shape = broadcast_shape(node, build, (product.name, bias))
        product = build.emit("Add", node, (product.name, bias), shape, part="real" if quantizes else "")
    return result(node, build, product, 7, 8) if quantizes else [product]


def qlinear_binary(op: str) -> Callable[[OnnxNode, Builder], list[Value]]:
    """The handler of QLinearAdd or QLinearMul."""

    def handler(node: OnnxNode, build: Builder) -> list[Value]:
        build.dialects.add("qoperator")
        names = (operand(node, build, 0, 1, 2), operand(node, build, 3, 4, 5))
        return result(node, build, build.emit(op, node, names, broadcast_shape(node, build, names), part="real"), 6, 7)

    return handler


def qlinear_concat(node: OnnxNode, build: Builder) -> list[Value]:
    """QLinearConcat: each input with its own scale, one quantizer behind."""
    build.dialects.add("qoperator")
    if len(node.inputs) < 5 or (len(node.inputs) - 2) % 3:
        raise node.error(f"{len(node.inputs)} inputs", expected="output scale and zero point, then triples")
    names = [operand(node, build, at, at + 1, at + 2) for at in range(2, len(node.inputs), 3)]
    return result(node, build, emit_concat(node, build, names, node.attribute("axis", 0), part="real"), 0, 1)


def qlinear_pool(node: OnnxNode, build: Builder) -> list[Value]:
    """QLinearAveragePool and QLinearGlobalAveragePool, channels first."""
    build.dialects.add("qoperator")
    _refuse_channels_last(node)
    name = operand(node, build, 0, 1, 2)
    x = Tensor(name, build.shapes[name])
    if node.op == "QLinearAveragePool":
        return result(node, build, emit_average_pool(node, build, x, part="real"), 3, 4)
    return result(node, build, emit_global_pool(node, build, "AveragePool", x, part="real"), 3, 4)


def qlinear_function(op: str) -> Callable[[OnnxNode, Builder], list[Value]]:
    """The handler of QLinearSigmoid or QLinearLeakyRelu."""

    def handler(node: OnnxNode, build: Builder) -> list[Value]:
        build.dialects.add("qoperator")
        x = operand(node, build, 0, 1, 2)
        return result(
            node, build, build.emit(op, node, (x,), build.shapes[x], part="real", **float_attributes(node, op)), 3, 4
        )

    return handler


def _centred(node: OnnxNode, build: Builder, at: int, zero_at: int, axis: int) -> str:
    zeros = node.constant(zero_at, "a zero point").size if node.has(zero_at) else 1
    return _dequantized(node, build, at, np.ones(zeros, np.float32), zero_at, axis)


def conv_integer(node: OnnxNode, build: Builder) -> list[Value]:
    """ConvInteger: exact sums of integers, real values of nominal type int32."""
    build.dialects.add("qoperator")
    names = (_centred(node, build, 0, 2, 1), _centred(node, build, 1, 3, 0))
    sums = emit_conv(node, build, names)
    return [Tensor(sums.name, sums.shape, nominal=_SUMS)]


def matmul_integer(node: OnnxNode, build: Builder) -> list[Value]:
    """MatMulInteger: exact sums of integers, real values of nominal type int32."""
    build.dialects.add("qoperator")
    left = _centred(node, build, 0, 2, max(len(node.value(0).shape) - 2, 0))
    right = _centred(node, build, 1, 3, len(node.value(1).shape) - 1)
    sums = emit_matmul(node, build, left, right)
    return [Tensor(sums.name, sums.shape, nominal=_SUMS)]
