"""Layers of whole rows for random programs: softmax and normalizations with random constants."""

from __future__ import annotations

from fractions import Fraction
from math import prod

import numpy as np

from edgeconv.integer.rows import exponentials
from edgeconv.ir import Grid, Rescale, dtype
from edgeconv.ir import operators as ops
from edgeconv.ir.operators.rows import EXP_BITS, LOW_BITS
from tests.generate.builder import Builder
from tests.generate.scales import random_grid

_MOST_ROW = 1 << 12


def softmax(b: Builder) -> None:
    """Softmax along any axis; steep and flat ones, with tables of one and of two parts."""
    name = b.latest()
    if name is None:
        return
    x, grid = b.types[name], random_grid(b.choose)
    scale = Fraction(float(np.float32(b.choose.pick((0.5, 0.1, 0.037, 1.7)) * 2.0 ** (8 - x.dtype.bits))))
    low = b.constant(dtype("i32"), exponentials(scale, 1 << min(x.dtype.bits, LOW_BITS)))
    high = None
    if x.dtype.bits > LOW_BITS:
        high = b.constant(dtype("i32"), exponentials(scale * 256, 1 << (x.dtype.bits - LOW_BITS)))
    axis = b.choose.integer(0, len(x.shape) - 1)
    rescale = random_rescale(b, x.shape, grid, 31, 1.0)
    b.apply(ops.Softmax(b.name("soft"), name, low, high, axis, rescale, grid))


def normalize(b: Builder) -> None:
    """Normalization over any axes, centered or not, in groups at times, with and without epsilon."""
    name = b.latest()
    if name is None:
        return
    choose, x, grid = b.choose, b.types[name], random_grid(b.choose)
    rank = len(x.shape)
    axes = tuple(sorted({choose.integer(1, rank - 1) for _ in range(choose.pick((1, 2)))}))
    first = x.shape[axes[0]]
    groups = choose.pick([g for g in range(1, first + 1) if first % g == 0]) if choose.chance(30) else 1
    n = prod(x.shape[axis] for axis in axes) // groups
    if n > _MOST_ROW:
        return
    precision = EXP_BITS - next(k for k in range(EXP_BITS) if n <= 4**k)
    zero_point = b.zero_point(x.dtype)
    widest = (n * b.farthest(name, zero_point)) ** 2 + 1
    shift = max(0, min(40, (61 - widest.bit_length()) // 2 * 2))
    epsilon = 0 if choose.chance(20) else choose.integer(0, 1 << min(40, shift + 4))
    rescale = random_rescale(b, x.shape, grid, precision, 2.0)
    operator = ops.Normalize(
        b.name("norm"), name, axes, groups, choose.chance(60), zero_point, epsilon, shift, precision, rescale, grid
    )
    b.apply(operator)


def random_rescale(b: Builder, shape: tuple[int, ...], grid: Grid, bits: int, reach: float) -> Rescale:
    """A rescale that spreads values of ±`reach` with `bits` fractional bits over the grid, per channel at times."""
    rng = b.choose.numbers()
    axis = b.choose.integer(0, len(shape) - 1)
    count = shape[axis] if b.choose.chance(50) else 1
    width = max(1, grid.hi - grid.lo) * b.choose.pick((0.3, 1.0, 1.5)) / reach
    shift = min(61, bits + 28 - int(np.ceil(np.log2(width))))
    factors = width * rng.uniform(0.5, 1, count) * np.where(rng.random(count) < 0.2, -1, 1)
    multipliers = [round(float(factor) * 2.0 ** (shift - bits)) for factor in factors]
    if b.choose.chance(30):  # powers of two, which meet ties
        multipliers = [1 << (shift - bits + int(np.log2(width)))] * count
    addends = rng.integers(-3, 4, count) * (1 << (shift - 1)) if b.choose.chance(50) else np.zeros(count, np.int64)
    return Rescale(_short(multipliers), _short(addends.tolist()), shift, axis)


def _short(values: list[int]) -> tuple[int, ...]:
    return (values[0],) if len(set(values)) == 1 else tuple(values)
