"""Requantization by the form `fma_bits_f32`: accumulators that are the bits of a float32, and sums that are.

Where a kernel adds `channel_starts` to what its accumulators begin with, no conversion is left: the fused multiply-add
reads the accumulator as it is. Its sum holds the rounded integer in the low bits; where these are narrowed to bytes by
instructions that look at 16 bits (`Isa.pack_bits`), nothing is subtracted either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import bind, const
from edgeconv.codegen.integer_forms import evaluate
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.forms_base import (
    BlockConstants,
    Columns,
    Ending,
    Fixes,
    Rows,
    fix_arrays,
    fma,
    form_array,
)
from edgeconv.codegen.kernels.requantizer import proved_forms, reach_of
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir.forms import MAGIC_F32_BITS, WINDOW, FmaBitsF32

__all__ = ["bits_sign", "channel_starts", "columns_fma_bits_f32", "values_fma_bits_f32"]

_LARGEST_INTEGER = 1 << 24  # integers up to here are float32
_INT16 = range(-(1 << 15), 1 << 15)


def channel_starts(step: Step, channels: int) -> NDArray[np.int64]:
    """(channels,): what the accumulators of a step may begin with besides their bias."""
    if step.requant is None:
        return np.zeros(channels, np.int64)
    starts = [form.start if isinstance(form, FmaBitsF32) else 0 for form in proved_forms(step).forms]
    return np.array(starts * channels if len(starts) == 1 else starts, np.int64)


def bits_sign(isa: Isa, step: Step, zero: int, channels: Iterable[int]) -> int:
    """`Isa.bits_sign` where bytes are made of the bits of the sums of all these channels, else 0.

    Args:
        zero: what is added after rounding.
    """
    if step.requant is None or step.sequel or step.layout(step.output).storage.element != "uint8":
        return 0
    proved = proved_forms(step)
    for channel in channels if len(proved.forms) > 1 else [0]:
        form = proved.forms[channel]
        if not isinstance(form, FmaBitsF32) or not _takes_zero(form, zero):
            return 0
        if any(evaluate(form, end) + zero not in _INT16 for end in reach_of(proved, channel)):
            return 0
    return isa.bits_sign


def _takes_zero(form: FmaBitsF32, zero: int) -> bool:
    """Whether the addend may hold `zero`: it stays a float32, and no tie changes from even to odd.

    A product of an integer below 2²⁴ and m / 2ˢ, m odd, is in the middle of two integers only for s <= 24.
    """
    ties = Fraction(form.factor).denominator <= 2 * WINDOW
    return abs(form.addend + zero) <= _LARGEST_INTEGER and (zero % 2 == 0 or not ties)


def columns_fma_bits_f32(rows: Rows, fixes: int, finish: Ending) -> Columns:
    """Constants lane by lane: factor and addend, with sign and zero point where bits are packed; start and fixes."""
    sign, zero = finish.sign or 1, finish.zero if finish.sign else 0
    columns: Columns = {
        "factor": form_array(rows, lambda form: sign * form.factor, "float32"),  # type: ignore[union-attr]
        "addend": form_array(rows, lambda form: sign * (form.addend + zero), "float32"),  # type: ignore[union-attr]
    }
    starts = np.array([[form.start for form in row] for row in rows], np.int32)  # type: ignore[union-attr]
    if not finish.started:
        columns["start"] = starts
    for index, (at, delta) in enumerate(fix_arrays(rows, fixes)):
        columns[f"at{index}"] = (at + starts if finish.started else at).astype(np.int32)
        columns[f"delta{index}"] = delta.astype(np.int32)
    return columns


def values_fma_bits_f32(
    finish: Ending, constants: BlockConstants, panel: Expr, fixes: int, accumulators: Sequence[Expr]
) -> list[Expr]:
    """The sums' bits as they are where the ending packs them, else integers."""
    lanes = constants.lanes
    factor, addend = constants.load("factor", panel, 0), constants.load("addend", panel, 0)
    start = None if finish.started else constants.load("start", panel, 0)
    corrections = Fixes(constants, panel, fixes)
    values = []
    for acc in accumulators:
        fixed = corrections.applied(bind(acc))
        fixed = fixed if start is None else fixed + start
        total = fma("float32", lanes, tirx.reinterpret(f"float32x{lanes}", fixed), factor, addend)
        bits = tirx.reinterpret(f"int32x{lanes}", total)
        values.append(bind(bits if finish.sign else bits - const(MAGIC_F32_BITS - finish.zero, "int32", lanes)))
    return values
