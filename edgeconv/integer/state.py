"""What lowering knows while it walks a graph, and what several groups of handlers need of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from edgeconv.importer.graph import Node, QuantizedGraph
from edgeconv.integer.algebra import CLIPS, number_of_array
from edgeconv.integer.builder import Builder
from edgeconv.integer.values import (
    ZERO,
    Affine,
    Call,
    Channels,
    Expression,
    FloatConstant,
    FloatSource,
    Integers,
    Joined,
    Moved,
    Number,
    Real,
    Value,
    make_linear,
    sources,
)

ADVICE_QUANTIZE = "edgeconv quantize MODEL.onnx --calibration SAMPLES.npz, or put a quantizer there in training"


class Kind(Enum):
    """Why a node was refused."""

    MISSING_QUANTIZER = 1
    UNSUPPORTED = 2
    RANGE = 3


class RefusalError(Exception):
    """One node that cannot be lowered; collected, and raised together as one error of the public tree."""

    def __init__(self, kind: Kind, problem: str, advice: str = "") -> None:
        super().__init__(problem)
        self.kind, self.problem, self.advice = kind, problem, advice


def uncovered(problem: str) -> RefusalError:
    """A value that a quantizer should have covered."""
    return RefusalError(Kind.MISSING_QUANTIZER, problem, ADVICE_QUANTIZE)


def unsupported(problem: str, advice: str) -> RefusalError:
    """Something that has no integer form here."""
    return RefusalError(Kind.UNSUPPORTED, problem, advice)


@dataclass
class State:
    """The walk through one graph.

    Attributes:
        values: what each value of the graph means.
        matmul_scales: (activation scale, weight scales) of each matmul, for a bias that follows as an Add.
    """

    graph: QuantizedGraph
    builder: Builder = field(default_factory=Builder)
    values: dict[str, Value] = field(default_factory=dict)
    matmul_scales: dict[str, tuple[Channels, Channels]] = field(default_factory=dict)

    def rank(self, name: str) -> int:
        """Rank of a value of the graph."""
        return len(self.graph.shapes[name])


Handler = Callable[[State, Node], Value]


@dataclass(frozen=True)
class Scaling:
    """A real value that is scale·(tensor - zero_point): what a convolution can read.

    Attributes:
        scale: exact, one or one per index of `axis`.
    """

    tensor: str
    scale: Channels
    zero_point: int
    axis: int


def affine_scaling(affine: Affine) -> Scaling | None:
    """An affine value of one tensor as a scaling, or None where its zero is no integer or differs between channels."""
    linear = affine.linear
    if len(affine.tensors) != 1 or linear.radicand != (Fraction(1),) or ZERO in linear.factors[0]:
        return None
    points = {-linear.channel(k).offset / linear.channel(k).factors[0] for k in range(linear.channels)}
    if len(points) != 1:
        return None
    zero = points.pop()
    return Scaling(affine.tensors[0], linear.factors[0], int(zero), linear.axis) if zero.denominator == 1 else None


def clamps(expression: Expression) -> tuple[Expression, list[tuple[str, Number]]]:
    """The expression inside all outer clips by constants, and the clips from the inside out."""
    found: list[tuple[str, Number]] = []
    while isinstance(expression, Call) and expression.function in CLIPS and isinstance(expression.arguments[1], Number):
        found.append((expression.function, expression.arguments[1]))
        expression = expression.arguments[0]
    return expression, found[::-1]


def as_scaling(state: State, value: Value, node: Node) -> Scaling:
    """The scaling that a real value is, clipping the integers first where a clip lies on their grid.

    Raises:
        RefusalError: the value is not on one integer grid.
    """
    expression = as_expression(state, value, node)
    inner, found = clamps(expression)
    scaling = affine_scaling(inner) if isinstance(inner, Affine) else None
    if scaling is None:
        raise uncovered("reads a real value that no quantizer brought to one integer grid")
    if not state.builder.is_narrow(scaling.tensor):
        raise uncovered("reads an accumulator or other integers of more than 16 bits")
    if not found:
        return scaling
    lo, hi = state.builder.bounds[scaling.tensor]
    bounds = (lo, hi)
    for function, bound in found:
        if len(scaling.scale) > 1 or len(bound.values) > 1 or scaling.scale[0] < 0:
            raise uncovered("reads a clipped value with one scale per channel")
        exact = bound.values[0] / scaling.scale[0] + scaling.zero_point
        if exact.denominator != 1 and lo < exact < hi:
            raise uncovered("reads a value clipped off its integer grid")
        level = min(max(exact.numerator // exact.denominator, lo), hi)
        choose = max if function == "max" else min
        bounds = (choose(bounds[0], level), choose(bounds[1], level))
    return replace(scaling, tensor=state.builder.clip(scaling.tensor, bounds, f"{node.output}.clipped"))


def on_grid(state: State, expression: Expression, node: Node) -> Expression:
    """The expression with its outer clips done on the integers, where they lie on the grid; else as it is."""
    if not isinstance(expression, Call) or not is_narrow(state.builder, expression):
        return expression
    try:
        scaling = as_scaling(state, expression, node)
    except RefusalError:
        return expression
    offset = tuple(-scale * scaling.zero_point for scale in scaling.scale)
    linear = make_linear((scaling.scale,), offset, axis=scaling.axis)
    return Affine((scaling.tensor,), linear, state.builder.types[scaling.tensor].shape)


def is_narrow(builder: Builder, expression: Expression) -> bool:
    """Whether an expression reads nothing wider than 16 bits."""
    return all(map(builder.is_narrow, sources(expression)))


def as_expression(state: State, value: Value, node: Node) -> Expression:
    """A real value without postponed movements.

    Raises:
        RefusalError: the value is float and unquantized, or joins different grids.
    """
    from edgeconv.integer.movements import settle  # settle needs this module's types

    if isinstance(value, (Affine, Number, Call)):
        return value
    if isinstance(value, Moved):
        return as_expression(state, settle(state, value, node), node)
    if isinstance(value, Joined):
        raise unsupported(
            "reads a concatenation of unequal scales that nobody requantized", "put a quantizer after the Concat"
        )
    if isinstance(value, FloatConstant):
        return constant_expression(state, value, node)
    if isinstance(value, FloatSource):
        raise uncovered(f"reads the float graph input {value.name!r}, which no quantizer covers")
    if isinstance(value, Integers):
        raise unsupported("reads an integer value where a real one belongs", "put a DequantizeLinear before it")
    raise uncovered("reads a value that no quantizer covers")


def constant_expression(state: State, value: FloatConstant, node: Node) -> Number:
    """A float constant as an exact number, for the rank of the node's output.

    Raises:
        RefusalError: the constant varies along more than one axis.
    """
    found = number_of_array(value.array, max(state.rank(node.output), value.array.ndim))
    if found is None:
        raise uncovered(f"reads a float constant of shape {value.array.shape}, which no quantizer covers")
    return found


def constant_number(state: State, value: Value, rank: int) -> Number | None:
    """A constant, float or dequantized, as an exact number for a result of `rank`, or None where it is none."""
    if isinstance(value, FloatConstant):
        return number_of_array(value.array, rank)
    if not isinstance(value, Affine) or len(value.shape) > rank or sum(extent > 1 for extent in value.shape) > 1:
        return None
    array = constant_fractions(state, value)
    if array is None:
        return None
    wide = [axis for axis, extent in enumerate(array.shape) if extent > 1]
    return Number(tuple(array.ravel()), wide[0] + rank - array.ndim if wide else 0, rank)


def constant_fractions(state: State, value: Value) -> NDArray[np.object_] | None:
    """The exact elements of a dequantized constant, or None where the value is none."""
    if not isinstance(value, Affine) or len(value.tensors) != 1 or not state.builder.is_constant(value.tensors[0]):
        return None
    linear, integers = value.linear, state.builder.array(value.tensors[0])
    if linear.radicand != (Fraction(1),):
        return None
    result = np.empty(integers.shape, object)
    for index in np.ndindex(integers.shape):
        channel = linear.channel(index[linear.axis] if linear.channels > 1 else 0)
        result[index] = channel.factors[0] * int(integers[index]) + channel.offset
    return result


def real_operand(state: State, node: Node, index: int) -> Real | FloatConstant:
    """Operand `index` of a node.

    Raises:
        RefusalError: it is absent or holds integers.
    """
    value = state.values[node.inputs[index]]
    if isinstance(value, Integers):
        raise unsupported("reads an integer value where a real one belongs", "put a DequantizeLinear before it")
    assert isinstance(value, (Affine, Number, Call, Moved, Joined, FloatSource, FloatConstant))
    return value


def integer_tuple(node: Node, name: str) -> tuple[int, ...]:
    """A list attribute of integers."""
    value = node.attributes[name]
    assert isinstance(value, (tuple, list))
    return tuple(int(item) for item in value)


def exact_attribute(node: Node, name: str) -> Fraction:
    """A float attribute as the exact rational of its float32 value."""
    value = node.attributes[name]
    assert isinstance(value, (int, float))
    return Fraction(value)
