"""Recorded pulses as a network wants them: upright, on its baseline, cut where it expects the arrival."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import InputError, UsageError
from edgeconv.models.pulse.simulation import Floats, PulseConfig, PulseShape

__all__ = ["Aligned", "Digitizer", "Recording"]

Ints = NDArray[np.int64]
_PER_PULSE, _COMMON = "each", "all"


@dataclass(frozen=True)
class Digitizer:
    """How waveforms were recorded.

    Attributes:
        period_ns: sampling period.
        adc_bits: 4 to 16; codes are 0 to 2^adc_bits - 1.
        polarity: "positive" or "negative": whether pulses rise or fall.
        baseline: "each" takes the median of the first samples of every waveform; "all" that of the first samples of
            all waveforms, which a stable channel deserves, since one waveform's median carries its noise; a number is
            the baseline in ADC counts as recorded, before any inversion.
        baseline_samples: how many first samples are free of any pulse.
    """

    period_ns: float
    adc_bits: int
    polarity: str = "positive"
    baseline: float | str = _PER_PULSE
    baseline_samples: int = 16

    def __post_init__(self) -> None:
        given = not isinstance(self.baseline, str)
        wanted: list[tuple[str, bool, str]] = [
            ("period_ns", math.isfinite(self.period_ns) and self.period_ns > 0, "> 0"),
            ("adc_bits", 4 <= self.adc_bits <= 16, "4 to 16"),
            ("polarity", self.polarity in ("positive", "negative"), '"positive" or "negative"'),
            (
                "baseline",
                0 <= float(self.baseline) < self.levels if given else self.baseline in (_PER_PULSE, _COMMON),
                f'"{_PER_PULSE}", "{_COMMON}", or counts from 0 to {self.levels - 1}',
            ),
            ("baseline_samples", self.baseline_samples >= 1, "at least 1"),
        ]
        for name, good, expected in wanted:
            if not good:
                raise UsageError(f"Digitizer.{name} = {getattr(self, name)}", expected=expected)

    @property
    def levels(self) -> int:
        """Number of ADC codes."""
        return int(2**self.adc_bits)


@dataclass(frozen=True)
class Recording:
    """Waveforms of one channel as they were recorded.

    Attributes:
        digitizer: how they were recorded.
        samples: ADC codes, uint16 (N, length).
        events: number of each waveform in its file, or the digitizer's own event counter; int64 (N,).
        trigger_tags: the digitizer's clock at the trigger in its own units, int64 (N,); None where a file has none.
        source: where they came from, for messages.
    """

    digitizer: Digitizer
    samples: NDArray[np.uint16]
    events: Ints
    trigger_tags: Ints | None = None
    source: str = "waveforms"

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or self.samples.dtype != np.uint16 or 0 in self.samples.shape:
            raise UsageError(
                f"{self.source}: samples of shape {self.samples.shape} and type {self.samples.dtype}",
                expected="(waveforms, samples) of uint16, neither of them 0",
            )
        if self.samples.max() >= self.digitizer.levels:
            raise UsageError(f"{self.source}: code {self.samples.max()}", expected=f"{self.digitizer.adc_bits} bits")

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def baseline_counts(self) -> Floats:
        """Baseline of each waveform in ADC counts, as recorded; float64 (N,).

        Raises:
            InputError: the waveforms are shorter than the samples it is to be taken from.
        """
        baseline, first = self.digitizer.baseline, self.digitizer.baseline_samples
        if not isinstance(baseline, str):
            return np.full(len(self), float(baseline))
        if self.samples.shape[1] < first:
            raise InputError(
                f"{self.source}: {self.samples.shape[1]} samples a waveform",
                expected=f"at least baseline_samples = {first}",
            )
        quiet = self.samples[:, :first]
        if baseline == _COMMON:
            return np.full(len(self), float(np.median(quiet)))
        return np.asarray(np.median(quiet, axis=1), np.float64)

    @property
    def saturated(self) -> NDArray[np.bool_]:
        """Whether a waveform touches either end of the ADC's range, bool (N,)."""
        return ((self.samples == 0) | (self.samples == self.digitizer.levels - 1)).any(1)

    def align(
        self,
        config: PulseConfig,
        *,
        fraction: float = 0.5,
        threshold: float | None = None,
        arrival_sample: int | None = None,
    ) -> Aligned:
        """Cut the window of `config` from every waveform by whole samples, the pulse where the network expects it.

        Negative pulses are mirrored in the ADC's range, and each waveform is moved by whole counts so that its baseline
        lies nearest to the configured one. The arrival is where the leading edge crosses a level (linear between two
        samples), less the time that the configured shape needs to get there; the window moves by the nearest whole
        number of samples, so that no sample is ever interpolated.

        Args:
            config: the channel that the network was trained for.
            fraction: the level as a fraction of the waveform's peak: the edge of its highest pulse is taken.
            threshold: the level in counts above the baseline instead: the first crossing is taken.
            arrival_sample: the sample at which pulses arrive instead, where the trigger already fixes that.

        Raises:
            InputError: sampling period, ADC or length do not fit the configuration, or no waveform can be cut.
            UsageError: a fraction, threshold or arrival that cannot be.
        """
        self._check(config, fraction, threshold, arrival_sample)
        upright, baseline = self.samples.astype(np.int64), self.baseline_counts
        if self.digitizer.polarity == "negative":
            upright, baseline = self.digitizer.levels - 1 - upright, self.digitizer.levels - 1 - baseline
        if arrival_sample is None:
            height = upright - baseline[:, None]
            arrival, crossed = _arrival(height, config, fraction, threshold)
        else:
            arrival, crossed = np.full(len(self), float(arrival_sample)), np.ones(len(self), bool)
        shift = np.rint(arrival - config.arrival_ns / config.period_ns).astype(np.int64)
        inside = (shift >= 0) & (shift + config.samples <= self.samples.shape[1])
        good = np.flatnonzero(crossed & inside)
        left_out = {
            int(i): "no leading edge" if not crossed[i] else _outside(int(shift[i])) for i in _others(good, self)
        }
        if not len(good):
            raise InputError(
                f"{self.source}: none of {len(self)} waveforms can be cut; the first: {left_out[0]}",
                expected=f"{config.samples} samples with the arrival {config.arrival_ns} ns after the first",
                advice="record more samples before and after the pulse, or check polarity, baseline and threshold",
            )
        window = np.take_along_axis(upright[good], shift[good, None] + np.arange(config.samples), axis=1)
        moved = window + np.rint(config.baseline_counts - baseline[good]).astype(np.int64)[:, None]
        top = config.levels - 1
        ends = ((window == 0) | (window == top) | (moved < 0) | (moved > top)).any(1)
        codes = np.clip(moved, 0, top).astype(config.dtype)
        return Aligned(config, codes[:, None, :], good, shift[good], ends, left_out)

    def _check(self, config: PulseConfig, fraction: float, threshold: float | None, arrival_sample: int | None) -> None:
        period, bits, length = self.digitizer.period_ns, self.digitizer.adc_bits, self.samples.shape[1]
        if not math.isclose(period, config.period_ns, rel_tol=1e-6):
            raise InputError(
                f"{self.source}: sampled every {period} ns",
                expected=f"every {config.period_ns} ns, for which the network was trained",
                advice=f"train with PulseConfig(period_ns={period}); resampling would change noise and pulse shape",
            )
        if bits != config.adc_bits:
            raise InputError(
                f"{self.source}: codes of {bits} bits",
                expected=f"{config.adc_bits} bits, for which the network was trained",
                advice=f"train with PulseConfig(adc_bits={bits})",
            )
        if length < config.samples:
            raise InputError(
                f"{self.source}: {length} samples a waveform",
                expected=f"at least {config.samples}",
                advice="record longer waveforms",
            )
        if threshold is None and not 0 < fraction < 1:
            raise UsageError(f"fraction = {fraction}", expected="between 0 and 1")
        if threshold is not None and not 0 < threshold < config.levels:
            raise UsageError(f"threshold = {threshold}", expected=f"counts between 0 and {config.levels}")
        if arrival_sample is not None and not 0 <= arrival_sample < length:
            raise UsageError(f"arrival_sample = {arrival_sample}", expected=f"0 to {length - 1}")


