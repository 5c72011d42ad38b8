"""Handlers of weighted averages over positions: average pools and linear resampling, exact on a common denominator."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from edgeconv.importer.graph import Node
from edgeconv.integer.builder import accumulator_dtype
from edgeconv.integer.state import (
    Handler,
    State,
    affine_scaling,
    as_expression,
    clamps,
    integer_tuple,
    on_grid,
    real_operand,
    uncovered,
    unsupported,
)
from edgeconv.integer.values import Affine, Value, make_linear
from edgeconv.ir import operators as ops


def average_pool(state: State, node: Node) -> Value:
    """AveragePool: an accumulator on the common denominator of all windows."""
    kernel, strides, dilations, pads, counted = (
        integer_tuple(node, name) for name in ("kernel", "strides", "dilations", "pads", "counted_pads")
    )
    affine = _averaged(state, node, zeros=any(counted))
    zero_point = _zero_point(affine)
    pool = ops.AvgPool(
        "", affine.tensors[0], accumulator_dtype(0, 0), kernel, strides, dilations, pads, counted, zero_point
    )
    return _accumulated(state, node, affine, pool, pool.window.count_multiple(affine.shape[2:], counted))


def resize_linear(state: State, node: Node) -> Value:
    """ResizeLinear: an accumulator on the product of the denominators of all axes."""
    a = node.attributes
    operator = ops.ResizeLinear(
        "", "", accumulator_dtype(0, 0), a["indices"], a["left"], a["right"], a["denominators"]  # type: ignore[arg-type]
    )  # fmt: skip
    affine = _averaged(state, node, zeros=operator.extrapolates)
    operator = replace(operator, x=affine.tensors[0], x_zero_point=_zero_point(affine))
    return _accumulated(state, node, affine, operator, operator.multiple)


def _zero_point(affine: Affine) -> int:
    scaling = affine_scaling(affine)
    return scaling.zero_point if scaling is not None else 0


def _accumulated(
    state: State, node: Node, affine: Affine, operator: ops.AvgPool | ops.ResizeLinear, multiple: int
) -> Affine:
    """The average of an affine value: the accumulator of `operator`, divided by `multiple`."""
    builder, linear = state.builder, affine.linear
    lo, hi = (bound - operator.x_zero_point for bound in builder.bounds[operator.x])
    # Weights are not negative and add up to `multiple` at most: the sum lies within as many times one deviation.
    bounds = (min(0, lo) * multiple, max(0, hi) * multiple)
    tensor = builder.emit(replace(operator, dtype=accumulator_dtype(*bounds)), node.output, bounds)
    factors = tuple(f / multiple for f in linear.factors[0])
    # Of a scaling, the operator has taken the zero point off already; any other offset averages to itself.
    offset = linear.offset if affine_scaling(affine) is None else (Fraction(0),)
    averaged = make_linear((factors,), offset, linear.radicand, linear.shift, linear.axis)
    return Affine((tensor,), averaged, builder.types[tensor].shape)


def _averaged(state: State, node: Node, *, zeros: bool) -> Affine:
    """The operand as an affine value of one tensor, equal along the spatial axes.

    Args:
        zeros: some of the averaged values are real zero: padding that counts, or what lies outside of the input.

    Raises:
        RefusalError: a function, or real zero where that is no integer.
    """
    expression = as_expression(state, real_operand(state, node, 0), node)
    inner, found = clamps(expression)
    if found:
        inner = on_grid(state, expression, node)
    if not isinstance(inner, Affine):
        raise uncovered("averages a function of its input that is on no integer grid")
    if len(inner.tensors) != 1:
        raise uncovered("averages a sum of several tensors")
    if inner.linear.channels > 1 and inner.linear.axis > 1:
        raise unsupported(
            "averages along an axis of unequal scales", "one scale for the whole tensor, or one per channel"
        )
    if zeros and affine_scaling(inner) is None:
        raise uncovered("counts zeros around a value whose zero is no integer")
    return inner


HANDLERS: dict[str, Handler] = {"AveragePool": average_pool, "ResizeLinear": resize_linear}
