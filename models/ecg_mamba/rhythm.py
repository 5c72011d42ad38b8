"""When atria and ventricles beat: sinus rhythm and its variability, ectopic beats, blocks, flutter, fibrillation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rhythm", "Tachogram", "atrial_flutter", "paroxysm", "fibrillation", "sinus", "wenckebach"]

Floats = NDArray[np.float64]
Rng = np.random.Generator

# Beats are made from before the record to after it, so that both ends look like any other place.
_BEFORE_S = 3.0
_AFTER_S = 1.5
_GRID_HZ = 4.0
# No ventricle answers sooner than this after a normal beat.
_REFRACTORY_S = 0.30


@dataclass
class Rhythm:
    """Times in s from the first sample; lists while a rhythm is being made.

    Attributes:
        p: onsets of P waves of the sinus node; ectopic_p: of another atrial focus.
        qrs: onsets of QRS complexes that came through the AV node; ventricular: of premature ventricular ones.
        fibrillation: intervals without P waves and with fibrillatory waves.
        flutter_s: cycle length of atrial flutter, or None.
        flutter_start: a time at which a flutter wave begins.
    """

    p: list[float] = field(default_factory=list)
    ectopic_p: list[float] = field(default_factory=list)
    qrs: list[float] = field(default_factory=list)
    ventricular: list[float] = field(default_factory=list)
    fibrillation: list[tuple[float, float]] = field(default_factory=list)
    flutter_s: float | None = None
    flutter_start: float = 0.0

    def intervals(self, seconds: float) -> Floats:
        """RR intervals between beats inside the record, ventricular ones included."""
        beats = np.sort(np.array(self.qrs + self.ventricular))
        return np.diff(beats[(beats >= 0) & (beats < seconds)])


class Tachogram:
    """RR intervals of the sinus node over time (McSharry et al. 2003, eq. 5 and 6).

    Their power spectrum has two Gaussians, the Mayer waves of blood pressure near 0.1 Hz and respiratory sinus
    arrhythmia at the rate of breathing; phases are random and the standard deviation is set.
    """

    def __init__(
        self,
        rng: Rng,
        mean_s: float,
        deviation_s: float,
        seconds: float,
        breathing_hz: float,
        mayer_to_breathing: float,
    ) -> None:
        length = 256
        while length < _GRID_HZ * (seconds + 2 * (_BEFORE_S + _AFTER_S)):
            length *= 2
        frequency = np.fft.rfftfreq(length, 1 / _GRID_HZ)
        power = mayer_to_breathing * np.exp(-0.5 * ((frequency - 0.1) / 0.012) ** 2)
        power += np.exp(-0.5 * ((frequency - breathing_hz) / 0.012) ** 2)
        phase = rng.uniform(0, 2 * np.pi, len(frequency))
        series = np.fft.irfft(np.sqrt(power) * np.exp(1j * phase), length)
        self._intervals = (mean_s + deviation_s / series.std() * series).clip(0.3, 2.5).tolist()

    def __call__(self, time: float) -> float:
        return self._intervals[int((time + _BEFORE_S) * _GRID_HZ) % len(self._intervals)]


Due = Callable[[int, float], bool]


def never(beat: int, time: float) -> bool:
    """No ectopic beat."""
    return False


def every(n: int) -> Due:
    """After every n-th sinus beat: 1 is bigeminy, 2 is trigeminy."""
    return lambda beat, time: beat % n == n - 1


def sometimes(rng: Rng, seconds: float, count: int) -> Due:
    """After the first beat past each of some random times inside the record."""
    times = sorted(rng.uniform(0.4, max(seconds - 2.0, 0.5), count).tolist())

    def due(beat: int, time: float) -> bool:
        if times and time >= times[0]:
            times.pop(0)
            return True
        return False

    return due


def sinus(
    rng: Rng,
    rr: Tachogram,
    pr_s: float,
    seconds: float,
    *,
    ventricular: Due = never,
    atrial: Due = never,
    begin: float = -_BEFORE_S,
    end: float | None = None,
) -> Rhythm:
    """Sinus rhythm with premature beats.

    A premature ventricular beat does not reach the sinus node: the next P wave comes on time, hidden and blocked, and
    the pause is fully compensatory; at slow rates some beats are interpolated without any pause. A premature atrial
    beat resets the sinus node, and the pause is shorter than compensatory.

    Args:
        begin, end: for a part of a record.
    """
    end = seconds + _AFTER_S if end is None else end
    rhythm, time, beat, slower = Rhythm(), begin + 0.3 * rng.uniform(), 0, 0.0
    early, interpolated = rng.uniform(0.48, 0.62), rng.uniform() < 0.4
    while time < end:
        period = rr(time)
        qrs = time + pr_s + slower
        rhythm.p.append(time)
        rhythm.qrs.append(qrs)
        slower = 0.0
        if ventricular(beat, qrs):
            premature = qrs + max(early * period + 0.02 * rng.standard_normal(), 0.36)
            rhythm.ventricular.append(premature)
            if interpolated and period > 0.95 and time + period + pr_s > premature + 0.38:
                slower = 0.05  # retrograde concealed conduction
                time += period
            else:
                rhythm.p.append(time + period)
                time += period + rr(time + period)
        elif atrial(beat, qrs):
            premature = max(time + (early + 0.08) * period + 0.02 * rng.standard_normal(), qrs + 0.24)
            rhythm.ectopic_p.append(premature)
            rhythm.qrs.append(premature + pr_s + 0.015)
            time = premature + period * rng.uniform(1.02, 1.15)
        else:
            time += period
        beat += 1
    return rhythm


def wenckebach(rng: Rng, rr: Tachogram, pr_s: float, seconds: float) -> Rhythm:
    """Second-degree AV block, Mobitz I: PR grows by less and less from beat to beat until a P wave is not conducted."""
    rhythm, time = Rhythm(), -_BEFORE_S * rng.uniform(1, 2)
    step, shrink, length = rng.uniform(0.07, 0.12), rng.uniform(0.45, 0.7), int(rng.integers(3, 6))
    place, delay = 0, 0.0
    while time < seconds + _AFTER_S:
        rhythm.p.append(time)
        if place == length - 1:
            place, delay = 0, 0.0
            if rng.uniform() < 0.25:
                length = int(rng.integers(3, 6))
        else:
            rhythm.qrs.append(time + pr_s + delay)
            delay += step * shrink**place
            place += 1
        time += rr(time)
    return rhythm


def fibrillation(
    rng: Rng, mean_s: float, seconds: float, begin: float = -_BEFORE_S, end: float | None = None
) -> Rhythm:
    """Atrial fibrillation: RR intervals without memory (log-normal), no P waves."""
    end = seconds + _AFTER_S if end is None else end
    rhythm, spread = Rhythm(), rng.uniform(0.19, 0.3)
    time = begin + max(rng.uniform(0.2, 0.6) * mean_s, _REFRACTORY_S)
    while time < end:
        rhythm.qrs.append(time)
        time += max(mean_s * np.exp(spread * rng.standard_normal() - spread**2 / 2), _REFRACTORY_S)
    rhythm.fibrillation.append((begin, end))
    return rhythm


def atrial_flutter(rng: Rng, seconds: float) -> Rhythm:
    """Typical flutter at 240 to 340 waves a minute with 2:1, 3:1, 4:1 or changing conduction."""
    cycle = 60 / rng.uniform(240, 340)
    rhythm = Rhythm(flutter_s=cycle, flutter_start=-_BEFORE_S)
    patterns = ((2,), (3,), (4,), (4,), (2, 4), (2, 3, 4, 2))
    pattern = patterns[int(rng.integers(len(patterns)))]
    wave, place, delay = 0, 0, rng.uniform(0.5, 0.9) * cycle
    while wave * cycle < seconds + _BEFORE_S + _AFTER_S:
        rhythm.qrs.append(-_BEFORE_S + wave * cycle + delay + 0.003 * rng.standard_normal())
        wave += pattern[place % len(pattern)]
        place += 1
    return rhythm


def paroxysm(rng: Rng, rr: Tachogram, pr_s: float, fibrillating_s: float, seconds: float) -> Rhythm:
    """Atrial fibrillation that begins inside the record after a premature atrial beat, or ends in it with a pause."""
    change = seconds * rng.uniform(0.33, 0.67)
    if rng.uniform() < 0.6:
        calm = sinus(rng, rr, pr_s, seconds, end=change)
        premature = max(calm.p[-1] + 0.55 * rr(change), calm.qrs[-1] + 0.22)
        calm.ectopic_p.append(premature)
        calm.qrs.append(premature + pr_s)
        wild = fibrillation(rng, fibrillating_s, seconds, begin=premature + pr_s + 0.05)
    else:
        wild = fibrillation(rng, fibrillating_s, seconds, end=change)
        calm = sinus(rng, rr, pr_s, seconds, begin=wild.qrs[-1] + rng.uniform(0.7, 1.3))
    return Rhythm(p=calm.p, ectopic_p=calm.ectopic_p, qrs=sorted(calm.qrs + wild.qrs), fibrillation=wild.fibrillation)
