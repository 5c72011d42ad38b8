"""Diagnoses as SNOMED CT codes: the 26 scored classes of the PhysioNet/CinC Challenge 2021, and sets of one's own.

Four pairs of codes mean one diagnosis and are one class (Reyna et al., "Will two do? Varying dimensions in
electrocardiography: the PhysioNet/Computing in Cardiology Challenge 2021", and dx_mapping_scored.csv of its evaluation
code). Their weights.csv names such a class "733534002|164909002".
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import InputError, UsageError

__all__ = ["EXTENDED", "SCORED", "SINUS_RHYTHM", "Class", "ClassSet", "read_weights"]

SINUS_RHYTHM = "426783006"


@dataclass(frozen=True)
class Class:
    """One label: the abbreviation of the challenge, its name, and every SNOMED code that means it."""

    short: str
    name: str
    codes: tuple[str, ...]


@dataclass(frozen=True)
class ClassSet:
    """The classes of a multi-label problem, in the order of the columns of every label array."""

    classes: tuple[Class, ...]

    def __len__(self) -> int:
        return len(self.classes)

    @cached_property
    def short_names(self) -> tuple[str, ...]:
        """Abbreviations, in the order of columns."""
        return tuple(one.short for one in self.classes)

    @cached_property
    def column_of(self) -> dict[str, int]:
        """SNOMED code -> column."""
        return {code: column for column, one in enumerate(self.classes) for code in one.codes}

    def index(self, name: str) -> int:
        """Column of an abbreviation or of a SNOMED code.

        Raises:
            UsageError: neither.
        """
        if name in self.column_of:
            return self.column_of[name]
        if name in self.short_names:
            return self.short_names.index(name)
        raise UsageError(f"class '{name}'", expected=f"one of {', '.join(self.short_names)}, or one of their codes")

    def encode(self, codes: Iterable[str]) -> NDArray[np.bool_]:
        """Labels of one record, bool (classes,); codes outside the set are left out."""
        labels = np.zeros(len(self), np.bool_)
        for code in codes:
            if code in self.column_of:
                labels[self.column_of[code]] = True
        return labels


def _classes(table: str) -> tuple[Class, ...]:
    rows = (line.split(maxsplit=2) for line in table.strip().splitlines())
    return tuple(Class(short, name, tuple(codes.split("|"))) for codes, short, name in rows)


# In the order of rows of the challenge's weights.csv.
SCORED = ClassSet(
    _classes("""
    164889003           AF      atrial fibrillation
    164890007           AFL     atrial flutter
    6374002             BBB     bundle branch block
    426627000           Brady   bradycardia
    733534002|164909002 LBBB    left bundle branch block
    713427006|59118001  RBBB    right bundle branch block
    270492004           IAVB    first-degree AV block
    713426002           IRBBB   incomplete right bundle branch block
    39732003            LAD     left axis deviation
    445118002           LAnFB   left anterior fascicular block
    164947007           LPR     prolonged PR interval
    251146004           LQRSV   low QRS voltages
    111975006           LQT     prolonged QT interval
    698252002           NSIVCB  nonspecific intraventricular conduction disorder
    426783006           NSR     sinus rhythm
    284470004|63593006  PAC     premature atrial contraction
    10370003            PR      pacing rhythm
    365413008           PRWP    poor R wave progression
    427172004|17338001  PVC     premature ventricular contractions
    164917005           QAb     abnormal Q wave
    47665007            RAD     right axis deviation
    427393009           SA      sinus arrhythmia
    426177001           SB      sinus bradycardia
    427084000           STach   sinus tachycardia
    164934002           TAb     T wave abnormal
    59931005            TInv    T wave inversion
    """)
)
# Diagnoses of the challenge's data that it does not score; most of them show only over several beats.
EXTENDED = ClassSet(
    (
        *SCORED.classes,
        *_classes("""
        54016002            MoI     second-degree AV block, Mobitz type I (Wenckebach)
        11157007            VBig    ventricular bigeminy
        251180001           VTrig   ventricular trigeminy
        282825002           PAF     paroxysmal atrial fibrillation
        164931005           STE     ST elevation
        429622005           STD     ST depression
        """),
    )
)


def read_weights(path: str | Path, classes: ClassSet = SCORED) -> NDArray[np.float64]:
    """The reward of answering one class where another is true: weights.csv of the challenge.

    Rows and columns may stand in any order and are named by codes ("a|b" for merged ones) or by abbreviations.

    Returns:
        float64 (classes, classes): row = true class, column = answer.

    Raises:
        InputError: the file is no square table, misses a class, names one twice, or holds a number that is not finite.
    """
    path = Path(path)
    try:
        rows = [row for row in csv.reader(path.read_text(encoding="utf-8").splitlines()) if row]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"weights '{path}' cannot be read: {error}") from None
    if not rows or any(len(row) != len(rows) for row in rows):
        raise InputError(f"weights '{path}' is not a square table with names in its first row and column")
    order = _columns(path, rows[0][1:], classes)
    if _columns(path, [row[0] for row in rows[1:]], classes) != order:
        raise InputError(f"weights '{path}': rows and columns name the classes in different orders")
    try:
        values = np.array([[float(cell) for cell in row[1:]] for row in rows[1:]])
    except ValueError as error:
        raise InputError(f"weights '{path}': {error}") from None
    if not np.isfinite(values).all():
        raise InputError(f"weights '{path}' holds a number that is not finite")
    place = [order.index(column) for column in range(len(classes))]
    return values[np.ix_(place, place)]


def _columns(path: Path, names: Sequence[str], classes: ClassSet) -> list[int]:
    """Columns that the names of a table mean; every class of the set exactly once."""
    found = []
    for name in names:
        parts = [part.strip() for part in name.split("|")]
        columns = {classes.index(part) if part in classes.column_of else _short(classes, part) for part in parts}
        if len(columns) != 1 or None in columns:
            raise InputError(f"weights '{path}' names class '{name}'", expected=f"{', '.join(classes.short_names)}")
        found.append(next(iter(columns)))
    missing = set(range(len(classes))) - set(found)
    if missing or len(found) != len(classes):
        which = ", ".join(classes.short_names[column] for column in sorted(missing)) or "one of them twice"
        raise InputError(f"weights '{path}' names {len(found)} classes", expected=f"all of the set once; here: {which}")
    return [column for column in found if column is not None]


# The challenge's abbreviations of merged classes join two.
_LONG_SHORT = {"CLBBB": "LBBB", "CRBBB": "RBBB", "SVPB": "PAC", "VPB": "PVC"}


def _short(classes: ClassSet, name: str) -> int | None:
    name = _LONG_SHORT.get(name, name)
    return classes.short_names.index(name) if name in classes.short_names else None
