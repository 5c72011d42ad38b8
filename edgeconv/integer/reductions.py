"""Handlers of reductions: sums and means as exact accumulators, and the index of an extreme."""

from __future__ import annotations

from fractions import Fraction
from math import prod

from edgeconv.importer.graph import Node
from edgeconv.integer.builder import accumulator_dtype
from edgeconv.integer.movements import reduced_handler
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
from edgeconv.integer.values import Affine, Integers, Value, make_linear
from edgeconv.ir import operators as ops


def _one_tensor(state: State, node: Node, axes: tuple[int, ...], what: str) -> Affine:
    """The operand as an affine function of one tensor that is the same along the reduced axes.

    Raises:
        RefusalError: it is something else.
    """
    expression = as_expression(state, real_operand(state, node, 0), node)
    if clamps(expression)[1]:
        expression = on_grid(state, expression, node)
    if not isinstance(expression, Affine):
        raise uncovered(f"{what} a function of its input that is on no integer grid")
    if len(expression.tensors) != 1:
        raise uncovered(f"{what} a sum of several tensors")
    if expression.linear.channels > 1 and expression.linear.axis in axes:
        raise unsupported(f"{what} along an axis of unequal scales", "one scale for the whole tensor")
    return expression


def reduce_sum(state: State, node: Node) -> Value:
    """ReduceSum and ReduceMean: an accumulator; a mean has the number of its terms in the factor."""
    axes = integer_tuple(node, "axes")
    affine = _one_tensor(state, node, axes, "averages" if node.op == "ReduceMean" else "sums")
    (tensor,), linear, builder = affine.tensors, affine.linear, state.builder
    scaling = affine_scaling(affine)
    zero_point = scaling.zero_point if scaling is not None else 0
    terms = prod(affine.shape[axis] for axis in axes)
    lo, hi = (bound - zero_point for bound in builder.bounds[tensor])
    bounds = (min(0, terms * lo), max(0, terms * hi))
    operator = ops.ReduceSum("", tensor, accumulator_dtype(*bounds), axes, zero_point)
    reduced = builder.emit(operator, node.output, bounds)
    # Σ (f·x + o)/√r + s = (f·Σx + n·o)/√r + n·s; a scaling's offset went into the zero point.
    weight = Fraction(1, terms) if node.op == "ReduceMean" else Fraction(1)
    factors = tuple(f * weight for f in linear.factors[0])
    offset = (Fraction(0),) if scaling is not None else tuple(o * terms * weight for o in linear.offset)
    shift = tuple(s * terms * weight for s in linear.shift)
    moved = make_linear((factors,), offset, linear.radicand, shift, linear.axis)
    return Affine((reduced,), moved, builder.types[reduced].shape)


def argmax(state: State, node: Node) -> Value:
    """ArgMax: of integers, or of a real value that rises or falls with one integer tensor."""
    axis, largest, last = (node.attributes[name] for name in ("axis", "largest", "last"))
    assert isinstance(axis, int)
    value = state.values[node.inputs[0]]
    if isinstance(value, Integers):
        tensor = value.tensor
    else:
        affine = _one_tensor(state, node, (axis,), "compares")
        (tensor,) = affine.tensors
        signs = {factor > 0 for factor in affine.linear.factors[0]}
        if len(signs) != 1 or 0 in affine.linear.factors[0]:
            raise unsupported("compares values whose order differs between channels", "scales of one sign")
        largest = bool(largest) == signs.pop()
    operator = ops.ArgMax("", tensor, axis, bool(largest), bool(last))
    extent = state.builder.types[tensor].shape[axis]
    return Integers(state.builder.emit(operator, node.output, (0, extent - 1)))


HANDLERS: dict[str, Handler] = {
    "ReduceSum": reduce_sum,
    "ReduceMean": reduce_sum,
    "ReduceMax": reduced_handler(ops.ReduceMax),
    "ReduceMin": reduced_handler(ops.ReduceMin),
    "ArgMax": argmax,
}
