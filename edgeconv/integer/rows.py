"""Functions of whole rows: softmax and normalizations, their constants and the bound of their error.

The value of such a function waits for the rounding behind it, for only that has a grid: until then it is an `Affine` of
a tensor that is promised (`Builder.promised`), so that constant factors, batch normalizations, clips and movements are
treated as those of any other value. docs/arithmetic.md, "Whole rows", derives the bounds computed here.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import isqrt

import mpmath
import numpy as np

from edgeconv.importer.graph import Node
from edgeconv.integer.builder import Builder, RowFunction
from edgeconv.integer.state import Handler, State, as_scaling, exact_attribute, integer_tuple, real_operand, unsupported
from edgeconv.integer.steps import real_constants
from edgeconv.integer.values import Affine, Value, make_linear
from edgeconv.ir import Grid, dtype
from edgeconv.ir import operators as ops
from edgeconv.ir.operators.rows import EXP_BITS, LOW_BITS
from edgeconv.ir.rescale import ADDEND_BITS, MOST_SHIFT, MULTIPLIER_BITS, ROW_BITS, Rescale

MOST_ERROR = Fraction(1, 4)
"""Of an integer form before its rounding, in units of the output: the result is then within 3/4 of the exact value."""

_PRECISION = 160  # bits of mpmath for entries of 30 bits
_MOST_EPSILON_SHIFT = 40
_UNKNOWN = Rescale((0,), (0,), 1)
_NO_GRID = Grid(dtype("i8"), 0, 0)


def softmax(state: State, node: Node) -> Value:
    """Softmax along one axis."""
    scaling = as_scaling(state, real_operand(state, node, 0), node)
    axis = node.attributes["axis"]
    assert isinstance(axis, int)
    if len(scaling.scale) > 1:
        raise unsupported("compares values of unequal scales", "one scale for the whole tensor")
    (scale,) = scaling.scale
    if scale < 0:
        raise unsupported("reads a value of a negative scale", "a quantizer before it")
    builder = state.builder
    type_ = builder.types[scaling.tensor]
    low = exponentials(scale, 1 << min(type_.dtype.bits, LOW_BITS))
    high = None
    if type_.dtype.bits > LOW_BITS:
        table = exponentials(scale * (1 << LOW_BITS), 1 << (type_.dtype.bits - LOW_BITS))
        high = builder.constant(f"{node.output}.exp_high", table, dtype("i32"))
    low_name = builder.constant(f"{node.output}.exp_low", low, dtype("i32"))
    operator = ops.Softmax("", scaling.tensor, low_name, high, axis, _UNKNOWN, _NO_GRID, origin=node.name)
    terms = Fraction(type_.shape[axis], 2) if high is None else Fraction(2 * type_.shape[axis])
    function = RowFunction(operator, ROW_BITS, (terms + 1) / (1 << EXP_BITS))
    return _promise(builder, function, type_.shape, node)


def exponentials(scale: Fraction, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """2³⁰·exp(-scale·d) for d in [0, count), each rounded to the nearest integer."""
    entries = []
    with mpmath.workprec(_PRECISION):
        step = mpmath.mpf(scale.numerator) / scale.denominator
        for d in range(count):
            exact = mpmath.ldexp(mpmath.exp(-step * d), EXP_BITS)
            entries.append(int(mpmath.nint(exact)))
    return np.array(entries, np.int64)


def normalization(state: State, node: Node) -> Value:
    """LayerNormalization and its kin: x over the standard deviation, or the root mean square, of its row."""
    scaling = as_scaling(state, real_operand(state, node, 0), node)
    axes, groups, centered = integer_tuple(node, "axes"), node.attributes["groups"], node.attributes["centered"]
    assert isinstance(groups, int)
    if len(scaling.scale) > 1:
        raise unsupported("sums values of unequal scales", "one scale for the whole tensor")
    (scale,) = scaling.scale
    builder = state.builder
    type_ = builder.types[scaling.tensor]
    operator = ops.Normalize(
        "", scaling.tensor, axes, groups, bool(centered), scaling.zero_point, 0, 0, 0, _UNKNOWN, _NO_GRID,
        origin=node.name,
    )  # fmt: skip
    n = operator.row(type_.shape)
    epsilon = exact_attribute(node, "epsilon") * n * n / (scale * scale)
    reach = max(abs(type_.dtype.lo - scaling.zero_point), abs(type_.dtype.hi - scaling.zero_point))
    shift = next(
        (f for f in range(_MOST_EPSILON_SHIFT, -1, -2) if ((n * reach) ** 2 + epsilon + 1) * (1 << f) < 1 << 62), None
    )
    if shift is None or n * 2 * (reach + 1) >= 1 << 31:
        raise unsupported(
            f"sums the squares of rows of {n} elements of {type_.dtype}", "narrower types or shorter rows"
        )
    precision = EXP_BITS - (isqrt(n - 1).bit_length() if n > 1 else 0)
    operator = replace(
        operator, epsilon=round(epsilon * (1 << shift)), epsilon_shift=shift, precision=precision,
    )  # fmt: skip
    largest = isqrt(n) + 1
    relative = Fraction(1, 1 << 29) + Fraction(1, (1 << (shift + 1)) * max(1, n - 1))
    function = RowFunction(operator, precision, largest * relative + Fraction(1, 1 << precision), scale < 0)
    return _promise(builder, function, type_.shape, node)


def reshape_promised(builder: Builder, name: str, shape: tuple[int, ...], hint: str) -> str | None:
    """A promised normalization of (N, groups, rest), moved back to the shape it had before: a group normalization.

    Exporters write a group normalization as Reshape, InstanceNormalization, Reshape. None where it is something else.
    """
    function = builder.promised[name]
    operator, source = function.operator, builder.producer(function.operator.x)
    if not isinstance(operator, ops.Normalize) or not isinstance(source, ops.Reshape) or operator.groups != 1:
        return None
    rows = builder.types[operator.x].shape
    whole = builder.types[source.x].shape == shape and len(shape) > 1 and operator.axes == tuple(range(2, len(rows)))
    if not whole or rows[0] != shape[0] or shape[1] % rows[1]:
        return None
    grouped = replace(operator, x=source.x, axes=tuple(range(1, len(shape))), groups=rows[1])
    return builder.promise(replace(function, operator=grouped), shape, hint)


def _promise(builder: Builder, function: RowFunction, shape: tuple[int, ...], node: Node) -> Affine:
    name = builder.promise(function, shape, node.output)
    return Affine((name,), make_linear(((Fraction(1),),)), shape)


def round_rows(builder: Builder, affine: Affine, grid: Grid, hint: str) -> str:
    """The integer tensor that a promised row function gives on a grid.

    Raises:
        RefusalError: the error of the integer form would exceed `MOST_ERROR`.
    """
    function = builder.promised[affine.tensors[0]]
    constants = [real_constants(affine.linear.channel(k)) for k in range(affine.linear.channels)]
    sign = -1 if function.negated else 1
    factors, offsets = [sign * factors[0] for factors, _ in constants], [offset for _, offset in constants]
    shift = _largest_shift(function, factors, offsets)
    if shift is None:
        raise unsupported("is scaled beyond what its integer form can hold", "a larger scale of the quantizer after it")
    multipliers = tuple(round(factor * Fraction(2) ** (shift - function.bits)) for factor in factors)
    addends = tuple(round(offset * (1 << shift)) for offset in offsets)
    rescale = Rescale(_collapsed(multipliers), _collapsed(addends), shift, affine.linear.axis)
    error = max(map(abs, factors)) * function.error + Fraction(2) ** (ROW_BITS - 1 - shift) + Fraction(1, 2 << shift)
    if error > MOST_ERROR:
        raise unsupported(
            f"would be off by up to {float(1 + 2 * error) / 2:.2f} units of its quantizer",
            "shorter rows, or a quantizer of fewer bits after it",
        )
    return builder.emit(replace(function.operator, rescale=rescale, grid=grid), hint, (grid.lo, grid.hi))


def _largest_shift(function: RowFunction, factors: list[Fraction], offsets: list[Fraction]) -> int | None:
    factor, offset = max(map(abs, factors)), max(map(abs, offsets))
    for shift in range(MOST_SHIFT, 0, -1):
        small = factor * Fraction(2) ** (shift - function.bits) <= 1 << MULTIPLIER_BITS
        if small and offset * (1 << shift) <= 1 << ADDEND_BITS:
            return shift
    return None


def _collapsed(values: tuple[int, ...]) -> tuple[int, ...]:
    return values[:1] if len(set(values)) == 1 else values


HANDLERS: dict[str, Handler] = {"Softmax": softmax, "Normalization": normalization}
