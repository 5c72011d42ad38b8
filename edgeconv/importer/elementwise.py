"""Elementwise operators: functions of one value, arithmetic of two, clips, casts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from onnx import TensorProto

from edgeconv.errors import ProgramError, QuantizationError
from edgeconv.importer.builder import UNIT, Builder
from edgeconv.importer.graph import Quantizer
from edgeconv.importer.node import OnnxNode, type_name
from edgeconv.importer.values import Constant, Tensor, Value, integer_dtype, per_axis
from edgeconv.ir import DType, dtype, smallest_dtype
from edgeconv.ir.operators.scaling import broadcast

# Functions of one value without attributes.
PLAIN = (
    "Sigmoid Tanh Exp Log Sqrt Erf Abs Neg Reciprocal Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh "
    "Floor Ceil Round Sign Softplus Softsign HardSwish Mish Relu"
).split()
# Functions of one value with float attributes, and ONNX's defaults.
WITH_FLOATS: dict[str, dict[str, float]] = {
    "LeakyRelu": {"alpha": 0.01},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "Elu": {"alpha": 1.0},
    "Celu": {"alpha": 1.0},
    "ThresholdedRelu": {"alpha": 1.0},
    "Selu": {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875},
    "Swish": {"alpha": 1.0},
}
_CAST_TYPES = {
    TensorProto.INT8: "i8",
    TensorProto.UINT8: "u8",
    TensorProto.INT16: "i16",
    TensorProto.UINT16: "u16",
    TensorProto.INT32: "i32",
    TensorProto.UINT32: "u32",
    TensorProto.INT64: "i64",
    TensorProto.INT4: "i4",
    TensorProto.UINT4: "u4",
    TensorProto.INT2: "i2",
    TensorProto.UINT2: "u2",
}


def function(node: OnnxNode, build: Builder) -> list[Value]:
    """A function of one value."""
    x = build.real(node, 0)
    attributes = float_attributes(node, node.op)
    return [build.emit(node.op, node, (x,), build.shapes[x], **attributes)]


def float_attributes(node: OnnxNode, op: str) -> dict[str, Any]:
    """The float attributes of the function `op`, ONNX's defaults where the node leaves them out."""
    return {name: node.float32(name, default) for name, default in WITH_FLOATS.get(op, {}).items()}


def gelu(node: OnnxNode, build: Builder) -> list[Value]:
    """Gelu of the ONNX or the com.microsoft domain."""
    approximate = node.attribute("approximate", "none")
    if approximate not in ("none", "tanh"):
        raise node.error(f"approximate = {approximate!r}", expected="'none' or 'tanh'")
    x = build.real(node, 0)
    return [build.emit("Gelu", node, (x,), build.shapes[x], approximate=approximate)]


def quick_gelu(node: OnnxNode, build: Builder) -> list[Value]:
    """QuickGelu of com.microsoft: x·sigmoid(alpha·x)."""
    x = build.real(node, 0)
    return [build.emit("Swish", node, (x,), build.shapes[x], alpha=node.float32("alpha", 1.702))]


def prelu(node: OnnxNode, build: Builder) -> list[Value]:
    """PRelu with one slope, or one per index of an axis."""
    x = build.real(node, 0)
    slope = node.constant(1, "the slope").astype(np.float32)
    values = per_axis(slope, len(build.shapes[x]))
    if values is None:
        raise node.error(f"slope of shape {slope.shape}", expected="one slope, or one per channel")
    return [build.emit("PRelu", node, (x,), build.shapes[x], slope=values[0], axis=values[1])]


def arithmetic(node: OnnxNode, build: Builder) -> list[Value]:
    """Add, Sub, Mul or Div with broadcasting."""
    left, right = build.real(node, 0), build.real(node, 1)
    divisor = node.value(1)
    if node.op == "Div" and not isinstance(divisor, Tensor) and not build.finite(node, divisor).all():
        raise node.error(
            f"divides by zero ('{divisor.name}')", expected="a divisor other than 0", kind=QuantizationError
        )
    return [
        build.emit(node.op, node, (left, right), broadcast_shape(node, build, (left, right)), nominal=_nominal(node))
    ]


def times(node: OnnxNode, build: Builder, name: str, factor: float, *, part: str) -> Tensor:
    """Append a Mul by a constant scalar."""
    constant = Constant(build.fresh(f"{node.output}.{part or 'factor'}.value"), np.asarray(factor, np.float32))
    operands = (name, build.real_constant(node, constant))
    return build.emit("Mul", node, operands, build.shapes[name], part=part)


def power(node: OnnxNode, build: Builder) -> list[Value]:
    """Pow with a constant scalar exponent."""
    if node.constant(1, "the exponent").size != 1:
        raise node.error("an exponent per element", expected="one scalar exponent")
    x, exponent = build.real(node, 0), build.real(node, 1)
    return [build.emit("Pow", node, (x, exponent), broadcast_shape(node, build, (x, exponent)))]


def sum_of_all(node: OnnxNode, build: Builder) -> list[Value]:
    """Sum of any number of tensors."""
    names = [build.real(node, index) for index in range(len(node.inputs))]
    if len(names) == 1:
        return [node.tensor(0)]
    total = names[0]
    for number, name in enumerate(names[1:], 1):
        part = "" if number == len(names) - 1 else f"sum{number}"
        shape = broadcast_shape(node, build, (total, name))
        result = build.emit("Add", node, (total, name), shape, part=part, nominal=_nominal(node))
        total = result.name
    return [result]


