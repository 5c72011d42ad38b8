"""Panels whose weights are so small that several products of bytes may be added in 16 bits before they are widened.

The condition is a range proof over the weights, panel by panel: whatever the activations are, no sum of the products
that one 16-bit lane adds can leave 16 bits. Where it does not hold, or does not pay, a panel keeps the dot product that
is right for all weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import Builder, View, const
from edgeconv.codegen.isa.base import Dot, Isa
from edgeconv.codegen.kernels.panels import Panel
from edgeconv.codegen.layout import Storage
from edgeconv.codegen.tir import tirx

__all__ = ["made_signed", "split_panels", "sums_fit"]

_WORD = (1 << 15) - 1
# Instructions for a vector of outputs: in the hot loops of docs/arm.md 53 take 16 vectors through a group of four taps,
# and what a long group leaves in the lanes is added up at the end.
_SHORT_GROUP = 53 / 16
# Cycles for four vectors of outputs on a Cortex-A53 by LLVM's model (docs/arm.md): of a group of four taps in that
# loop, and of the end of a tile; of a group of a loop scheduled by hand, of its beginning and end for a run, and of the
# end of a tile.
_SHORT_CYCLES, _SHORT_END = 253 / 16, 27
_SWEPT_CYCLES, _SWEPT_RUN, _SWEPT_END = 207 / 4, 30, 54
_FEWEST_OUTPUTS = 8  # that share a signed copy of the activations


def split_panels(
    isa: Isa, dot: Dot, panels: Sequence[Panel], rows: NDArray[np.int64], stored: tuple[int, int], positions: int
) -> list[tuple[Dot, list[Panel]]]:
    """Panels by the dot product that computes them: long ones where the weights allow it, `dot` for the others.

    Args:
        rows: weights, (outputs, runs, run length).
        stored: smallest and largest stored activation.
        positions: along a row.
    """
    rest, parts = list(panels), []
    for long in isa.long_dots:
        few = positions < long.swept_rows or len(rows) < _FEWEST_OUTPUTS
        if few or dot.activation != "uint8" or not _pays(isa, long, dot, rows):
            continue
        small = [p for p in rest if sums_fit(long, rows[p.first : p.first + p.count], stored)]
        rest = [panel for panel in rest if panel not in small]
        if small:
            parts.append((long, small))
    return [*parts, (dot, rest)] if rest else parts


def sums_fit(dot: Dot, rows: NDArray[np.int64], stored: tuple[int, int]) -> bool:
    """Whether no sum of `dot.products` products, in any order, can leave 16 bits.

    A lane adds the taps that lie group / products apart: Σ|w|·max|a| ≤ 32767, which for all activations of 8 bits,
    |a - 128| ≤ 128, is Σ|w| ≤ 255.

    Args:
        rows: weights, (outputs, runs, run length).
        stored: smallest and largest stored activation.
    """
    reach = max(abs(stored[0] - dot.offset), abs(stored[1] - dot.offset))
    groups = -(-rows.shape[-1] // dot.group)
    padded = np.zeros((*rows.shape[:-1], groups * dot.group), np.int64)
    padded[..., : rows.shape[-1]] = np.abs(rows)
    sums = padded.reshape(*rows.shape[:-1], groups, dot.products, -1).sum(-2)
    return bool(sums.max(initial=0) * reach <= _WORD)


def _pays(isa: Isa, long: Dot, dot: Dot, rows: NDArray[np.int64]) -> bool:
    """Whether a vector of outputs costs less, in spite of what fills up the last group of a run."""
    _, runs, length = rows.shape
    groups, short = -(-length // long.group), runs * -(-length // dot.group)
    if long.swept_rows:
        cycles = runs * (groups * _SWEPT_CYCLES + _SWEPT_RUN) + _SWEPT_END
        return cycles < short * _SHORT_CYCLES + _SHORT_END
    return runs * groups * isa.lanes * (long.products + 1) + isa.lanes < short * _SHORT_GROUP


def made_signed(build: Builder, view: View) -> View:
    """A copy of a uint8 tensor, halo included, as int8: each byte less 128."""
    layout, lanes = view.layout, 4 * build.isa.lanes
    copy = build.temporary("int8", layout.size + lanes)
    with build.parallel(-(-layout.size // lanes)) as index:
        signed = view.vload(index * lanes, lanes) ^ const(128, "uint8", lanes)
        copy.vstore(index * lanes, tirx.reinterpret(f"int8x{lanes}", signed), lanes)
    build.barrier()
    return View(copy.memory, replace(layout, storage=Storage("int8", layout.storage.bias - 128)), copy.origin)
