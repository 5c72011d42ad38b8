"""Functions of whole rows in integer form: softmax and normalizations (docs/arithmetic.md, "Whole rows")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from edgeconv.ir.exact import Grid
from edgeconv.ir.operators.base import Operator, require, require_integer
from edgeconv.ir.operators.reduce import reduced_shape
from edgeconv.ir.rescale import Rescale
from edgeconv.ir.types import TensorType

EXP_BITS = 30
"""Fractional bits of the tables of exp."""
LOW_BITS = 8
"""The table of the low bits has an entry for each value of so many bits."""
_MOST_BITS = 16


@dataclass(frozen=True)
class Softmax(Operator):
    """exp(s·x_i) / Σ_j exp(s·x_j) along `axis`, as an integer form of 31 fractional bits, rescaled to a grid.

    exp_low[d] is 2³⁰·exp(-s·d) rounded, for the low 8 bits of the distance d to the largest value; exp_high[h] is
    2³⁰·exp(-256·s·h), None where x has at most 8 bits.
    """

    keyword: ClassVar[str] = "softmax"
    operand_fields: ClassVar[tuple[str, ...]] = ("x", "exp_low", "exp_high")
    x: str
    exp_low: str
    exp_high: str | None
    axis: int
    rescale: Rescale
    grid: Grid

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        x = types[self.x]
        _check_input(self.x, x)
        reduced_shape((self.axis,), x.shape)
        sizes = {self.exp_low: 1 << min(x.dtype.bits, LOW_BITS)}
        if x.dtype.bits > LOW_BITS:
            require(self.exp_high is not None, f"no table of the high bits for {x.dtype}")
            sizes[str(self.exp_high)] = 1 << (x.dtype.bits - LOW_BITS)
        for name, size in sizes.items():
            require(types[name].shape == (size,), f"table %{name} of shape {types[name].shape}", f"({size},)")
            require(str(types[name].dtype) == "i32", f"table %{name} of {types[name].dtype}", "i32")
        return _rescaled(x, self.rescale, self.grid)


@dataclass(frozen=True)
class Normalize(Operator):
    """x over its root mean square or standard deviation over `axes`, as an integer form, rescaled to a grid.

    With c = x - x_zero_point, n elements in a row, S = Σc and Q = Σc²: d = n·c - S and W = n·Q - S² where `centered`,
    else d = n·c and W = n·Q. The value is d / sqrt(W + e) with e = epsilon / 2^epsilon_shift, in `precision` fractional
    bits. The first of the axes falls into `groups` equal parts, each with rows of its own.
    """

    keyword: ClassVar[str] = "normalize"
    operand_fields: ClassVar[tuple[str, ...]] = ("x",)
    x: str
    axes: tuple[int, ...]
    groups: int
    centered: bool
    x_zero_point: int
    epsilon: int
    epsilon_shift: int
    precision: int
    rescale: Rescale
    grid: Grid

    def row(self, shape: tuple[int, ...]) -> int:
        """Number of elements in a row."""
        return prod(shape[axis] for axis in self.axes) // self.groups

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        x = types[self.x]
        _check_input(self.x, x)
        reduced_shape(self.axes, x.shape)
        parts = self.groups >= 1 and x.shape[self.axes[0]] % self.groups == 0
        require(parts, f"{self.groups} groups of axis {self.axes[0]} of shape {x.shape}", "equal parts")
        n = self.row(x.shape)
        reach = max(abs(x.dtype.lo - self.x_zero_point), abs(x.dtype.hi - self.x_zero_point))
        span = x.dtype.hi - x.dtype.lo if self.centered else reach
        even = self.epsilon_shift >= 0 and self.epsilon_shift % 2 == 0 and self.epsilon >= 0
        require(even, f"epsilon {self.epsilon} / 2^{self.epsilon_shift}", "at least 0, and an even shift of at least 0")
        widest = ((n * reach) ** 2 << self.epsilon_shift) + self.epsilon
        require(n * span < 1 << 31 and widest < 1 << 62, f"rows of {n} elements that reach {reach}", "sums in 62 bits")
        fits = 0 <= self.precision <= EXP_BITS and n <= 4 ** (EXP_BITS - self.precision)
        require(fits, f"{self.precision} fractional bits for rows of {n} elements", "values below 2³¹")
        return _rescaled(x, self.rescale, self.grid)


def _check_input(name: str, x: TensorType) -> None:
    require_integer(name, x)
    require(x.dtype.bits <= _MOST_BITS, f"a row of {x.dtype}", f"at most {_MOST_BITS} bits")


def _rescaled(x: TensorType, rescale: Rescale, grid: Grid) -> TensorType:
    for problem in (grid.problem(), rescale.problem(x.shape)):
        require(problem is None, problem or "")
    return TensorType(x.shape, grid.dtype)
