"""Weights as the array reads them: digits of wide ones, bytes of a run, words of the processing elements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.spec import LANES

__all__ = ["digits", "fits_nibbles", "pack_words"]

Ints = NDArray[np.int64]
_BASE = 256
_MOST_DIGITS = 4


def digits(w: Ints, name: str) -> Ints:
    """Weights as sums of d·256^i with digits of 8 signed bits: (planes, *shape), the highest first.

    Raises:
        UnsupportedModelError: more than four digits.
    """
    found: list[Ints] = []
    rest = w
    while rest.any() or not found:
        if len(found) == _MOST_DIGITS:
            raise UnsupportedModelError(
                f"{name}: a weight of {int(np.abs(w).max())}",
                expected="weights below 2³¹ on the accelerator",
                advice="quantize the weights to 8 bits",
            )
        low = (rest + _BASE // 2) % _BASE - _BASE // 2
        found.append(low)
        rest = (rest - low) // _BASE
    return np.stack(found[::-1])


def fits_nibbles(w: Ints) -> bool:
    """Whether all weights have 4 signed bits."""
    return bool(w.size == 0 or (w.min() >= -8 and w.max() <= 7))


def pack_words(dense: Ints, elements: int, words: int, nibbles: bool) -> NDArray[np.int8]:
    """Weights by word, element and lane.

    Args:
        dense: (groups, planes, runs, bytes, channels of a group).
        elements: processing elements; with `nibbles` a group has twice as many channels, and the second half of them
            stands in the high four bits.
        words: of a run; bytes past the run have weight zero.
    """
    groups, planes, runs, size, channels = dense.shape
    padded = np.zeros((groups, planes, runs, words * LANES, channels), np.int64)
    padded[..., :size, :] = dense
    lanes = padded.reshape(groups, planes, runs, words, LANES, channels).swapaxes(-1, -2)
    if nibbles:
        lanes = ((lanes[..., elements:, :] & 15) << 4) | (lanes[..., :elements, :] & 15)
        lanes = (lanes + _BASE // 2) % _BASE - _BASE // 2
    return np.ascontiguousarray(lanes.astype(np.int8))


def equal_steps(values: Sequence[int]) -> int | None:
    """The step of an arithmetic progression (0 for one value), None where there is none."""
    steps = set(np.diff(np.array(values)).tolist())
    return None if len(steps) > 1 else steps.pop() if steps else 0
