"""Proved forms as constants of the requantization units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.compiler.passes import Channels
from edgeconv.hw.spec import PARAMETER
from edgeconv.ir import Grid
from edgeconv.ir.forms import AddMulShift, Form, MulShift

__all__ = ["copied", "raw", "rescaled"]

_BITS = {field.name: field.bits for field in PARAMETER}
_INT32 = (-(1 << 31), (1 << 31) - 1)


def rescaled(name: str, forms: Sequence[Form], count: int, biases: Sequence[int], grid: Grid, offset: int) -> Channels:
    """Requantization by the forms of a certificate.

    Args:
        forms: one per channel, or one for all; of a sum, the multipliers stand in the weights.
        count: channels.
        biases: added to the accumulators.
        offset: added to the results to make them bytes.

    Raises:
        UnsupportedModelError: a form or constant that the units do not have; names channel and limit.
    """
    columns: dict[str, list[int]] = {"multiplier": [], "shift": [], "even": [], "addend": []}
    zero = grid.zero_point + offset
    for channel in range(count):
        form = forms[channel if len(forms) > 1 else 0]
        if not isinstance(form, (MulShift, AddMulShift)):
            raise UnsupportedModelError(
                f"{name}, channel {channel}: requantization by {form.kind}",
                expected="a multiplier and a shift (form mul_shift) on the accelerator",
                advice="power-of-two scales, or scales whose ratio has no structural ties",
            )
        multiplier = form.multiplier if isinstance(form, MulShift) else 1
        half = 1 << (form.shift - 1)
        addend = form.addend + biases[channel] * multiplier + half + (zero << form.shift)
        _check(name, channel, "multiplier", multiplier)
        _check(name, channel, "addend", addend)
        for column, value in zip(columns, (multiplier, form.shift, int(form.half_even), addend), strict=True):
            columns[column].append(value)
    return Channels(
        np.array(columns["multiplier"], np.int64),
        np.array(columns["shift"], np.int64),
        np.array(columns["even"], np.int64),
        tuple(columns["addend"]),
        grid.lo + offset,
        grid.hi + offset,
        bool(zero & 1),
    )


def raw(biases: Sequence[int]) -> Channels:
    """Accumulators with their biases as they are, in 32 bits."""
    ones, zeros = np.ones(len(biases), np.int64), np.zeros(len(biases), np.int64)
    return Channels(ones, zeros, zeros, tuple(biases), *_INT32)


def copied(count: int, lo: int = 0, hi: int = 255, offset: int = 0) -> Channels:
    """Bytes as they are, plus an offset."""
    ones, zeros = np.ones(count, np.int64), np.zeros(count, np.int64)
    return Channels(ones, zeros, zeros, (offset,) * count, lo, hi)


def _check(name: str, channel: int, field: str, value: int) -> None:
    limit = 1 << (_BITS[field] - 1)
    if not -limit <= value < limit:
        raise UnsupportedModelError(
            f"{name}, channel {channel}: {field} {value} of the requantization",
            expected=f"{_BITS[field]} bits with sign",
            advice="scales nearer to one another, or a smaller bias",
        )
