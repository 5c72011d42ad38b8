"""One 12-lead record of a PhysioNet/CinC folder: samples in the order of the standard leads, diagnoses, age and sex."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import InputError
from edgeconv.models.ecg_mamba.header import MILLIVOLTS, Header, SignalSpec, parse_header, read_file
from edgeconv.models.ecg_mamba.leads import LEADS, standard_name
from edgeconv.models.ecg_mamba.samples import INVALID, read_samples

__all__ = ["Record", "read_record"]

_MIN_SECONDS = 1.0
# A lead with more gaps than this counts as not recorded.
_MAX_INVALID = 0.1
# Median distance from the median, mV. The largest QRS complexes reach 5 mV for a tenth of a beat; more, for half of
# all samples, is a wrong gain or no ECG.
_MAX_SPREAD_MV = 10.0
# Spread of I + III - II relative to that of II from which limb leads contradict one another.
_MAX_EINTHOVEN = 0.5

_SNOMED = re.compile(r"[0-9]{6,18}")
_PATIENT_FOLDER = re.compile(r"patient[ _-]?[0-9]+", re.IGNORECASE)
_SEX = {"male": "M", "m": "M", "female": "F", "f": "F", "unknown": None, "nan": None, "": None}
_NO_AGE = {"", "nan", "unknown", "n/a"}


@dataclass(frozen=True, eq=False)
class Record:
    """A record as it was digitized.

    Attributes:
        name: record name.
        rate_hz: sampling rate.
        adc: int16 (12, N) in the order of `LEADS`; 0 in leads that were not recorded, -32768 where a sample is missing.
        present: which leads were recorded, bool (12,).
        gain: ADC units per mV, float64 (12,); 1 in leads that were not recorded.
        baseline: ADC value of 0 mV, int64 (12,).
        codes: SNOMED codes of the comment "Dx", as they stand there; None without that comment.
        age: years, or None.
        sex: "F", "M" or None.
        patient: who it was taken from; records of one patient belong into one part of a split.
        notes: everything that was left out or looks odd.
    """

    name: str
    rate_hz: float
    adc: NDArray[np.int16]
    present: NDArray[np.bool_]
    gain: NDArray[np.float64]
    baseline: NDArray[np.int64]
    codes: tuple[str, ...] | None
    age: float | None
    sex: str | None
    patient: str
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.adc.shape[1] / self.rate_hz

    def millivolts(self) -> NDArray[np.float64]:
        """Signal in mV, (12, N); NaN where a lead or a sample is missing."""
        signal = (self.adc - self.baseline[:, None]) / self.gain[:, None]
        signal[(self.adc == INVALID) | ~self.present[:, None]] = np.nan
        return signal

    def digest(self) -> bytes:
        """The same for records with the same samples, whatever their name."""
        return hashlib.blake2b(self.adc.tobytes(), digest_size=16).digest()


def read_record(path: str | Path, patient: str | None = None, *, trust_checksums: bool = True) -> Record:
    """Read one record.

    Args:
        path: the .hea file; signal files stand beside it.
        patient: who it was taken from. By default the header's comment "Patient", else a folder named like
            "patient001" (as in PTB), else the record's name: one patient a record.
        trust_checksums: refuse samples that do not have the first value and the checksum that the header gives. False
            makes this a note, for collections whose headers are known to be wrong there.

    Raises:
        InputError: what is wrong with the record. Nothing is guessed: a record loads whole or not at all.
    """
    path = Path(path)
    header = parse_header(read_file(path))
    if header.name != path.stem:
        raise InputError(f"the header of '{path.stem}' names the record '{header.name}'")
    samples, contradictions = read_samples(header, path.parent)
    if contradictions and trust_checksums:
        raise contradictions[0]
    if samples.shape[1] < _MIN_SECONDS * header.rate_hz:
        raise InputError(f"{samples.shape[1]} samples at {header.rate_hz:g} Hz", expected=f"at least {_MIN_SECONDS} s")
    notes = [f"{one.problem}, {one.expected}" for one in contradictions]
    places = _places(header, notes)
    adc = np.zeros((12, samples.shape[1]), np.int16)
    present = np.zeros(12, np.bool_)
    gain, baseline = np.ones(12), np.zeros(12, np.int64)
    for lead, place in places.items():
        spec = header.signals[place]
        if _usable(LEADS[lead], samples[place], spec, notes):
            adc[lead], present[lead] = samples[place], True
            gain[lead], baseline[lead] = spec.gain / MILLIVOLTS[spec.units.lower()], spec.baseline
    if not present.any():
        raise InputError("no lead holds a signal")
    _refuse_copies(adc, present)
    record = Record(
        header.name,
        header.rate_hz,
        adc,
        present,
        gain,
        baseline,
        _codes(header),
        _age(header, notes),
        _sex(header, notes),
        patient or header.comment("Patient") or _patient_of(path),
    )
    _check_limb_leads(record, notes)
    return replace(record, notes=tuple(notes))


def _places(header: Header, notes: list[str]) -> dict[int, int]:
    """Standard lead -> place among the header's signals."""
    places: dict[int, int] = {}
    for place, spec in enumerate(header.signals):
        name = standard_name(spec.description)
        if name is None:
            notes.append(f"signal '{spec.description}' is no standard lead and was left out")
            continue
        lead = LEADS.index(name)
        if lead in places:
            raise InputError(f"lead {name} occurs twice in the header")
        if spec.units.lower() not in MILLIVOLTS:
            raise InputError(f"lead {name} is in '{spec.units}'", expected="a voltage")
        places[lead] = place
    if not places:
        raise InputError("none of the signals is a standard lead", expected=", ".join(LEADS))
    return places


