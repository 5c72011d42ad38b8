"""Accumulators that begin as the bits of a float32, where the requantization that follows wants them so."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.isa.base import Dot
from edgeconv.codegen.kernels.bit_forms import channel_starts
from edgeconv.codegen.kernels.product import product_fits, stays_inside
from edgeconv.codegen.plan import Step

__all__ = ["started_bias"]


def started_bias(
    step: Step, dot: Dot | None, weights: NDArray[np.int64], bias: NDArray[np.int64], stored: tuple[int, int]
) -> tuple[NDArray[np.int64], bool]:
    """The bias with `channel_starts` added and True, or as it is and False where partial sums would leave int32.

    Args:
        dot: what computes the sums; None for additions in any order.
        weights: (outputs, …).
        bias: (outputs,), corrections for zero point and storage bias included.
        stored: smallest and largest stored activation.
    """
    whole = bias + channel_starts(step, len(bias))
    fits = stays_inside(weights, whole, stored) if dot is None else product_fits(dot, weights, whole, stored)
    return (whole, True) if fits else (bias, False)
