"""Matrix products and batch normalization."""

from __future__ import annotations

import numpy as np

from edgeconv.errors import ProgramError, QuantizationError
from edgeconv.importer.builder import Builder
from edgeconv.importer.elementwise import broadcast_shape, times
from edgeconv.importer.node import OnnxNode
from edgeconv.importer.values import Constant, Known, QuantizedConstant, Tensor, Value
from edgeconv.ir.operators.scaling import broadcast


def matmul(node: OnnxNode, build: Builder) -> list[Value]:
    """MatMul as numpy.matmul; vectors become matrices of one row or column."""
    left, right = build.real(node, 0), build.real(node, 1)
    return [emit_matmul(node, build, left, right)]


def emit_matmul(node: OnnxNode, build: Builder, left: str, right: str, *, part: str = "") -> Tensor:
    """Append a MatMul of two real values."""
    a, b = build.shapes[left], build.shapes[right]
    if not a or not b:
        raise node.error(f"product of shapes {a} and {b}", expected="at least one axis each")
    if len(a) > 1 and len(b) > 1:
        return build.emit("MatMul", node, (left, right), _product_shape(node, a, b), part=part)
    if len(a) == 1:
        left = build.emit("Reshape", node, (left,), (1, *a), part="row", shape=(1, *a)).name
    if len(b) == 1:
        right = build.emit("Reshape", node, (right,), (*b, 1), part="column", shape=(*b, 1)).name
    shape = _product_shape(node, build.shapes[left], build.shapes[right])
    product = build.emit("MatMul", node, (left, right), shape, part="product")
    if len(b) == 1:
        shape = shape[:-1]
    if len(a) == 1:
        shape = (*shape[:-2], shape[-1]) if len(b) > 1 else shape[:-1]
    return build.emit("Reshape", node, (product.name,), shape, part=part, shape=shape)


def _product_shape(node: OnnxNode, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    try:
        leading = broadcast([a[:-2], b[:-2]]) if len(a) > 2 or len(b) > 2 else ()
    except ProgramError as error:
        raise node.error(error.problem, expected="leading axes that broadcast") from error
    if a[-1] != b[-2]:
        raise node.error(f"product of shapes {a} and {b}", expected="equal inner extents")
    return (*leading, a[-2], b[-1])


def gemm(node: OnnxNode, build: Builder) -> list[Value]:
    """Gemm: MatMul, then alpha, then beta·C."""
    left = build.real(node, 0)
    if node.attribute("transA", 0):
        left = _transposed_tensor(node, build, left)
    right = matrix(node, build, node.value(1), transpose=bool(node.attribute("transB", 0)))
    alpha, beta = node.float32("alpha", 1.0), node.float32("beta", 1.0)
    with_bias = node.has(2) and beta != 0
    scaled = alpha != 1
    product = emit_matmul(node, build, left, right, part="product" if scaled or with_bias else "")
    if scaled:
        product = times(node, build, product.name, alpha, part="scaled" if with_bias else "")
    if not with_bias:
        return [product]
    bias = build.real(node, 2)
    if beta != 1:
        bias = times(node, build, bias, beta, part="bias").name
    shape = broadcast_shape(node, build, (product.name, bias))
    return [build.emit("Add", node, (product.name, bias), shape)]


def matrix(node: OnnxNode, build: Builder, value: Known, *, transpose: bool) -> str:
    """The name of the right side of a product, transposed where asked: constants at once, tensors by a Transpose."""
    if len(value.shape) != 2:
        raise node.error(f"right side of shape {value.shape}", expected="a matrix")
    if isinstance(value, Tensor):
        name = build.real(node, node.inputs.index(value))
        return _transposed_tensor(node, build, name) if transpose else name
    if not transpose:
        return build.real_constant(node, value)
    name = build.fresh(f"{value.name}.transposed")
    if isinstance(value, Constant):
        return build.real_constant(node, Constant(name, np.ascontiguousarray(value.array.T), value.narrow))
    scale_axis = 1 - value.scale.axis if len(value.scale.scale) > 1 else value.scale.axis
    turned = value.with_integers(np.ascontiguousarray(value.integers.T), scale_axis)
    return build.real_constant(node, QuantizedConstant(name, turned.integers, turned.dtype, turned.scale))


def _transposed_tensor(node: OnnxNode, build: Builder, name: str) -> str:
    shape = build.shapes[name]
    if len(shape) != 2:
        raise node.error(f"transposes a tensor of shape {shape}", expected="a matrix")
    return build.emit("Transpose", node, (name,), shape[::-1], part="transposed", permutation=(1, 0)).name


def batch_normalization(node: OnnxNode, build: Builder) -> list[Value]:
    """BatchNormalization outside training, its four parameters as float32 constants."""
    if node.attribute("training_mode", 0):
        raise node.error("training mode", expected="inference", advice="call model.eval() before exporting")
    if any(node.outputs[1:]):
        raise node.error("its statistics outputs are used", expected="only the normalized values")
    x = build.real(node, 0)
    shape = build.shapes[x]
    channels = shape[1] if len(shape) > 1 else 1
    names = []
    for index, meaning in enumerate(("scale", "bias", "mean", "variance"), 1):
        node.constant(index, f"the {meaning}")
        value = node.value(index)
        assert not isinstance(value, Tensor)
        array = build.finite(node, value)
        if array.shape != (channels,):
            raise node.error(f"{meaning} of shape {array.shape}", expected=f"({channels},), one per channel")
        if meaning == "variance" and bool((array < 0).any()):
            raise node.error("negative variance", expected="variances of at least 0", kind=QuantizationError)
        names.append(build.real_constant(node, Constant(value.name, array)))
    epsilon = node.float32("epsilon", 1e-5)
    return [build.emit("BatchNormalization", node, (x, *names), shape, epsilon=epsilon)]
