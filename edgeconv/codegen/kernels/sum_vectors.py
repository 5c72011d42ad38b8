"""Vectors of requantized sums: their constants, channel by channel where they differ, and their multiply-adds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import bind, const, reinterpret
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.forms_base import fma
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir.forms import MAGIC_F32, MAGIC_F32_BITS, MAGIC_F64, AddFmaF32, AddFmaF64, Form, ProvedForms

__all__ = ["Constant", "VectorSum", "fits_vectors", "sum_columns"]

_NEAR = 1 << 22  # what `Isa.nearest` is for
Constant = Callable[[str], Expr]
"""The vector of constants with a label."""


def fits_vectors(forms: Sequence[Form]) -> bool:
    """Whether vectors compute these forms: all of one kind, so that one sequence of instructions serves every lane."""
    return len({form.kind for form in forms}) == 1 and isinstance(forms[0], (AddFmaF32, AddFmaF64))


def sum_columns(forms: Sequence[Form]) -> dict[str, NDArray[np.generic]]:
    """The constants of the forms by label, one each."""
    chosen = [form for form in forms if isinstance(form, (AddFmaF32, AddFmaF64))]
    element = "float32" if isinstance(chosen[0], AddFmaF32) else "float64"
    columns = {
        f"factor{operand}": np.array([form.factors[operand] for form in chosen], element)
        for operand in range(len(chosen[0].factors))
    }
    return {**columns, "offset": np.array([form.offset for form in chosen], element)}


@dataclass(frozen=True)
class VectorSum:
    """How a sum of vectors is computed.

    Attributes:
        element: "float32" or "float64".
        zero: what is added after rounding.
        reach: the largest magnitude of the sum, rounded up, and of what is added.
    """

    isa: Isa
    element: str
    zero: int
    reach: int

    @staticmethod
    def of(isa: Isa, proved: ProvedForms, zero: int) -> VectorSum:
        """For forms that `fits_vectors` accepts."""
        double = isinstance(proved.forms[0], AddFmaF64)
        reach = max(_reach(proved, channel) for channel in range(len(proved.forms)))
        return VectorSum(isa, "float64" if double else "float32", zero, ceil(reach) + abs(zero) + 1)

    def uniform(self, columns: dict[str, NDArray[np.generic]]) -> Constant:
        """Constants that are the same in every lane."""
        return lambda label: const(columns[label][0].item(), self.element, self.isa.lanes)

    def value(self, operands: Sequence[Expr], constant: Constant) -> Expr:
        """The sum, rounded and with `zero` added: an int32 vector, not yet clipped.

        Args:
            operands: vectors of int32, or of float32 that are such integers.
        """
        lanes, element = self.isa.lanes, self.element
        total = constant("offset")
        for index in reversed(range(len(operands))):
            value = operands[index]
            if str(value.ty.dtype) != f"{element}x{lanes}":
                value = bind(value.astype(f"{element}x{lanes}"))
            total = fma(element, lanes, value, constant(f"factor{index}"), total)
        rounded = self._rounded(bind(total))
        if self.element == "float64" and self.reach >= 1 << 31:  # brought to bounds that are beyond any clip to 16 bits
            bound = (1 << 30) - 1
            rounded = tirx.max(bind(tirx.min(rounded, const(bound, "int32", lanes))), const(-bound, "int32", lanes))
        return bind(rounded + const(self.zero, "int32", lanes) if self.zero else rounded)

    def _rounded(self, total: Expr) -> Expr:
        lanes = self.isa.lanes
        if self.element == "float32" and self.reach < _NEAR:
            return self.isa.nearest(total)
        if self.element == "float32":
            bits = reinterpret(f"int32x{lanes}", total + const(MAGIC_F32, "float32", lanes))
            return bind(bits - const(MAGIC_F32_BITS, "int32", lanes))
        bits = reinterpret(f"int64x{lanes}", total + const(MAGIC_F64, "float64", lanes))
        return bind(bits.astype(f"int32x{lanes}"))


def _reach(proved: ProvedForms, channel: int) -> Fraction:
    """The largest magnitude of a channel's sum before rounding."""
    form = proved.forms[channel]
    assert isinstance(form, (AddFmaF32, AddFmaF64))
    reach = abs(Fraction(form.offset))
    for factor, bounds in zip(form.factors, proved.ranges, strict=True):
        lo, hi = bounds[channel if len(bounds) > 1 else 0]
        reach += abs(Fraction(factor)) * max(-lo, hi)
    return reach