@dataclass(frozen=True)
class Aligned:
    """Windows cut for a network.

    Attributes:
        config: the channel that they were cut for.
        samples: ADC codes, (M, 1, samples), uint16 or uint8: the network's input.
        index: which waveform of the recording each one is, int64 (M,).
        shift: sample of the recorded waveform at which its window starts, int64 (M,).
        saturated: whether a window touches an end of the ADC's range, or would have left it by moving its baseline.
        left_out: reason by the number of each waveform that could not be cut.
    """

    config: PulseConfig
    samples: NDArray[Any]
    index: Ints
    shift: Ints
    saturated: NDArray[np.bool_]
    left_out: dict[int, str]

    def __len__(self) -> int:
        return len(self.samples)

    def recorded_time_ns(self, time_ns: NDArray[np.floating]) -> Floats:
        """The network's times (M,), in ns from the start of each window, counted from the first recorded sample."""
        return np.asarray(time_ns, np.float64) + self.shift * self.config.period_ns


def _others(good: Ints, recording: Recording) -> Ints:
    return np.setdiff1d(np.arange(len(recording)), good)


def _outside(shift: int) -> str:
    return f"its window would start at sample {shift} and leave the record"


def _arrival(
    height: Floats, config: PulseConfig, fraction: float, threshold: float | None
) -> tuple[Floats, NDArray[np.bool_]]:
    """Arrival in samples, and whether there was a leading edge, of heights above the baseline (N, length)."""
    n, length = height.shape
    rise, peak_time = _leading_edge(config.shape, config.period_ns)
    at = np.arange(length)
    if threshold is None:
        top = height.argmax(1)
        peak = height.max(1)
        level = fraction * peak
        # From the peak back to the last sample below the level: noise further ahead is no edge.
        below = (height < level[:, None]) & (at < top[:, None])
        before = np.where(below, at, -1).max(1)
    else:
        level = np.full(n, float(threshold))
        above = height >= level[:, None]
        before = np.where(above.any(1), above.argmax(1), 0) - 1
        reach = math.ceil(peak_time / config.period_ns) + 1
        near = np.clip(before[:, None] + 1 + np.arange(reach), 0, length - 1)
        peak = np.take_along_axis(height, near, 1).max(1)
    crossed = (before >= 0) & (peak > 0)
    first = np.maximum(before, 0)
    low, high = height[np.arange(n), first], height[np.arange(n), np.minimum(first + 1, length - 1)]
    step = np.where(crossed & (high > low), high - low, 1.0)
    crossing = first + (level - low) / step
    share = np.where(crossed, level / np.where(crossed, peak, 1.0), 0.5)
    return crossing - np.interp(share, *rise) / config.period_ns, crossed


def _leading_edge(shape: PulseShape, period_ns: float) -> tuple[tuple[Floats, Floats], float]:
    """(heights, times in ns) of the shape up to its peak on a fine grid, and the time of the peak."""
    t = np.linspace(0, 64 * period_ns, 64 * 256 + 1)
    value = shape.value(t)
    top = int(value.argmax())
    return (value[: top + 1], t[: top + 1]), float(t[top])
