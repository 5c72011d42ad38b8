"""What each value of a quantized graph means: exact real expressions over integer tensors of the program.

    Value = Integers | Real | FloatConstant | FloatSource | Refused
    Real  = Affine | Number | Call | Moved | Joined

An `Affine` is what one requantization can compute. `Call` is any elementwise function of its arguments. `Moved` and
`Joined` postpone a movement until after the next rounding, so that it moves narrow integers instead of accumulators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from edgeconv.ir import Linear
from edgeconv.ir.operators import Operator
from edgeconv.ir.operators.scaling import broadcast

ZERO, ONE = Fraction(0), Fraction(1)
Channels = tuple[Fraction, ...]


@dataclass(frozen=True)
class Integers:
    """An integer tensor of the program, by name."""

    tensor: str


@dataclass(frozen=True)
class Affine:
    """`linear` of one or several integer tensors; `shape` is that of the result."""

    tensors: tuple[str, ...]
    linear: Linear
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Number:
    """An exact real constant: one value, or one per index of `axis` of a result of rank `rank`."""

    values: Channels
    axis: int = 0
    rank: int = 0


@dataclass(frozen=True)
class Call:
    """An elementwise function: a name of `edgeconv.integer.functions` and its arguments."""

    function: str
    arguments: tuple[Expression, ...]


Expression = Affine | Number | Call


@dataclass(frozen=True)
class FloatSource:
    """A float graph input that nothing has quantized yet."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Moved:
    """A movement operator of the program, its operand and output left empty, applied to a real value."""

    inner: Expression | Joined | FloatSource
    movement: Operator
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Joined:
    """Real values on different grids, joined along `axis`."""

    parts: tuple[Real, ...]
    axis: int
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class FloatConstant:
    """A float32 constant, every element the exact real number it is."""

    array: NDArray[np.generic]


@dataclass(frozen=True)
class Refused:
    """Stands for the result of a node that was refused, so that the others can still be looked at."""

    uncovered: bool


Real = Affine | Number | Call | Moved | Joined | FloatSource
Value = Integers | Real | FloatConstant | Refused


def zip_channels(function: Callable[..., Fraction], *columns: Channels) -> Channels:
    """`function` channel by channel; columns of length 1 serve every channel, and so does a constant result."""
    length = max(len(column) for column in columns)
    wide = [column * length if len(column) == 1 else column for column in columns]
    return collapse(tuple(function(*row) for row in zip(*wide, strict=True)))


def collapse(values: Channels) -> Channels:
    """One value where all are equal."""
    return values[:1] if len(values) > 1 and all(value == values[0] for value in values) else values


def make_linear(
    factors: tuple[Channels, ...],
    offset: Channels = (ZERO,),
    radicand: Channels = (ONE,),
    shift: Channels = (ZERO,),
    axis: int = 1,
) -> Linear:
    """A `Linear` in normal form: equal channels collapsed, rational roots divided out."""
    linear = Linear(tuple(map(collapse, factors)), collapse(offset), collapse(radicand), collapse(shift), axis)
    rationals = [linear.channel(k).as_rational() for k in range(linear.channels)]
    known = [rational for rational in rationals if rational is not None]
    if len(known) == len(rationals):
        factors = tuple(collapse(tuple(r.factors[i] for r in known)) for i in range(len(factors)))
        linear = Linear(factors, collapse(tuple(r.offset for r in known)), axis=axis)
    # The axis of a function that is the same everywhere means nothing: equal functions compare equal.
    return linear if linear.channels > 1 else Linear(linear.factors, linear.offset, linear.radicand, linear.shift)


def shape_of(value: Expression | Joined | Moved | FloatSource) -> tuple[int, ...]:
    """The shape of a real value; a Number has the shape that broadcasts everywhere."""
    if isinstance(value, Number):
        return ()
    if isinstance(value, Call):
        return broadcast([shape_of(argument) for argument in value.arguments])
    return value.shape


def leaves(expression: Expression) -> Iterator[Affine | Number]:
    """All leaves of an expression, left to right."""
    if isinstance(expression, Call):
        for argument in expression.arguments:
            yield from leaves(argument)
    else:
        yield expression


def sources(expression: Expression) -> tuple[str, ...]:
    """The integer tensors an expression reads, each once."""
    names = [name for leaf in leaves(expression) if isinstance(leaf, Affine) for name in leaf.tensors]
    return tuple(dict.fromkeys(names))


def map_affines(expression: Expression, change: Callable[[Affine], Affine]) -> Expression:
    """The expression with every affine leaf replaced."""
    if isinstance(expression, Affine):
        return change(expression)
    if isinstance(expression, Call):
        return Call(expression.function, tuple(map_affines(argument, change) for argument in expression.arguments))
    return expression


def rename(affine: Affine, names: Mapping[str, str]) -> Affine:
    """The same function of other tensors of the same shape."""
    return Affine(tuple(names.get(name, name) for name in affine.tensors), affine.linear, affine.shape)


def channel_axis(expression: Expression) -> tuple[int | None, int]:
    """(axis, channels) along which the expression varies; axis None where leaves vary along different axes.

    The axis counts from the front of the expression's own shape.
    """
    rank = len(shape_of(expression))
    found: set[int] = set()
    channels = 1
    for leaf in leaves(expression):
        count = len(leaf.values) if isinstance(leaf, Number) else leaf.linear.channels
        if count > 1:
            axis = leaf.axis if isinstance(leaf, Number) else leaf.linear.axis
            leaf_rank = leaf.rank if isinstance(leaf, Number) else len(leaf.shape)
            found.add(axis + rank - leaf_rank)
            channels = count
    if len(found) > 1:
        return None, channels
    return (found.pop() if found else min(1, max(rank - 1, 0))), channels
