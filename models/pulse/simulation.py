"""Digitized detector pulses: pulse shape, sampling, noise, pile-up and ADC, with the truth behind each waveform."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UsageError

__all__ = ["Biexponential", "CrRc", "PulseConfig", "PulseShape", "Pulses", "digitize", "simulate"]

Floats = NDArray[np.float64]


class PulseShape(Protocol):
    """The answer of detector and shaper to one event at time 0, with a peak of 1."""

    def value(self, t_ns: Floats) -> Floats:
        """Pulse height at t_ns; 0 before the event."""
        ...

    def slope(self, t_ns: Floats) -> Floats:
        """Derivative of `value` with respect to t_ns, per ns."""
        ...


@dataclass(frozen=True)
class CrRc:
    """CR-RC^n shaping: (t/(nτ))^n·exp(n - t/τ), which peaks at nτ (Knoll, Radiation Detection, ch. 17)."""

    order: int = 2
    tau_ns: float = 6.0

    def __post_init__(self) -> None:
        if self.order < 1 or not self.tau_ns > 0:
            raise UsageError(f"pulse shape {self}", expected="order >= 1 and tau_ns > 0")

    def value(self, t_ns: Floats) -> Floats:
        u = np.maximum(t_ns, 0) / self.tau_ns
        return (u / self.order) ** self.order * np.exp(self.order - u)

    def slope(self, t_ns: Floats) -> Floats:
        u = np.maximum(t_ns, 0) / self.tau_ns
        rise = (u / self.order) ** (self.order - 1) * np.exp(self.order - u) / self.tau_ns
        return np.where(t_ns > 0, rise * (1 - u / self.order), 0.0)


@dataclass(frozen=True)
class Biexponential:
    """Scintillation light with rise and decay: exp(-t/decay) - exp(-t/rise), scaled to a peak of 1."""

    rise_ns: float = 8.0
    decay_ns: float = 40.0

    def __post_init__(self) -> None:
        if not 0 < self.rise_ns < self.decay_ns:
            raise UsageError(f"pulse shape {self}", expected="0 < rise_ns < decay_ns")

    def _peak(self) -> float:
        rise, decay = self.rise_ns, self.decay_ns
        at = math.log(decay / rise) * rise * decay / (decay - rise)
        return math.exp(-at / decay) - math.exp(-at / rise)

    def value(self, t_ns: Floats) -> Floats:
        t = np.maximum(t_ns, 0)
        return (np.exp(-t / self.decay_ns) - np.exp(-t / self.rise_ns)) / self._peak()

    def slope(self, t_ns: Floats) -> Floats:
        t = np.maximum(t_ns, 0)
        slope = np.exp(-t / self.rise_ns) / self.rise_ns - np.exp(-t / self.decay_ns) / self.decay_ns
        return np.where(t_ns > 0, slope / self._peak(), 0.0)


@dataclass(frozen=True)
class PulseConfig:
    """A detector channel and what falls on it.

    The window is opened by a trigger on the sampling clock, so a pulse arrives near a known place: uniformly, with
    sub-sample resolution, in `jitter_ns` around `arrival_ns`; two sampling periods by default.

    Attributes:
        shape: pulse shape with a peak of 1.
        samples: samples in the window.
        period_ns: sampling period.
        adc_bits: 4 to 16.
        baseline: height of the baseline as a fraction of the ADC's range.
        baseline_spread: the baseline varies uniformly by ± this fraction of the ADC's range from pulse to pulse; 0
            means that it is known.
        headroom: fraction of the ADC's range above a full-scale pulse.
        snr_db: 20·log10(full-scale peak / standard deviation of the noise).
        correlated: fraction of the noise variance that is correlated as exp(-|Δt|/correlation_ns); the rest is white.
        correlation_ns: correlation time of that part.
        arrival_ns: middle of the arrival times, from the first sample.
        jitter_ns: width of the uniform distribution of arrival times.
        spectrum: "uniform" or "exponential" energies between min_energy and 1.
        min_energy: lowest energy as a fraction of full scale.
        pile_up: probability of a second pulse, of the same spectrum, anywhere from 64 samples before the first to the
            end of the window.
    """

    shape: PulseShape = field(default_factory=CrRc)
    samples: int = 128
    period_ns: float = 4.0
    adc_bits: int = 12
    baseline: float = 0.05
    baseline_spread: float = 0.0
    headroom: float = 0.03
    snr_db: float = 47.4
    correlated: float = 0.0
    correlation_ns: float = 20.0
    arrival_ns: float = 96.0
    jitter_ns: float = 8.0
    spectrum: str = "uniform"
    min_energy: float = 0.2
    pile_up: float = 0.0

    def __post_init__(self) -> None:
        fraction = "a fraction in [0, 1)"
        wanted: list[tuple[str, bool, str]] = [
            ("samples", self.samples >= 8, "at least 8"),
            ("period_ns", self.period_ns > 0, "> 0"),
            ("adc_bits", 4 <= self.adc_bits <= 16, "4 to 16"),
            ("baseline", 0 <= self.baseline_spread <= self.baseline < 1, "baseline_spread <= baseline < 1"),
            ("headroom", 0 <= self.headroom < 1 - self.baseline - self.baseline_spread, "room for a pulse"),
            ("snr_db", math.isfinite(self.snr_db), "a finite number"),
            ("correlated", 0 <= self.correlated < 1, fraction),
            ("correlation_ns", self.correlation_ns > 0, "> 0"),
            ("jitter_ns", self.jitter_ns > 0, "> 0"),
            ("spectrum", self.spectrum in _SPECTRA, " or ".join(_SPECTRA)),
            ("min_energy", 0 < self.min_energy < 1, "between 0 and 1"),
            ("pile_up", 0 <= self.pile_up <= 1, "a probability"),
        ]
        for name, good, expected in wanted:
            if not good:
                raise UsageError(f"PulseConfig.{name} = {getattr(self, name)}", expected=expected)

    @property
    def levels(self) -> int:
        """Number of ADC codes."""
        return 2**self.adc_bits

    @property
    def baseline_counts(self) -> int:
        """Nominal baseline as an ADC code."""
        return round(self.baseline * self.levels)

    @property
    def full_scale_counts(self) -> float:
        """Height of a full-scale pulse above the baseline in ADC counts."""
        return (1 - self.baseline - self.baseline_spread - self.headroom) * (self.levels - 1)

    @property
    def noise_counts(self) -> float:
        """Standard deviation of the noise in ADC counts, without the ADC's rounding."""
        return float(self.full_scale_counts * 10 ** (-self.snr_db / 20))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the samples: uint8 up to 8 bits, uint16 above."""
        return np.dtype(np.uint8 if self.adc_bits <= 8 else np.uint16)

    def at_snr(self, snr_db: float) -> PulseConfig:
        """The same channel with another noise."""
        return replace(self, snr_db=snr_db)


@dataclass(frozen=True)
class Pulses:
    """Simulated waveforms with their truth.

    Attributes:
        config: what they were simulated from.
        samples: ADC codes, (N, 1, samples), uint16 or uint8.
        time_ns: arrival time of each pulse from the first sample, float64 (N,).
        energy: height as a fraction of full scale, float64 (N,).
        baseline_counts: baseline of each waveform in ADC counts, float64 (N,).
        piled_up: whether a second pulse overlaps, bool (N,).
    """

    config: PulseConfig
    samples: NDArray[Any]
    time_ns: Floats
    energy: Floats
    baseline_counts: Floats
    piled_up: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.samples)


def _uniform(rng: np.random.Generator, n: int, low: float) -> Floats:
    return rng.uniform(low, 1, n)


def _exponential(rng: np.random.Generator, n: int, low: float) -> Floats:
    """Mean 1/3 of full scale above `low`, cut at 1, by inverting the distribution function."""
    mean = 1 / 3
    cut = 1 - math.exp(-(1 - low) / mean)
    return low - mean * np.log1p(-cut * rng.uniform(0, 1, n))


_SPECTRA = {"uniform": _uniform, "exponential": _exponential}


def simulate(config: PulseConfig, n: int, seed: int | np.random.Generator) -> Pulses:
    """Simulate n digitized pulses.

    Args:
        seed: an integer for reproducible pulses, or a generator to go on drawing from.

    Raises:
        UsageError: n is not positive.
    """
    if n < 1:
        raise UsageError(f"{n} pulses", expected="at least 1")
    rng = np.random.default_rng(seed)
    time = config.arrival_ns + config.jitter_ns * rng.uniform(-0.5, 0.5, n)
    energy = _SPECTRA[config.spectrum](rng, n, config.min_energy)
    piled_up = rng.uniform(0, 1, n) < config.pile_up
    baseline = config.baseline_counts + config.baseline_spread * config.levels * rng.uniform(-1, 1, n)
    at = np.arange(config.samples) * config.period_ns
    height = energy[:, None] * config.shape.value(at - time[:, None])
    if piled_up.any():
        earliest, latest = config.arrival_ns - 64 * config.period_ns, at[-1]
        other = rng.uniform(earliest, latest, int(piled_up.sum()))
        size = _SPECTRA[config.spectrum](rng, len(other), config.min_energy)
        height[piled_up] += size[:, None] * config.shape.value(at - other[:, None])
    codes = digitize(config, baseline[:, None] + config.full_scale_counts * height, rng)
    return Pulses(config, codes, time, energy, baseline, piled_up)


def digitize(config: PulseConfig, counts: Floats, rng: np.random.Generator) -> NDArray[Any]:
    """ADC codes (N, 1, samples) of waveforms in counts, (N, samples), with the channel's noise on them."""
    noisy = counts + _noise(config, len(counts), rng)
    return np.clip(np.rint(noisy), 0, config.levels - 1).astype(config.dtype)[:, None, :]


def _noise(config: PulseConfig, n: int, rng: np.random.Generator) -> NDArray[np.floating]:
    """White and correlated noise in counts, (n, samples)."""
    white = rng.standard_normal((n, config.samples), np.float32)
    if config.correlated == 0:
        return np.float32(config.noise_counts) * white
    slow = np.empty((n, config.samples))
    # Gauss-Markov: each sample keeps a fixed part of the one before, which gives exp(-|Δt|/correlation) exactly.
    keep = math.exp(-config.period_ns / config.correlation_ns)
    drive = rng.standard_normal((n, config.samples))
    slow[:, 0] = drive[:, 0]
    for i in range(1, config.samples):
        slow[:, i] = keep * slow[:, i - 1] + math.sqrt(1 - keep**2) * drive[:, i]
    share = config.correlated
    return config.noise_counts * (math.sqrt(1 - share) * white + math.sqrt(share) * slow)
