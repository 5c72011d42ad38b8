"""Functions of whole rows: softmax and normalizations, on integers alone (docs/arithmetic.md, "Whole rows")."""

from __future__ import annotations

import numpy as np

from edgeconv.ir import Grid, Rounding
from edgeconv.ir import operators as ops
from edgeconv.ir.operators.rows import EXP_BITS, LOW_BITS
from edgeconv.ir.rescale import Rescale
from edgeconv.reference.context import Array, Context, Integers


def softmax(context: Context, op: ops.Softmax) -> Array:
    """A table of exp, one reciprocal for each row, a rescale."""
    x, axis = context.integers(op.x), 1 + op.axis
    distance = x.max(axis, keepdims=True) - x
    low = context.constant(op.exp_low).astype(np.int64)
    if op.exp_high is None:
        exp = low[distance]
    else:
        high = context.constant(op.exp_high).astype(np.int64)
        product = high[distance >> LOW_BITS] * low[distance & ((1 << LOW_BITS) - 1)]
        exp = (product + (1 << (EXP_BITS - 1))) >> EXP_BITS
    reciprocal = np.int64(1 << 61) // exp.sum(axis, keepdims=True)
    return rescaled((exp * reciprocal) >> EXP_BITS, op.rescale, op.grid)


def normalize(context: Context, op: ops.Normalize) -> Array:
    """Exact sums, one integer square root and reciprocal for each row, a rescale."""
    x = context.integers(op.x) - op.x_zero_point
    first = 1 + op.axes[0]
    c = x.reshape(*x.shape[:first], op.groups, x.shape[first] // op.groups, *x.shape[first + 1 :])
    row = tuple(2 + axis for axis in op.axes)
    n = op.row(x.shape[1:])
    total, squares = c.sum(row, keepdims=True), (c * c).sum(row, keepdims=True)
    d = n * c - total if op.centered else n * c
    w = n * squares - total * total if op.centered else n * squares
    scaled, doublings = normalized(np.maximum((w << op.epsilon_shift) + op.epsilon, 1))
    inverse = np.int64(1 << 61) // integer_root(scaled)
    drop = np.maximum(61 - op.precision - (op.epsilon_shift + doublings) // 2, 0)
    value = np.asarray((d * inverse) >> drop, np.int64)
    return rescaled(value.reshape(x.shape), op.rescale, op.grid)


def normalized(n: Integers) -> tuple[Integers, Integers]:
    """n·2ᵘ in [2⁶⁰, 2⁶²) for the even u; and u."""
    doublings = np.zeros_like(n)
    for step in (32, 16, 8, 4, 2):
        small = n < 1 << (62 - step)
        n, doublings = np.where(small, n << step, n), np.where(small, doublings + step, doublings)
    return n, doublings


def integer_root(n: Integers) -> Integers:
    """⌊√n⌋ of n < 2⁶², bit by bit."""
    root = np.zeros_like(n)
    for bit in reversed(range(31)):
        trial = root + (1 << bit)
        root = np.where(trial * trial <= n, trial, root)
    return root


def rescaled(value: Integers, rescale: Rescale, grid: Grid) -> Integers:
    """clip(round((value·multiplier + addend) / 2^shift) + zero point, lo, hi)."""
    along = [1] * value.ndim
    along[1 + rescale.axis if rescale.channels > 1 else 0] = -1
    multipliers, addends = (np.array(v, np.int64).reshape(along) for v in (rescale.multipliers, rescale.addends))
    scaled = value * multipliers + addends
    half, shift = 1 << (rescale.shift - 1), rescale.shift
    # A tie goes up where the floor is odd, or away from zero.
    up = (scaled >> shift) & 1 if grid.rounding is Rounding.HALF_EVEN else (scaled >= 0).astype(np.int64)
    return np.asarray(np.clip(((scaled + half - 1 + up) >> shift) + grid.zero_point, grid.lo, grid.hi))