def extreme(node: OnnxNode, build: Builder) -> list[Value]:
    """Max or Min of a tensor and a scalar constant: a Clip."""
    constants = [i for i in range(len(node.inputs)) if not isinstance(node.value(i), Tensor)]
    if len(node.inputs) != 2 or len(constants) != 1 or node.constant(constants[0], "the bound").size != 1:
        raise node.error(
            "compares tensors element by element",
            expected="one tensor and one scalar constant",
            advice="express it with Relu: max(a, b) = a + relu(b - a), with a quantizer after each operator",
        )
    bound = float(node.constant(constants[0], "the bound").reshape(-1)[0])
    x = build.real(node, 1 - constants[0])
    low, high = (bound, None) if node.op == "Max" else (None, bound)
    return [build.emit("Clip", node, (x,), build.shapes[x], min=low, max=high)]


def clip(node: OnnxNode, build: Builder) -> list[Value]:
    """Clip of real values, or of integers: there it tightens the quantizer that made them."""
    x = node.tensor(0)
    low, high = _bound(node, 1, "the lower bound"), _bound(node, 2, "the upper bound")
    if low is not None and high is not None and low > high:
        raise node.error(f"bounds {low} > {high}", expected="min <= max", kind=QuantizationError)
    if x.dtype is None:
        name = build.real(node, 0)
        return [build.emit("Clip", node, (name,), x.shape, nominal=x.nominal, min=low, max=high)]
    lo = x.dtype.lo if low is None else int(low)
    hi = x.dtype.hi if high is None else int(high)
    producer = build.producers.get(x.name)
    if producer is None or producer.op != "Quantize":
        return [build.like(x, build.emit("Clip", node, (x.name,), x.shape, min=lo, max=hi))]
    quantizer = producer.attributes["quantizer"]
    assert isinstance(quantizer, Quantizer)
    # Clips compose: the outer bounds clip the inner ones.
    inner_lo = min(max(quantizer.lo, lo), hi)
    inner_hi = min(max(quantizer.hi, lo), hi)
    return [build.quantize(node, producer.inputs[0], replace(quantizer, lo=inner_lo, hi=inner_hi))]


def clip_constant(node: OnnxNode) -> list[Value] | None:
    """Clip of an integer constant keeps the bounds as its narrow type; None for any other constant."""
    x = node.value(0)
    if not isinstance(x, Constant) or x.array.dtype.kind not in "iu" or integer_dtype(x.array.dtype) is None:
        return None
    kind = integer_dtype(x.array.dtype)
    assert kind is not None
    low, high = _bound(node, 1, "the lower bound"), _bound(node, 2, "the upper bound")
    lo = kind.lo if low is None else int(low)
    hi = kind.hi if high is None else int(high)
    clipped = np.clip(x.array.astype(np.int64), lo, hi).astype(x.array.dtype)
    narrow = smallest_dtype(lo, hi) if not kind.signed or lo < 0 else smallest_dtype(-hi - 1, hi)
    return [Constant(node.output, clipped, narrow)]


def _bound(node: OnnxNode, index: int, meaning: str) -> float | None:
    if not node.has(index):
        return None
    array = node.constant(index, meaning)
    if array.size != 1 or np.isnan(float(array.reshape(-1)[0])):
        raise node.error(f"{meaning} is {array}", expected="one number", kind=QuantizationError)
    value = float(array.reshape(-1)[0])
    return None if np.isinf(value) else value


def cast(node: OnnxNode, build: Builder) -> list[Value]:
    """Cast: of integers to another integer type, or of integers to the real numbers they are."""
    x = node.tensor(0)
    to = node.attribute("to")
    if to in (TensorProto.FLOAT, TensorProto.DOUBLE):
        if x.dtype is not None:
            return [build.dequantize(node, x, UNIT)]
        return [replace(x, nominal=None)]
    if to in (TensorProto.FLOAT16, TensorProto.BFLOAT16) or to not in _CAST_TYPES:
        raise node.error(
            f"casts to {type_name(to)}",
            expected="float32 or an integer type",
            advice="export the model in float32; quantizers are the only place where values are rounded",
        )
    kind = dtype(_CAST_TYPES[to])
    if x.dtype is None and x.nominal is None:
        raise node.error(
            f"casts real numbers to {kind}, which cuts off their fractions",
            expected="a QuantizeLinear",
            advice="use QuantizeLinear with scale 1 where integers are wanted",
        )
    if x.dtype is None:
        assert x.nominal is not None
        if kind.holds(x.nominal.lo, x.nominal.hi):
            return [replace(x, nominal=kind)]
        quantizer = Quantizer((1.0,), 0, x.nominal, x.nominal.lo, x.nominal.hi)
        x = build.quantize(node, x.name, quantizer, output=build.fresh(f"{node.output}.{x.nominal}"))
    if kind == x.dtype:
        return [x]
    return [build.emit("Cast", node, (x.name,), x.shape, kind=kind, dtype=kind)]


def alias(node: OnnxNode, build: Builder) -> list[Value]:
    """Identity, and Dropout outside training: the value itself."""
    if node.op == "Dropout":
        training = node.optional(2)
        if isinstance(training, Tensor) or (isinstance(training, Constant) and bool(training.array.any())):
            raise node.error("training mode", expected="inference", advice="call model.eval() before exporting")
        if len(node.outputs) > 1 and node.outputs[1]:
            raise node.error("its mask output is used", expected="only the data output")
    return [node.value(0)]


def broadcast_shape(node: OnnxNode, build: Builder, names: tuple[str, ...]) -> tuple[int, ...]:
    """The broadcast shape of values.

    Raises:
        UnsupportedModelError: they do not broadcast.
    """
    try:
        return broadcast([build.shapes[name] for name in names])
    except ProgramError as error:
        raise node.error(error.problem, expected="shapes that broadcast as in numpy") from error


def _nominal(node: OnnxNode) -> DType | None:
    kinds = [value.nominal for value in node.inputs if isinstance(value, Tensor)]
    return kinds[0] if kinds else None
