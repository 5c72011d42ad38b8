"""Sequels of panels: vectors of requantized values go on to sums with other tensors before they are stored."""

from __future__ import annotations

from collections.abc import Sequence

from edgeconv.codegen.builder import Builder, View, bind, const, reinterpret
from edgeconv.codegen.isa.vectors import shuffle
from edgeconv.codegen.kernels.forms_base import fma
from edgeconv.codegen.kernels.requantizer import proved_forms
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import Grid
from edgeconv.ir import operators as ops
from edgeconv.ir.forms import MAGIC_F32, MAGIC_F32_BITS, AddFmaF32

__all__ = ["VectorSequel", "can_go_on"]

_NARROW = ("uint8", "int16")
Places = tuple[Expr, ...]
"""Where the elements of a vector lie in another tensor: one offset, or one for each half of the vector."""


def can_go_on(step: Step) -> bool:
    """Whether vectors can compute the step's sequel (of any length, also none)."""
    return all(_can_add(step, later) for later in step.sequel)


def _can_add(step: Step, later: Step) -> bool:
    if not isinstance(later.operator, ops.Add) or later.forms is None:
        return False
    one_form = len(later.forms.forms) == 1 and isinstance(later.forms.forms[0], AddFmaF32)
    return one_form and all(step.layout(name).storage.element in _NARROW for name in step.others)


class VectorSequel:
    """Computes a step's sequel on int32 vectors."""

    def __init__(self, build: Builder, step: Step) -> None:
        assert step.requant is not None
        self._isa, self._lanes = build.isa, build.isa.lanes
        self._first: tuple[str, Grid] = step.rounded, step.requant.grid
        self._sums: list[tuple[str, ops.Add, AddFmaF32]] = []
        for later in step.sequel:
            (form,) = proved_forms(later).forms
            assert isinstance(later.operator, ops.Add)
            assert isinstance(form, AddFmaF32)
            self._sums.append((later.output, later.operator, form))
        self._others = {name: build.view(name) for name in step.others}
        self._bias = build.view(step.output).layout.storage.bias

    @property
    def grid(self) -> Grid:
        """Where the last sum lies."""
        return self._sums[-1][1].grid

    def values(self, rounded: Expr, places: Sequence[Places], *, shifted: bool) -> Expr:
        """The numbers that memory holds, not yet clipped.

        Args:
            rounded: requantized values, not yet clipped.
            places: of the vector's elements in each of `Step.others`, in elements from the start of their memory.
            shifted: `rounded` are the bits of floats, MAGIC_F32 more than the values less the zero point.
        """
        name, grid = self._first
        known = {
            other: bind(self._loaded(view, place).astype(f"float32x{self._lanes}"))
            for (other, view), place in zip(self._others.items(), places, strict=True)
        }
        value = rounded
        for output, operator, form in self._sums:
            known[name] = bind(self._clipped_floats(value, grid, shifted=shifted))
            name, grid, shifted = output, operator.grid, False
            zero = grid.zero_point + (self._bias if output == self._sums[-1][0] else 0)
            value = self._sum([known[each] for each in operator.inputs], form, zero)
        return value

    def _clipped_floats(self, value: Expr, grid: Grid, *, shifted: bool) -> Expr:
        """Clipped to the grid, as float32."""
        lanes, floats = self._lanes, f"float32x{self._lanes}"
        if not shifted:
            return self._clipped(value, grid.lo, grid.hi).astype(floats)
        # Floats of one sign are ordered as their bits are.
        zero = MAGIC_F32_BITS - grid.zero_point
        inside = bind(self._clipped(value, grid.lo + zero, grid.hi + zero))
        return reinterpret(floats, inside) - const(MAGIC_F32 - grid.zero_point, "float32", lanes)

    def _loaded(self, view: View, places: Places) -> Expr:
        """Values (storage bias removed) as an int32 vector."""
        lanes, bias = self._lanes, view.layout.storage.bias
        parts = [view.vload(place, lanes // len(places)) for place in places]
        stored = parts[0] if len(parts) == 1 else shuffle(parts, range(lanes))
        wide = stored.astype(f"int32x{lanes}")
        return wide - const(bias, "int32", lanes) if bias else wide

    def _clipped(self, value: Expr, lo: int, hi: int) -> Expr:
        least, most = (const(bound, "int32", self._lanes) for bound in (lo, hi))
        return tirx.max(bind(tirx.min(value, most)), least)

    def _sum(self, values: Sequence[Expr], form: AddFmaF32, zero: int) -> Expr:
        lanes = self._lanes
        total = const(form.offset, "float32", lanes)
        for value, factor in reversed(list(zip(values, form.factors, strict=True))):
            total = fma("float32", lanes, value, const(factor, "float32", lanes), total)
        rounded = self._isa.nearest(bind(total))
        return bind(rounded + const(zero, "int32", lanes) if zero else rounded)
