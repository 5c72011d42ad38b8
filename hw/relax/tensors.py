"""Tensors of Relax: types, shapes, and values of constants."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.tir import tvm
from edgeconv.errors import UnsupportedModelError

__all__ = ["Shape", "array_of", "dtype_of", "is_constant", "op_name", "shape_of"]

Shape = tuple[int | str, ...]


def dtype_of(expression: Any) -> str:
    """The element type of a tensor."""
    return str(expression.ty.dtype.dtype)


def shape_of(expression: Any) -> Shape:
    """The shape of a tensor: extents, or the names of symbolic ones.

    Raises:
        UnsupportedModelError: the shape is not known, or an extent is an expression.
    """
    shape = expression.ty.shape if isinstance(expression.ty, tvm.relax.TensorType) else None
    if shape is None or not isinstance(shape, tvm.relax.ShapeExpr):
        raise UnsupportedModelError(f"{expression.ty} has no known shape", expected="a tensor of known shape")
    return tuple(_extent(extent) for extent in shape.values)


def _extent(extent: Any) -> int | str:
    if isinstance(extent, tvm.tirx.IntImm):
        return int(extent)
    if isinstance(extent, tvm.ir.Var):
        return str(extent.name)
    raise UnsupportedModelError(f"the extent {extent} is an expression", expected="a number, or one symbol")


def is_constant(expression: Any) -> bool:
    """Whether an expression is a constant tensor."""
    return isinstance(expression, tvm.ir.GenericConst)


def array_of(expression: Any) -> NDArray[Any]:
    """The values of a constant."""
    return np.asarray(expression.value.numpy())


def op_name(expression: Any) -> str:
    """The name of the operator that an expression calls; "" for anything else."""
    if isinstance(expression, tvm.relax.Call) and isinstance(expression.op, tvm.ir.Op):
        return str(expression.op.name)
    return ""
