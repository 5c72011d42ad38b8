"""Operators of Relax as operators of ONNX: what they mean here is what the frontend read them from."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeconv.codegen.tir import tvm
from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.relax.region import Region
from edgeconv.hw.relax.tensors import array_of, dtype_of, is_constant, op_name, shape_of
from edgeconv.hw.relax.writer import Writer

__all__ = ["OPERATORS", "to_onnx"]

_INTEGERS = ("int8", "uint8", "int16", "uint16", "int32")
_NIBBLE = (-8, 7)


def to_onnx(region: Region) -> onnx.ModelProto:
    """The model that a region means.

    Raises:
        UnsupportedModelError: an operator, layout or shape that has no form here; names the variable.
    """
    writer = Writer(region)
    for var, value in region.bindings:
        if isinstance(value, tvm.relax.Tuple):
            continue
        writer.begin(var)
        name = op_name(value)
        write = OPERATORS.get(name)
        if write is None:
            raise UnsupportedModelError(
                f"{var.name}: {name} is not translated", expected="an operator of docs/relax.md"
            )
        write(writer, value)
    return writer.model()


def _quantize(writer: Writer, call: Any) -> None:
    data, scale, zero_point = call.args
    kind = str(call.attrs.out_dtype)
    inputs = (writer.operand(data), *_parameters(writer, scale, zero_point, kind))
    writer.node("QuantizeLinear", inputs, axis=int(call.attrs.axis))


def _dequantize(writer: Writer, call: Any) -> None:
    data, scale, zero_point = call.args
    _need(writer, str(call.attrs.out_dtype) == "float32", f"gives {call.attrs.out_dtype}", "float32")
    kind = dtype_of(data)
    integers = _weights(writer, array_of(data)) if is_constant(data) else writer.operand(data)
    parameters = _parameters(writer, scale, zero_point, kind)
    writer.node("DequantizeLinear", (integers, *parameters), axis=int(call.attrs.axis))


def _parameters(writer: Writer, scale: Any, zero_point: Any, kind: str) -> tuple[str, str]:
    """Scale and zero point as constants, the zero point in the type of the integers."""
    _need(writer, kind in _INTEGERS, f"has the type {kind}", f"one of: {', '.join(_INTEGERS)}")
    _need(writer, is_constant(scale) and is_constant(zero_point), "has a scale computed at run time", "constants")
    zero = array_of(zero_point)
    cast = zero.astype(kind)
    _need(writer, bool((cast == zero).all()), f"has a zero point outside of {kind}", f"zero points of {kind}")
    scales = array_of(scale)
    if scales.size != cast.size:  # a single one counts for all
        cast = np.broadcast_to(cast.reshape(-1)[:1], scales.shape) if cast.size == 1 else cast
        scales = np.broadcast_to(scales.reshape(-1)[:1], cast.shape) if scales.size == 1 else scales
    return writer.constant(scales, "scale"), writer.constant(cast.reshape(scales.shape), "zero_point")


def _weights(writer: Writer, array: NDArray[Any]) -> str:
    """Constant integers; a Clip says of those that fit 4 bits that they do: the array takes such weights in pairs."""
    name = writer.constant(array, "integers")
    low, high = _NIBBLE
    if array.dtype != np.int8 or array.ndim < 2 or not ((low <= array) & (array <= high)).all():
        return name
    bounds = [writer.constant(np.array(bound, np.int8), word) for bound, word in ((low, "low"), (high, "high"))]
    return writer.node("Clip", (name, *bounds), writer.fresh(f"{writer.name}.nibbles"))


def _convolution(op: str, layouts: tuple[tuple[str, str], ...]) -> Callable[[Writer, Any], None]:
    def write(writer: Writer, call: Any) -> None:
        attributes = call.attrs
        found = (str(attributes.data_layout), str(attributes.kernel_layout))
        _need(writer, found in layouts, f"has the layouts {found}", " or ".join(map(str, layouts)))
        _need_layout(writer, attributes.out_layout, found[0])
        extra: dict[str, Any] = {"output_padding": _ints(attributes.output_padding)} if op == "ConvTranspose" else {}
        writer.node(
            op,
            (writer.operand(argument) for argument in call.args),
            strides=_ints(attributes.strides),
            pads=_ints(attributes.padding),
            dilations=_ints(attributes.dilation),
            group=int(attributes.groups),
            **extra,
        )

    return write


def _pool(op: str) -> Callable[[Writer, Any], None]:
    def write(writer: Writer, call: Any) -> None:
        attributes = call.attrs
        layout = str(attributes.layout)
        _need(writer, layout in ("NCW", "NCHW"), f"has the layout {layout}", "NCW or NCHW")
        _need_layout(writer, attributes.out_layout, layout)
        counted: dict[str, Any] = (
            {"count_include_pad": int(attributes.count_include_pad)} if op == "AveragePool" else {}
        )
        writer.node(
            op,
            (writer.operand(call.args[0]),),
            kernel_shape=_ints(attributes.pool_size),
            strides=_ints(attributes.strides),
            pads=_ints(attributes.padding),
            dilations=_ints(attributes.dilation),
            ceil_mode=int(attributes.ceil_mode),
            **counted,
        )

    return write


def _add(writer: Writer, call: Any) -> None:
    """Add; a constant for each channel that comes to a convolution is its bias, as it was in the ONNX file."""
    left, right = (writer.operand(argument) for argument in call.args)
    shape, result = shape_of(call.args[1]), shape_of(call)
    per_channel = len(result) > 2 and len(shape) == len(result) and prod(_known(shape)) == shape[1] == result[1]
    for op in ("Conv", "ConvTranspose") if per_channel else ():
        convolution = writer.take_back(left, op)
        if convolution is not None:
            flat = writer.node(
                "Reshape",
                (right, writer.constant(np.array([shape[1]], np.int64), "channels")),
                writer.fresh(f"{writer.name}.bias"),
            )
            convolution.input.append(flat)
            convolution.output[0] = writer.name
            writer.put(convolution)
            return
    writer.node("Add", (left, right))


def _known(shape: tuple[int | str, ...]) -> list[int]:
    return [extent if isinstance(extent, int) else -1 for extent in shape]


def _plain(op: str, **fixed: Any) -> Callable[[Writer, Any], None]:
    """An operator whose inputs are the arguments, without attributes of its own."""

    def write(writer: Writer, call: Any) -> None:
        writer.node(op, map(writer.operand, call.args), **fixed)

    return write


def _leaky(writer: Writer, call: Any) -> None:
    writer.node("LeakyRelu", (writer.operand(call.args[0]),), alpha=float(call.attrs.alpha))


def _bound(side: int) -> Callable[[Writer, Any], None]:
    """The larger (side 0) or the smaller (side 1) of a tensor and a constant: a Clip at one side, of integers too."""

    def write(writer: Writer, call: Any) -> None:
        bound = call.args[1]
        _need(writer, is_constant(bound) and array_of(bound).size == 1, "compares tensors", "one constant bound")
        name = writer.constant(array_of(bound).reshape(()), "bound")
        writer.node("Clip", (writer.operand(call.args[0]), *([name] if side == 0 else ["", name])))

    return write


def _clip(writer: Writer, call: Any) -> None:
    bounds = [writer.constant(np.array(float(bound), np.float32), "bound") for bound in call.args[1:]]
    writer.node("Clip", (writer.operand(call.args[0]), *bounds))


def _reduce(op: str) -> Callable[[Writer, Any], None]:
    def write(writer: Writer, call: Any) -> None:
        axes = call.attrs.axis
        rank = len(shape_of(call.args[0]))
        chosen = [int(axis) % rank for axis in axes] if axes is not None else list(range(rank))
        inputs = (writer.operand(call.args[0]), writer.constant(np.array(chosen, np.int64), "axes"))
        writer.node(op, inputs, keepdims=int(call.attrs.keepdims))

    return write


def _reshape(writer: Writer, call: Any) -> None:
    """Everything that keeps the order of elements: its result has the shape that Relax inferred."""
    before, after = shape_of(call.args[0]), shape_of(call)
    extents: list[int] = []
    for axis, extent in enumerate(after):
        if axis == 0 and extent == writer.samples and extent == before[0]:
            extents.append(0)  # as many samples as there are
        else:
            _need(writer, isinstance(extent, int), f"gives the shape {after}", "the samples on their own, first")
            extents.append(int(extent))
    target = writer.constant(np.array(extents, np.int64), "shape")
    writer.node("Reshape", (writer.operand(call.args[0]), target))


def _permute(writer: Writer, call: Any) -> None:
    rank = len(shape_of(call.args[0]))
    axes = call.attrs.axes
    order = [int(axis) % rank for axis in axes] if axes is not None else list(range(rank))[::-1]
    writer.node("Transpose", (writer.operand(call.args[0]),), perm=order)


def _concat(writer: Writer, call: Any) -> None:
    _need(writer, isinstance(call.args[0], tvm.relax.Tuple), "joins a tuple computed elsewhere", "its tensors")
    axis = 0 if call.attrs.axis is None else int(call.attrs.axis)
    writer.node("Concat", map(writer.operand, call.args[0].fields), axis=axis)


def _ints(values: Any) -> list[int]:
    return [int(value) for value in values]


def _need(writer: Writer, holds: bool, problem: str, expected: str) -> None:
    if not holds:
        raise UnsupportedModelError(f"{writer.name} {problem}", expected=expected)


def _need_layout(writer: Writer, out_layout: Any, layout: str) -> None:
    found = str(out_layout) if out_layout else layout
    _need(writer, found == layout, f"turns the layout {layout} into {found}", layout)


OPERATORS: dict[str, Callable[[Writer, Any], None]] = {
    "relax.quantize": _quantize,
    "relax.dequantize": _dequantize,
    "relax.nn.conv1d": _convolution("Conv", (("NCW", "OIW"),)),
    "relax.nn.conv2d": _convolution("Conv", (("NCHW", "OIHW"),)),
    "relax.nn.conv1d_transpose": _convolution("ConvTranspose", (("NCW", "IOW"),)),
    "relax.nn.conv2d_transpose": _convolution("ConvTranspose", (("NCHW", "IOHW"),)),
    "relax.matmul": _plain("MatMul"),
    "relax.add": _add,
    "relax.nn.max_pool1d": _pool("MaxPool"),
    "relax.nn.max_pool2d": _pool("MaxPool"),
    "relax.nn.avg_pool1d": _pool("AveragePool"),
    "relax.nn.avg_pool2d": _pool("AveragePool"),
    "relax.mean": _reduce("ReduceMean"),
    "relax.max": _reduce("ReduceMax"),
    "relax.nn.relu": _plain("Relu"),
    "relax.nn.leakyrelu": _leaky,
    "relax.clip": _clip,
    "relax.maximum": _bound(0),
    "relax.minimum": _bound(1),
    "relax.sigmoid": _plain("Sigmoid"),
    "relax.tanh": _plain("Tanh"),
    "relax.erf": _plain("Erf"),
    "relax.exp": _plain("Exp"),
    "relax.abs": _plain("Abs"),
    "relax.negative": _plain("Neg"),
    "relax.nn.silu": _plain("Swish"),
    "relax.nn.gelu": _plain("Gelu"),
    "relax.nn.gelu_tanh": _plain("Gelu", approximate="tanh"),
    "relax.reshape": _reshape,
    "relax.squeeze": _reshape,
    "relax.expand_dims": _reshape,
    "relax.permute_dims": _permute,
    "relax.concat": _concat,
}
"""How each operator is written. Every function of one value among them may become a table."""