def _usable(name: str, samples: NDArray[np.int16], spec: SignalSpec, notes: list[str]) -> bool:
    """Whether a lead holds a signal; why not goes to the notes."""
    measured = samples[samples != INVALID]
    missing = len(samples) - len(measured)
    if missing > _MAX_INVALID * len(samples):
        notes.append(f"lead {name}: {missing} of {len(samples)} samples are missing, left out")
        return False
    if missing:
        notes.append(f"lead {name}: {missing} samples are missing")
    if measured.min() == measured.max():
        notes.append(f"lead {name} is constant, left out")
        return False
    spread = float(np.median(np.abs(measured - np.median(measured)))) / spec.gain * MILLIVOLTS[spec.units.lower()]
    if spread > _MAX_SPREAD_MV:
        raise InputError(
            f"lead {name} lies {spread:.3g} mV from its median for half of the time",
            expected=f"at most {_MAX_SPREAD_MV:g} mV: is its gain of {spec.gain:g}/{spec.units} right?",
        )
    return True


def _refuse_copies(adc: NDArray[np.int16], present: NDArray[np.bool_]) -> None:
    seen: dict[bytes, int] = {}
    for lead in np.flatnonzero(present):
        other = seen.setdefault(adc[lead].tobytes(), int(lead))
        if other != lead:
            raise InputError(f"leads {LEADS[other]} and {LEADS[lead]} hold the same samples")


def _check_limb_leads(record: Record, notes: list[str]) -> None:
    """Note where I + III is not II: leads in another order, or other gains than the header says."""
    if record.present[:3].all():
        one, two, three = record.millivolts()[:3]
        # Electrodes have offsets, and a filter may have treated leads apart: spreads are compared, not values.
        error, size = _spread(one + three - two), _spread(two)
        if error > _MAX_EINTHOVEN * size:
            notes.append(f"limb leads contradict one another: I + III differs from II by {error:.3g} mV")


def _spread(signal: NDArray[np.float64]) -> float:
    return float(np.nanmedian(np.abs(signal - np.nanmedian(signal))))


def _codes(header: Header) -> tuple[str, ...] | None:
    text = header.comment("Dx")
    if text is None:
        return None
    codes = tuple(code.strip() for code in text.split(","))
    for code in codes:
        if not _SNOMED.fullmatch(code):
            raise InputError(f"diagnosis '{code}' in the comment Dx", expected="SNOMED CT codes, separated by commas")
    return codes


def _age(header: Header, notes: list[str]) -> float | None:
    text = (header.comment("Age") or "").lower()
    if text in _NO_AGE:
        return None
    if re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3})?", text) and float(text) <= 120:
        return float(text)
    notes.append(f"age '{text}' is no number of years up to 120")
    return None


def _sex(header: Header, notes: list[str]) -> str | None:
    text = (header.comment("Sex") or "").lower()
    if text not in _SEX:
        notes.append(f"sex '{text}' is neither female nor male")
    return _SEX.get(text)


def _patient_of(path: Path) -> str:
    folder = path.absolute().parent.name
    return folder.lower() if _PATIENT_FOLDER.fullmatch(folder) else path.stem
