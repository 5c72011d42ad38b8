"""Why another implementation differs from the reference at one value."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from edgeconv.ir import Program
from edgeconv.ir import operators as ops
from edgeconv.ir.exact import ChannelLinear

CAUSES = ("tie", "near-tie", "inherited", "saturation", "float accumulation", "defined differently")
"""In the order in which they are tried.

tie: the exact value lies half-way between two integers. near-tie: so close to it that a few float32 roundings decide.
inherited: an operand already differs in this sample. saturation: one side is clipped. float accumulation: a sum longer
than a float32 holds exactly. defined differently: none of these (a table, softmax or normalization against a float
function, for instance).
"""

_FLOAT32_STEP = 2.0**-24
_ROUNDINGS = 8
_EXAMINED = 4096

Integers = NDArray[np.int64]


def explain(
    program: Program,
    operator: ops.Operator,
    operands: list[Integers],
    mine: Integers,
    theirs: Integers,
    inherited: NDArray[np.bool_],
) -> Counter[str]:
    """Count the causes of the differences at the output of one rounding operator.

    Args:
        operands: the reference's operands of a requant, add or threshold, broadcast to the shape of the output, samples
            in front; empty for any other operator.
        mine, theirs: the output of the reference and of the other implementation, (samples, *shape).
        inherited: per sample, whether an operand already differed.

    Only the first 4,096 differences are examined; the counts are of those.
    """
    found: Counter[str] = Counter()
    for where in np.argwhere(mine != theirs)[:_EXAMINED]:
        index = tuple(int(i) for i in where)
        point = [int(operand[index]) for operand in operands]
        found[
            _cause(program, operator, point, index, int(mine[index]), int(theirs[index]), bool(inherited[index[0]]))
        ] += 1
    return found


def _cause(
    program: Program,
    operator: ops.Operator,
    point: list[int],
    index: tuple[int, ...],
    mine: int,
    theirs: int,
    inherited: bool,
) -> str:
    if point and isinstance(operator, ops.Requant | ops.Add):
        linear = operator.linear
        function = linear.channel(index[1 + linear.axis] if linear.channels > 1 else 0)
        distance, size = _distance_to_tie(function, point)
        # The terms of the sum may be larger than the sum itself; the span of the grid stands for them.
        size = max(size, float(operator.grid.hi - operator.grid.lo))
        if distance == 0:
            return "tie"
        if float(distance) <= size * _FLOAT32_STEP * _ROUNDINGS:
            return "near-tie"
        if inherited:
            return "inherited"
        grid = operator.grid
        if {mine, theirs} & {grid.lo, grid.hi}:
            return "saturation"
        return "float accumulation" if max(map(abs, point)) >= 1 << 24 else "defined differently"
    if point and isinstance(operator, ops.Threshold) and _next_to_a_step(program, operator, point[0], index):
        return "near-tie"
    return "inherited" if inherited else "defined differently"


def _next_to_a_step(program: Program, operator: ops.Threshold, x: int, index: tuple[int, ...]) -> bool:
    """Whether a few float32 roundings of an accumulator could carry it over a threshold."""
    thresholds = program.constants[operator.thresholds].array
    row = thresholds[index[1 + operator.axis] if len(thresholds) > 1 else 0].astype(np.int64)
    reach = 1 + abs(x) * _FLOAT32_STEP * _ROUNDINGS
    return bool((np.abs(row - x) <= reach).any())


def _distance_to_tie(function: ChannelLinear, point: list[int]) -> tuple[Fraction, float]:
    """How far the value lies from the nearest half-integer, and the size of its terms."""
    terms = [factor * x for factor, x in zip(function.factors, point, strict=True)]
    rational = function.as_rational()
    root = float(function.radicand) ** 0.5
    size = (sum(abs(float(term)) for term in terms) + abs(float(function.offset))) / root + abs(float(function.shift))
    if rational is not None:
        value = sum((f * x for f, x in zip(rational.factors, point, strict=True)), rational.offset)
    else:
        value = Fraction((float(sum(terms) + function.offset)) / root + float(function.shift))
    from_floor = value - (value.numerator // value.denominator)
    return abs(from_floor - Fraction(1, 2)), size
