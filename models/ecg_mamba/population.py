"""Patients and their records: who has what, how it is recorded, and the diagnoses that follow.

Diagnoses are decided by what was drawn and by the intervals that came out (rates, RR spread, PR, QTc), with the limits
of the textbooks; nothing is labelled that the record does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UsageError
from edgeconv.models.ecg_mamba import rhythm as rhythms
from edgeconv.models.ecg_mamba.dipole import LEAD_VECTORS
from edgeconv.models.ecg_mamba.heart import ST_TERRITORIES, Heart, HeartConfig, make_heart
from edgeconv.models.ecg_mamba.labels import EXTENDED
from edgeconv.models.ecg_mamba.record import Record
from edgeconv.models.ecg_mamba.rhythm import Rhythm, Tachogram
from edgeconv.models.ecg_mamba.simulation import Device, simulate

__all__ = ["DEVICES", "GeneratorConfig", "Simulated", "simulate_records"]

Rng = np.random.Generator

# The resting ECG of ten seconds, as in most of the challenge's data, and three others.
DEVICES = (
    Device(500, 1000, 0, (10, 10), 0.7),
    Device(500, 1000, 0, (18, 30), 0.12),
    Device(1000, 2000, 0, (10, 15), 0.1),
    Device(257, 400, -200, (15, 30), 0.08),
)
_RECORDS_PER_PATIENT = (0.5, 0.28, 0.14, 0.08)
# What a patient's heart rhythm is disposed to, and what is then found in a record.
_RHYTHMS = {
    "sinus": (0.42, {"normal": 0.4, "brady": 0.2, "tachy": 0.2, "arrhythmia": 0.2}),
    "fibrillation": (0.09, {"AF": 1.0}),
    "paroxysmal": (0.11, {"PAF": 0.5, "AF": 0.15, "normal": 0.35}),
    "flutter": (0.08, {"AFL": 0.85, "normal": 0.15}),
    "ventricular": (0.14, {"PVC": 0.36, "bigeminy": 0.28, "trigeminy": 0.24, "normal": 0.12}),
    "atrial": (0.08, {"PAC": 0.85, "normal": 0.15}),
    "av": (0.08, {"Wenckebach": 0.8, "normal": 0.2}),
}
# From the onset of a premature beat to the end of its QRS.
_VISIBLE_S = 0.3
# Sinus beats a minute.
_SINUS_RATES = (62, 97)
_RATES = {
    "brady": (40, 57),
    "tachy": (104, 145),
    "arrhythmia": (55, 88),
    "Wenckebach": (62, 98),
    "bigeminy": (55, 95),
    "trigeminy": (55, 95),
    "PVC": (55, 95),
}


@dataclass(frozen=True)
class GeneratorConfig:
    """What is generated.

    Attributes:
        devices: recorders, used as often as their shares say.
        noise: factor on the noise of every record; 0 for none.
        conduction: probability of each block; the rest conducts normally.
        av_block, left_axis, long_qt, low_voltage: probabilities, independent of one another where they can be.
        st_elevation, st_depression, t_inversion: probabilities; none of them in left bundle branch block, whose own
            repolarization hides them.
        rhythm: fix the rhythm of every record, such as "AF" or "bigeminy", or None to draw it.
    """

    devices: tuple[Device, ...] = DEVICES
    noise: float = 1.0
    conduction: dict[str, float] = field(default_factory=lambda: {"LBBB": 0.09, "RBBB": 0.1, "IRBBB": 0.09})
    av_block: float = 0.13
    left_axis: float = 0.13
    long_qt: float = 0.08
    low_voltage: float = 0.07
    st_elevation: float = 0.07
    st_depression: float = 0.08
    t_inversion: float = 0.1
    rhythm: str | None = None

    def __post_init__(self) -> None:
        chances = [self.av_block, self.left_axis, self.long_qt, self.low_voltage, sum(self.conduction.values())]
        chances += [self.st_elevation + self.st_depression + self.t_inversion, *self.conduction.values()]
        if not all(0 <= chance <= 1 for chance in chances):
            raise UsageError("GeneratorConfig holds a probability outside 0 to 1", expected="sums of at most 1, too")
        if set(self.conduction) - {"LBBB", "RBBB", "IRBBB"}:
            raise UsageError(f"GeneratorConfig.conduction = {self.conduction}", expected="LBBB, RBBB and IRBBB")
        if not self.devices or self.noise < 0:
            raise UsageError("GeneratorConfig without devices, or with negative noise")
        known = sorted({name for _, found in _RHYTHMS.values() for name in found})
        if self.rhythm is not None and self.rhythm not in known:
            raise UsageError(f"GeneratorConfig.rhythm = {self.rhythm}", expected=", ".join(known))


@dataclass(frozen=True, eq=False)
class Simulated:
    """A generated record with its truth.

    Attributes:
        record: as it would be read from disk.
        device: how it was recorded.
        rhythm: when everything happened; times in s from the first sample.
        heart: the shape of the beats.
        pr_s, qtc_s: intervals that were drawn; PR is the first of a cycle in Wenckebach's block.
        classes: diagnoses as abbreviations, see `labels.EXTENDED`.
    """

    record: Record
    device: Device
    rhythm: Rhythm
    heart: Heart
    pr_s: float
    qtc_s: float
    classes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Patient:
    age: int
    sex: str
    disposition: str
    shows: HeartConfig
    heart: Heart
    lead_vectors: NDArray[np.float64]
    pr_s: float
    qtc_s: float
    records: int


def simulate_records(records: int, seed: int = 0, config: GeneratorConfig | None = None) -> Iterator[Simulated]:
    """Records of one patient after the other; the last patient may lose some of theirs.

    Everything about a patient follows from the seed and the patient's number alone.

    Raises:
        UsageError: records is not positive.
    """
    if records < 1:
        raise UsageError(f"{records} records", expected="at least 1")
    config = config or GeneratorConfig()
    made = patient = 0
    while made < records:
        rng = np.random.default_rng([seed, patient])
        person = _draw_patient(rng, config)
        for _ in range(min(person.records, records - made)):
            made += 1
            yield _draw_record(rng, config, person, f"G{made:05d}", f"P{patient + 1:05d}")
        patient += 1


def _pick(rng: Rng, chances: dict[str, float], rest: str | None = None) -> str:
    """A key with its probability; `rest` with what remains."""
    draw = rng.uniform() * (1 if rest is not None else sum(chances.values()))
    for key, chance in chances.items():
        draw -= chance
        if draw < 0:
            return key
    return rest if rest is not None else key


def _draw_patient(rng: Rng, config: GeneratorConfig) -> _Patient:
    age, sex = int(np.clip(rng.normal(60, 17), 18, 95)), "F" if rng.uniform() < 0.48 else "M"
    conduction = _pick(rng, config.conduction, "normal")
    if rng.uniform() < config.left_axis:
        axis = rng.uniform(-68, -38)
    else:
        axis = float(np.clip(rng.normal(55 - 0.35 * (age - 50), 20), -15, 82))
    chances = {"elevation": config.st_elevation, "depression": config.st_depression, "inversion": config.t_inversion}
    repolarization = "none" if conduction == "LBBB" else _pick(rng, chances, "none")
    st = {"elevation": list(ST_TERRITORIES)[int(rng.integers(3))], "depression": "depression"}.get(repolarization)
    if repolarization == "inversion":
        # In right bundle branch block T is inverted in V1 to V3 anyway.
        anterior = rng.uniform() < 0.5 and conduction == "normal"
        inversion = "anterior" if anterior else "lateral"
    size = rng.lognormal(np.log(1.1 if sex == "M" else 1.0), 0.22) * (1.1 - 0.002 * age)
    shows = HeartConfig(
        conduction,
        axis,
        float(np.clip(size, 0.55, 2.0)),
        bool(rng.uniform() < config.low_voltage),
        st,
        inversion if repolarization == "inversion" else None,
    )
    delayed = rng.uniform() < config.av_block
    pr = rng.uniform(0.222, 0.33) if delayed else float(np.clip(rng.normal(0.155, 0.017), 0.122, 0.188))
    qtc = float(np.clip(rng.normal(0.41 if sex == "F" else 0.4, 0.014), 0.365, 0.44))
    if rng.uniform() < config.long_qt:
        qtc = rng.uniform(0.49, 0.57)
    return _Patient(
        age,
        sex,
        _pick(rng, {name: chance for name, (chance, _) in _RHYTHMS.items()}),
        shows,
        make_heart(rng, shows),
        _torso(rng),
        pr,
        qtc,
        1 + int(rng.choice(len(_RECORDS_PER_PATIENT), p=_RECORDS_PER_PATIENT)),
    )


def _torso(rng: Rng) -> NDArray[np.float64]:
    """Lead vectors of one torso: chest electrodes a little off their places, nearer to the heart or farther."""
    vectors = LEAD_VECTORS.copy()
    vectors[6:] += 0.06 * rng.standard_normal((6, 3))
    vectors[6:] *= rng.lognormal(0, 0.1, (6, 1)) * rng.lognormal(0, 0.08)
    return vectors


def _draw_record(rng: Rng, config: GeneratorConfig, person: _Patient, name: str, patient: str) -> Simulated:
    kind = config.rhythm or _pick(rng, _RHYTHMS[person.disposition][1])
    shares = np.array([device.share for device in config.devices])
    device = config.devices[int(rng.choice(len(shares), p=shares / shares.sum()))]
    seconds = round(float(rng.uniform(*device.seconds)), 1)
    breathing = rng.uniform(0.18, 0.32)
    rhythm, pr = _draw_rhythm(rng, kind, person, seconds, breathing)
    adc = simulate(
        rng,
        person.heart,
        rhythm,
        device,
        seconds=seconds,
        qtc_s=person.qtc_s,
        noise_level=config.noise * rng.lognormal(0, 0.5),
        breathing_hz=breathing,
        lead_vectors=person.lead_vectors,
    )
    classes = _diagnoses(kind, person, rhythm, pr, seconds)
    record = Record(
        name,
        device.rate_hz,
        adc,
        np.ones(12, np.bool_),
        np.full(12, float(device.gain)),
        np.full(12, device.baseline),
        tuple(EXTENDED.classes[EXTENDED.index(one)].codes[0] for one in classes),
        person.age,
        person.sex,
        patient,
    )
    return Simulated(record, device, rhythm, person.heart, pr, person.qtc_s, classes)


def _draw_rhythm(rng: Rng, kind: str, person: _Patient, seconds: float, breathing: float) -> tuple[Rhythm, float]:
    """The rhythm and its PR interval."""
    if kind == "AF":
        return rhythms.fibrillation(rng, 60 / rng.uniform(60, 140), seconds), np.nan
    if kind == "AFL":
        return rhythms.atrial_flutter(rng, seconds), np.nan
    low, high = _RATES.get(kind, _SINUS_RATES)
    rate = rng.uniform(low, high)
    mean = 60 / rate
    if kind == "arrhythmia":
        deviation, ratio = mean * rng.uniform(0.1, 0.17), 0.15
    else:
        deviation, ratio = mean * rng.uniform(0.008, 0.028), rng.uniform(0.5, 2.0)
    rr = Tachogram(rng, mean, deviation, seconds, breathing, ratio)
    pr = _pr_at(person.pr_s, rate)
    if kind == "Wenckebach":
        pr = float(np.clip(pr, 0.15, 0.24))
        return rhythms.wenckebach(rng, rr, pr, seconds), pr
    if kind == "PAF":
        return rhythms.paroxysm(rng, rr, pr, 60 / rng.uniform(80, 150), seconds), pr
    count = int(rng.integers(1, 4)) + int(seconds > 15)
    ventricular = {
        "PVC": rhythms.sometimes(rng, seconds, count),
        "bigeminy": rhythms.every(1),
        "trigeminy": rhythms.every(2),
    }.get(kind, rhythms.never)
    atrial = rhythms.sometimes(rng, seconds, count) if kind == "PAC" else rhythms.never
    return rhythms.sinus(rng, rr, pr, seconds, ventricular=ventricular, atrial=atrial), pr


def _pr_at(pr_s: float, rate: float) -> float:
    """PR shortens with the rate; in first-degree block it stays above 0.2 s."""
    if pr_s < 0.2:
        return pr_s - 0.0004 * (rate - 70)
    return max(pr_s - 0.0008 * max(rate - 70, 0), 0.212)


def _diagnoses(kind: str, person: _Patient, rhythm: Rhythm, pr: float, seconds: float) -> tuple[str, ...]:
    """Abbreviations, in the order of `EXTENDED`."""
    found = {"AF": {"AF"}, "AFL": {"AFL"}, "PAF": {"AF", "PAF"}, "Wenckebach": {"MoI"}}.get(kind, set()).copy()
    if kind not in ("AF", "AFL"):
        found |= _sinus_diagnoses(kind, rhythm, pr, seconds)
    heart = person.shows
    if heart.conduction != "normal":
        found.add(heart.conduction)
    if heart.axis_deg < -30:
        found.add("LAD")
    if heart.low_voltage:
        found.add("LQRSV")
    if person.qtc_s > 0.48:
        found.add("LQT")
    if heart.st:
        found.add("STD" if heart.st == "depression" else "STE")
    if heart.t_inversion:
        found.add("TInv")
    return tuple(name for name in EXTENDED.short_names if name in found)


def _sinus_diagnoses(kind: str, rhythm: Rhythm, pr: float, seconds: float) -> set[str]:
    """Rate, arrhythmia, ectopic beats and PR of a record in sinus rhythm, or of the part that is."""
    if kind == "Wenckebach":
        return set()
    atria = np.array([time for time in rhythm.p if 0 <= time < seconds])
    found: set[str] = set()
    if len(atria) > 1 and kind not in ("PAC", "PAF"):
        intervals = np.diff(atria)
        rate = 60 / intervals.mean()
        found.add("SB" if rate < 60 else "STach" if rate > 100 else "NSR")
        # Longest and shortest sinus interval differ by more than 0.16 s.
        if np.ptp(intervals) > 0.16:
            found.add("SA")
            found.discard("NSR")
    else:
        found.add("NSR")
    # A beat that the end of the record cuts off is no diagnosis.
    last = seconds - _VISIBLE_S
    if any(0 <= time < last for time in rhythm.ventricular):
        found |= {"PVC"} | {"bigeminy": {"VBig"}, "trigeminy": {"VTrig"}}.get(kind, set())
    if kind != "PAF" and any(0 <= time < last for time in rhythm.ectopic_p):
        found.add("PAC")
    if pr > 0.2:
        found.add("IAVB")
    return found
