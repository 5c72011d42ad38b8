"""From the values that a tensor took to the grid of its quantizer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgeconv.importer.graph import Quantizer
from edgeconv.ir import dtype

__all__ = ["Histogram", "activation_quantizer", "channel_scales", "quantization_noise"]

BINS = 2048
"""An eighth of a step of an 8-bit grid over the same range."""
_SHRINKS = np.linspace(1.0, 0.2, 81)
_WEIGHT_SHRINKS = np.linspace(1.0, 0.3, 36)
# float32 division by a smaller scale would leave the range of normal numbers.
_SMALLEST_SCALE = 2.0**-100
# What a bias may take of a 32-bit accumulator; the sums need the rest.
_LARGEST_BIAS = float(1 << 30)


@dataclass(frozen=True)
class Histogram:
    """Values between the least and the largest that occurred, in `BINS` bins of one width.

    Attributes:
        counts: per bin; all zero where only the range is known.
    """

    lo: float
    hi: float
    counts: NDArray[np.int64]

    @property
    def centers(self) -> NDArray[np.float64]:
        """The middle of each bin."""
        width = (self.hi - self.lo) / len(self.counts)
        return (self.lo + width * (np.arange(len(self.counts)) + 0.5)).astype(np.float64)

    def quantile(self, share: float) -> float:
        """The value below which this share of all values lies."""
        total = np.cumsum(self.counts)
        index = int(np.searchsorted(total, share * total[-1]))
        return self.lo + (self.hi - self.lo) * min(index + 1, len(self.counts)) / len(self.counts)

    def joined(self, other: Histogram) -> Histogram:
        """Both tensors' values, each value in the bin of its old bin's middle."""
        lo, hi = min(self.lo, other.lo), max(self.hi, other.hi)
        counts = np.zeros_like(self.counts)
        for part in (self, other):
            width = (hi - lo) / len(counts) or 1.0
            np.add.at(counts, np.clip((part.centers - lo) / width, 0, len(counts) - 1).astype(np.int64), part.counts)
        return Histogram(lo, hi, counts)


def activation_quantizer(
    seen: Histogram, bits: int, method: str, *, percentile: float, symmetric: bool, power_of_two: bool
) -> Quantizer:
    """The quantizer of an activation.

    Unsigned with a zero point; with `symmetric`, values that can be negative get signed integers and zero point 0.

    Args:
        method: `minmax`; `percentile`, cutting that much off each side; `mse`, the least mean square error.
    """
    lo, hi = min(seen.lo, 0.0), max(seen.hi, 0.0)
    # 16 bits have steps to spare: cutting off would only cost.
    if bits <= 8 and method == "percentile":
        lo, hi = min(seen.quantile(1 - percentile / 100), 0.0), max(seen.quantile(percentile / 100), 0.0)
    elif bits <= 8 and method == "mse":
        lo, hi = _least_error(seen, lo, hi, bits, symmetric)
    found = _grid(lo, hi, bits, symmetric)
    if not power_of_two:
        return found
    above = float(2.0 ** np.ceil(np.log2(found.scale[0])))
    coarse, fine = (_rescaled(found, scale, lo, symmetric) for scale in (above, above / 2))
    finer = method == "mse" and quantization_noise(seen, fine) < quantization_noise(seen, coarse)
    return fine if finer else coarse


def _grid(lo: float, hi: float, bits: int, symmetric: bool) -> Quantizer:
    """The finest grid that covers [lo, hi] and zero."""
    signed = symmetric and lo < 0
    least, most = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    step = max(lo / least, hi / most) if signed else (hi - lo) / most
    scale = float(np.float32(max(step, _SMALLEST_SCALE)))
    zero_point = 0 if signed else int(np.clip(np.rint(-lo / scale), least, most))
    kind = dtype(f"{'i' if signed else 'u'}{16 if bits > 8 else 8}")
    return Quantizer((scale,), zero_point, kind, least, most)


def _rescaled(quantizer: Quantizer, scale: float, lo: float, symmetric: bool) -> Quantizer:
    zero_point = 0 if quantizer.lo < 0 else int(np.clip(np.rint(-lo / scale), quantizer.lo, quantizer.hi))
    return replace(quantizer, scale=(scale,), zero_point=zero_point)


def quantization_noise(seen: Histogram, quantizer: Quantizer) -> float:
    """Sum of the squared errors that a quantizer makes on the values seen."""
    (scale,), zero = quantizer.scale, quantizer.zero_point
    levels = np.clip(np.rint(seen.centers / scale) + zero, quantizer.lo, quantizer.hi) - zero
    return float(np.dot(seen.counts, (seen.centers - levels * scale) ** 2))


def _least_error(seen: Histogram, lo: float, hi: float, bits: int, symmetric: bool) -> tuple[float, float]:
    """The cut range of least error: both ends drawn in together, then each end alone."""

    def best(candidates: list[tuple[float, float]]) -> tuple[float, float]:
        noise = [quantization_noise(seen, _grid(*ends, bits, symmetric)) for ends in candidates]
        return candidates[int(np.argmin(noise))]

    lo, hi = best([(lo * shrink, hi * shrink) for shrink in _SHRINKS])
    if symmetric or lo == 0 or hi == 0:
        return lo, hi
    lo, hi = best([(lo * shrink, hi) for shrink in _SHRINKS])
    return best([(lo, hi * shrink) for shrink in _SHRINKS])


def _least_error_scales(rows: NDArray[np.float64], scale: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """The shrunk scale of least mean square error for each row."""
    noise, kept = np.full(len(rows), np.inf), scale.copy()
    for shrink in _WEIGHT_SHRINKS:
        step = np.maximum(scale * shrink, _SMALLEST_SCALE)[:, None]
        error = np.rint(rows / step)
        np.clip(error, -most, most, out=error)
        error *= step
        error -= rows
        found = np.einsum("ij,ij->i", error, error)
        kept = np.where(found < noise, scale * shrink, kept)
        noise = np.minimum(noise, found)
    return kept


def channel_scales(
    rows: NDArray[np.float64],
    bits: int,
    *,
    least_error: bool,
    power_of_two: bool,
    bias: NDArray[np.float64] | None = None,
    input_scale: float = 0.0,
) -> NDArray[np.float32]:
    """Scales of symmetric weights, one for each row.

    Args:
        rows: (channels, weights of a channel).
        least_error: the scale of least mean square error; else the largest weight sets it.
        bias: per channel; its integer at scale input_scale·scale must fit beside the sums of an int32 accumulator.

    Returns:
        positive float32 of shape (channels,).
    """
    most = (1 << (bits - 1)) - 1
    peak = np.abs(rows).max(1, initial=0.0)
    scale = peak / most
    if least_error:
        scale = _least_error_scales(rows, scale, most)
    if bias is not None:
        scale = np.maximum(scale, np.abs(bias) / (input_scale * _LARGEST_BIAS))
    # A channel of zeros: any scale means the same; one of the size of the others keeps its bias exact.
    scale = np.where(scale > 0, scale, max(float(scale.max(initial=0.0)), _SMALLEST_SCALE))
    if power_of_two:
        scale = 2.0 ** np.ceil(np.log2(scale))
    return np.maximum(scale, _SMALLEST_SCALE).astype(np.float32)
