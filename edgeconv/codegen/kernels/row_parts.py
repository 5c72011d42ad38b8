"""What kernels of whole rows share: the rescale onto a grid, and integer roots."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgeconv.codegen.builder import Builder, bind, const
from edgeconv.codegen.kernels.float_bits import held
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import Grid, Rounding
from edgeconv.ir import operators as ops
from edgeconv.ir.rescale import Rescale

__all__ = ["rescaler", "row_constants"]


def rescaler(build: Builder, step: Step, rescale: Rescale, grid: Grid) -> Callable[[Expr, Expr], Expr]:
    """(int64 fixed-point number, channel) -> the integer of the grid, as int64."""
    count = rescale.channels
    tables = [
        build.constant(f"{step.output}/{name}", np.broadcast_to(np.array(values, np.int64), count).copy())
        for name, values in (("multipliers", rescale.multipliers), ("addends", rescale.addends))
    ]
    half, shift = const((1 << (rescale.shift - 1)) - 1, "int64"), const(rescale.shift, "int64")
    lo, hi = (const(bound - grid.zero_point, "int64") for bound in (grid.lo, grid.hi))

    def rescaled(value: Expr, channel: Expr) -> Expr:
        at = [channel if count > 1 else 0]
        multiplier, addend = (table.load(at, "int64") for table in tables)
        scaled = bind(value * multiplier + addend)
        if grid.rounding is Rounding.HALF_EVEN:
            up = (scaled >> shift) & const(1, "int64")
        else:
            up = const(1, "int64") + (scaled >> const(63, "int64"))
        rounded = bind((scaled + half + up) >> shift)
        return tirx.max(tirx.min(rounded, hi), lo) + const(grid.zero_point, "int64")

    return rescaled


def normalized(n: Expr) -> tuple[Expr, Expr]:
    """n·2ᵘ in [2⁶⁰, 2⁶²) for the even u; and u. n is a positive int64."""
    number, doublings = held(n, "int64"), held(const(0, "int64"), "int64")
    for step in (32, 16, 8, 4, 2):
        small = bind(number < const(1 << (62 - step), "int64"))
        by = held(tirx.Select(small, const(step, "int64"), const(0, "int64")), "int64")
        number, doublings = held(number << by, "int64"), held(doublings + by, "int64")
    return number, doublings


def integer_root(build: Builder, n: Expr) -> Expr:
    """⌊√n⌋ of an int64 below 2⁶², bit by bit."""
    root = build.local("int64", 1)
    root.store("int64", 0, const(0, "int64"))
    with build.loop(31) as index:
        trial = bind(root.load("int64", 0) + (const(1, "int64") << (const(30, "int64") - index.astype("int64"))))
        root.store("int64", 0, tirx.Select(trial * trial <= n, trial, root.load("int64", 0)))
    return bind(root.load("int64", 0))


def row_constants(build: Builder, operator: ops.Normalize, w: Expr) -> tuple[Expr, Expr]:
    """The reciprocal root of a row, and how many bits of its products are dropped; w is the integer variance."""
    shifted = (w << const(operator.epsilon_shift, "int64")) + const(operator.epsilon, "int64")
    scaled, doublings = normalized(tirx.max(shifted, const(1, "int64")))
    inverse = bind(tirx.truncdiv(const(1 << 61, "int64"), integer_root(build, scaled)))
    kept = const(61 - operator.precision - operator.epsilon_shift // 2, "int64")
    return inverse, bind(tirx.max(kept - (doublings >> const(1, "int64")), const(0, "int64")))
