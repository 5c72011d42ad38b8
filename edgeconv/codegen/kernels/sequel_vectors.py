"""Sequels of panels: vectors of accumulators or of requantized values go on to sums before they are stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import Builder, View, bind, const, reinterpret
from edgeconv.codegen.isa.vectors import shuffle
from edgeconv.codegen.kernels.forms_base import BlockConstants
from edgeconv.codegen.kernels.requantizer import proved_forms
from edgeconv.codegen.kernels.sum_vectors import Constant, VectorSum, fits_vectors, sum_columns
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import Grid
from edgeconv.ir import operators as ops
from edgeconv.ir.forms import MAGIC_F32, MAGIC_F32_BITS

__all__ = ["ChannelRows", "VectorSequel", "can_go_on"]

_NARROW = ("uint8", "int16")
_WIDEST = 32  # bits of accumulators that vectors hold
Places = tuple[Expr, ...]
"""Where the elements of a vector lie in another tensor: one offset, or one for each half of the vector."""
ChannelRows = Callable[[NDArray[np.generic], int], NDArray[np.generic]]
"""(one number for each channel, block) -> (panels, lanes): those of a block of each panel."""


def can_go_on(step: Step) -> bool:
    """Whether vectors can compute the step's sequel (of any length, also none)."""
    narrow = all(step.layout(name).storage.element in _NARROW for name in step.others)
    whole = step.requant is not None or step.type(step.rounded).dtype.bits <= _WIDEST
    return narrow and whole and all(_can_add(step, later) for later in step.sequel)


def _can_add(step: Step, later: Step) -> bool:
    if not isinstance(later.operator, ops.Add) or later.forms is None:
        return False
    channels = 1 if isinstance(step.operator, (ops.Conv, ops.ConvTranspose)) else len(step.type(step.output).shape) - 1
    fits = len(later.forms.forms) == 1 or later.operator.linear.axis == channels
    return fits and fits_vectors(later.forms.forms)


@dataclass(frozen=True)
class _Sum:
    """One sum: what it writes, how, and its constants: the same for all channels, or by block of a panel."""

    output: str
    operator: ops.Add
    vectors: VectorSum
    uniform: dict[str, NDArray[np.generic]]
    blocks: tuple[BlockConstants, ...]

    def constants(self, panel: Expr, block: int) -> Constant:
        """The vectors of constants of a block."""
        if not self.blocks:
            return self.vectors.uniform(self.uniform)
        loaded = {label: self.blocks[block].load(label, panel, 0) for label in self.uniform}
        return loaded.__getitem__


class VectorSequel:
    """Computes a step's sequel on int32 vectors.

    Args:
        blocks: of a panel.
        rows: arranges constants of channels.
        label: of the constants.
    """

    def __init__(self, build: Builder, step: Step, blocks: int, rows: ChannelRows, label: str) -> None:
        self._lanes = build.isa.lanes
        self._first: tuple[str, Grid | None] = step.rounded, step.requant.grid if step.requant else None
        self._others = {name: build.view(name) for name in step.others}
        bias = build.view(step.output).layout.storage.bias
        self._sums: list[_Sum] = []
        for later in step.sequel:
            proved, operator = proved_forms(later), later.operator
            assert isinstance(operator, ops.Add)
            columns = sum_columns(proved.forms)
            constants = [
                BlockConstants(
                    {
                        name: build.constant(f"{later.output}/{label}.{block}.{name}", rows(values, block)[:, None])
                        for name, values in columns.items()
                    },
                    self._lanes,
                )
                for block in range(blocks if len(proved.forms) > 1 else 0)
            ]
            zero = operator.grid.zero_point + (bias if later is step.sequel[-1] else 0)
            vectors = VectorSum.of(build.isa, proved, zero)
            self._sums.append(_Sum(later.output, operator, vectors, columns, tuple(constants)))

    @property
    def grid(self) -> Grid:
        """Where the last sum lies."""
        return self._sums[-1].operator.grid

    def values(
        self, rounded: Sequence[Expr], places: Sequence[Sequence[Places]], panel: Expr, block: int, *, shifted: bool
    ) -> list[Expr]:
        """The numbers that memory holds, not yet clipped.

        Args:
            rounded: vectors of one block: requantized values, not yet clipped, or accumulators where the step has no
                requantization.
            places: of each vector's elements in each of `Step.others`, in elements from the start of their memory.
            shifted: `rounded` are the bits of floats, MAGIC_F32 more than the values less the zero point.
        """
        constants = [each.constants(panel, block) for each in self._sums]
        return [
            self._value(value, others, constants, shifted=shifted)
            for value, others in zip(rounded, places, strict=True)
        ]

    def _value(self, rounded: Expr, places: Sequence[Places], constants: Sequence[Constant], *, shifted: bool) -> Expr:
        known = {
            other: bind(self._loaded(view, place))
            for (other, view), place in zip(self._others.items(), places, strict=True)
        }
        name, grid = self._first
        value = rounded
        for each, constant in zip(self._sums, constants, strict=True):
            known[name] = value if grid is None else bind(self._clipped_value(value, grid, shifted=shifted))
            value = each.vectors.value([known[operand] for operand in each.operator.inputs], constant)
            name, grid, shifted = each.output, each.operator.grid, False
        return value

    def _clipped_value(self, value: Expr, grid: Grid, *, shifted: bool) -> Expr:
        """Clipped to the grid: int32, or float32 where it comes as such."""
        if not shifted:
            return self._clipped(value, grid.lo, grid.hi)
        # Floats of one sign are ordered as their bits are.
        zero = MAGIC_F32_BITS - grid.zero_point
        inside = bind(self._clipped(value, grid.lo + zero, grid.hi + zero))
        floats = reinterpret(f"float32x{self._lanes}", inside)
        return floats - const(MAGIC_F32 - grid.zero_point, "float32", self._lanes)

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
