"""From a record to the integers a network reads: gaps, missing limb leads, offset, resampling, windows, scale."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import InputError, UsageError
from edgeconv.models.ecg_mamba.leads import complete_limb_leads
from edgeconv.models.ecg_mamba.record import Record

__all__ = ["SignalConfig", "Windows", "prepare", "resample"]

Floats = NDArray[np.float64]

# Zero crossings of the sinc on each side and Kaiser's beta: 60 dB of stopband, as in scipy.signal.resample_poly.
_HALF_CROSSINGS = 10
_KAISER_BETA = 5.0
_MAX_FACTOR = 20_000
# A record longer than the window by less than this loses its ends instead of becoming two windows almost alike.
_TRIMMED = 0.1


@dataclass(frozen=True)
class SignalConfig:
    """The input of a network.

    Input integers are fixed physical units, `lsb_mv` millivolts each, for every lead and record: amplitude is part of
    the diagnosis (low voltage, ST segments), so nothing is normalized by its own size. 16 bits of 2^-10 mV reach
    ±32 mV; 8 bits need a coarser unit: 2^-5 mV (31 µV) reaches ±4 mV and leaves a P wave of 0.1 mV three steps, 2^-6 mV
    resolves it better and saturates high precordial QRS complexes at ±2 mV.

    Attributes:
        rate_hz: sampling rate.
        samples: length of a window.
        bits: 8 or 16, signed.
        lsb_mv: size of one integer step; a power of two keeps every scale of the network one.
        hop: largest distance between the starts of two windows of a long record.
        highpass_hz: remove slower waves with zero phase; None leaves the baseline as it is. 0.5 Hz keeps ST segments
            (Kligfield et al., Circulation 115:1306, 2007: up to 0.67 Hz with zero phase).
    """

    rate_hz: int = 250
    samples: int = 2560
    bits: int = 16
    lsb_mv: float = 2.0**-10
    hop: int = 1280
    highpass_hz: float | None = None

    def __post_init__(self) -> None:
        wanted: list[tuple[str, bool, str]] = [
            ("rate_hz", 50 <= self.rate_hz <= 1000, "50 to 1000 Hz"),
            ("samples", self.samples >= 64, "at least 64"),
            ("bits", self.bits in (8, 16), "8 or 16"),
            ("lsb_mv", 1e-5 <= self.lsb_mv <= 1, "1e-5 to 1 mV"),
            ("hop", 1 <= self.hop <= self.samples, "1 to samples"),
            ("highpass_hz", self.highpass_hz is None or 0 < self.highpass_hz < 5, "between 0 and 5 Hz, or None"),
        ]
        for name, good, expected in wanted:
            if not good:
                raise UsageError(f"SignalConfig.{name} = {getattr(self, name)}", expected=expected)

    @property
    def dtype(self) -> np.dtype[Any]:
        """int8 or int16."""
        return np.dtype(f"int{self.bits}")


@dataclass(frozen=True)
class Windows:
    """One record as network input.

    Attributes:
        inputs: int8 or int16 (windows, 12, samples); 0 where a lead is missing or the record has ended.
        starts: first sample of each window at the network's rate, (windows,).
        clipped: share of the samples that did not fit and were saturated.
    """

    inputs: NDArray[Any]
    starts: NDArray[np.int64]
    clipped: float


def prepare(record: Record, config: SignalConfig) -> Windows:
    """Integers of one record.

    Gaps are bridged linearly; limb leads that were not recorded follow from two that were; each lead loses its median,
    which is the offset of its electrodes; then resampling, windows, and rounding to the nearest step, half to even.
    """
    signal, present = complete_limb_leads(_bridge_gaps(record), record.present)
    signal -= np.median(signal, axis=1, keepdims=True)
    signal = resample(signal, record.rate_hz, config.rate_hz)
    if config.highpass_hz is not None:
        signal = _highpass(signal, config.highpass_hz, config.rate_hz)
    signal[~present] = 0
    whole = np.rint(signal / config.lsb_mv)
    limits = np.iinfo(config.dtype)
    integers = np.clip(whole, limits.min, limits.max).astype(config.dtype)
    starts = _starts(integers.shape[1], config)
    inputs = np.zeros((len(starts), 12, config.samples), config.dtype)
    for window, start in zip(inputs, starts, strict=True):
        part = integers[:, start : start + config.samples]
        window[:, : part.shape[1]] = part
    return Windows(inputs, starts, float(np.mean(integers != whole)))


def _bridge_gaps(record: Record) -> Floats:
    """Signal in mV with missing samples interpolated and missing leads 0, (12, N)."""
    signal = record.millivolts()
    signal[~record.present] = 0
    for lead in np.flatnonzero(np.isnan(signal).any(axis=1)):
        missing = np.isnan(signal[lead])
        at = np.arange(signal.shape[1])
        signal[lead, missing] = np.interp(at[missing], at[~missing], signal[lead, ~missing])
    return signal


def _starts(length: int, config: SignalConfig) -> NDArray[np.int64]:
    """Windows that cover the whole record at equal distances of at most `hop`."""
    excess = length - config.samples
    if excess <= 0:
        return np.zeros(1, np.int64)
    if excess <= _TRIMMED * config.samples:
        return np.array([excess // 2])
    return np.rint(np.linspace(0, excess, -(-excess // config.hop) + 1)).astype(np.int64)


def resample(signal: Floats, rate_hz: float, new_rate_hz: float) -> Floats:
    """Another sampling rate by an exact ratio of integers, with a linear-phase low-pass filter.

    Sample k of the result lies at time k/new_rate; ends are continued with their last value. The filter is a sinc with
    a Kaiser window at the lower of the two Nyquist frequencies.

    Args:
        signal: (leads, N).

    Returns:
        (leads, ceil(N·new_rate/rate)).

    Raises:
        InputError: the rates have no ratio of moderate integers.
    """
    ratio = Fraction(new_rate_hz).limit_denominator(1000) / Fraction(rate_hz).limit_denominator(1000)
    up, down = ratio.numerator, ratio.denominator
    if max(up, down) > _MAX_FACTOR:
        raise InputError(
            f"resampling from {rate_hz} to {new_rate_hz} Hz, a ratio of {up}/{down}", expected="a simpler one"
        )
    if up == down:
        return signal.copy()
    phases = _phases(up, down)
    taps = phases.shape[1]
    # Output n is a sum over inputs first[n] ... first[n] + taps - 1 with the coefficients of its phase.
    n = np.arange(-(-signal.shape[1] * up // down), dtype=np.int64)
    reach = _HALF_CROSSINGS * max(up, down)
    first = -((reach - n * down) // up)
    phase = first * up + reach - n * down
    before, after = max(0, -int(first[0])), max(0, int(first[-1]) + taps - signal.shape[1])
    padded = np.pad(signal, ((0, 0), (before, after)), mode="edge")
    out = np.zeros((len(signal), len(n)))
    for tap in range(taps):
        out += phases[phase, tap] * padded[:, first + before + tap]
    return out


@lru_cache(maxsize=16)
def _phases(up: int, down: int) -> Floats:
    """Coefficients by phase, (up, taps): row p holds every up-th coefficient of the filter from p on."""
    widest = max(up, down)
    reach = _HALF_CROSSINGS * widest
    taps = np.sinc(np.arange(-reach, reach + 1) / widest) * np.kaiser(2 * reach + 1, _KAISER_BETA)
    taps *= up / taps.sum()
    rows = -(-len(taps) // up)
    return np.pad(taps, (0, rows * up - len(taps))).reshape(rows, up).T.copy()


def _highpass(signal: Floats, cut_hz: float, rate_hz: float) -> Floats:
    """Zero-phase filter with a raised-cosine edge from cut/2 to cut; ends are mirrored."""
    length = signal.shape[1]
    mirrored = np.concatenate([signal, signal[:, ::-1]], axis=1)
    frequency = np.fft.rfftfreq(2 * length, 1 / rate_hz)
    gain = 0.5 - 0.5 * np.cos(np.pi * np.clip(2 * frequency / cut_hz - 1, 0, 1))
    return np.fft.irfft(np.fft.rfft(mirrored) * gain, 2 * length)[:, :length]
