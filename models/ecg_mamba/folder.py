"""Folders of records: everything in them is either read or reported with the reason why not."""

from __future__ import annotations

import csv
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeconv.errors import InputError, UsageError
from edgeconv.models.ecg_mamba.record import Record, read_record

__all__ = ["Loading", "Skipped", "read_folders", "read_patients", "scan"]

log = logging.getLogger(__name__)

PATIENTS_FILE = "patients.csv"


@dataclass(frozen=True)
class Skipped:
    """A record that was not read."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Loading:
    """Everything that was found below some folders."""

    records: tuple[Record, ...]
    skipped: tuple[Skipped, ...]

    def text(self) -> str:
        """Counts, then every skipped record, then how often each note was made."""
        patients = len({record.patient for record in self.records})
        lines = [f"{len(self.records)} records of {patients} patients read, {len(self.skipped)} skipped"]
        lines += [f"  skipped {one.path}: {one.reason}" for one in self.skipped]
        notes = Counter(note for record in self.records for note in record.notes)
        lines += [f"  noted {count} x: {note}" for note, count in notes.most_common()]
        return "\n".join(lines)


def read_folders(
    folders: str | Path | Sequence[str | Path],
    *,
    patients: Mapping[str, str] | None = None,
    require_labels: bool = True,
    trust_checksums: bool = True,
) -> Loading:
    """Read all records below some folders into memory; arguments as in `scan`."""
    found = list(scan(folders, patients=patients, require_labels=require_labels, trust_checksums=trust_checksums))
    return Loading(
        tuple(one for one in found if isinstance(one, Record)),
        tuple(one for one in found if isinstance(one, Skipped)),
    )


def scan(
    folders: str | Path | Sequence[str | Path],
    *,
    patients: Mapping[str, str] | None = None,
    require_labels: bool = True,
    trust_checksums: bool = True,
) -> Iterator[Record | Skipped]:
    """Records below some folders, one after the other, in the order of their paths.

    A record whose samples were read before under another name is skipped: it would put one recording into two parts of
    a split. Signal files without a header and folders that cannot be listed are reported, too. Links to folders are not
    followed. Each skipped record is also logged as a warning.

    Args:
        patients: record name -> patient. By default a file patients.csv in a folder is used for what lies below it.
        require_labels: skip records without the comment "Dx".
        trust_checksums: see `read_record`.

    Raises:
        UsageError: one of the folders does not exist.
    """
    seen: dict[bytes, Path] = {}
    for folder in [folders] if isinstance(folders, str | Path) else folders:
        folder = Path(folder)
        if not folder.is_dir():
            raise UsageError(f"'{folder}' is no folder", advice="name a folder with .hea files in it or below it")
        table = patients
        if table is None:
            table = read_patients(folder / PATIENTS_FILE) if (folder / PATIENTS_FILE).exists() else {}
        for path in _paths(folder):
            one = path if isinstance(path, Skipped) else _read(path, table, require_labels, trust_checksums, seen)
            if isinstance(one, Skipped):
                log.warning("skipped %s: %s", one.path, one.reason)
            if one is not None:
                yield one


def _paths(folder: Path) -> list[Path | Skipped]:
    """Everything below a folder, sorted."""
    failed: list[OSError] = []
    found = [
        Path(base, name)
        for base, folders, files in os.walk(folder, onerror=failed.append)
        for name in (*folders, *files)
    ]
    return [*(Skipped(Path(error.filename), f"cannot be listed: {error.strerror}") for error in failed), *sorted(found)]


def _read(
    path: Path, patients: Mapping[str, str], require_labels: bool, trust_checksums: bool, seen: dict[bytes, Path]
) -> Record | Skipped | None:
    """What a path holds; None for what is no part of a record, or of one whose header is met by itself."""
    if path.suffix == ".mat" and not path.with_suffix(".hea").exists():
        return Skipped(path, "it has no header (.hea)")
    if path.suffix != ".hea":
        return None
    try:
        record = read_record(path, patients.get(path.stem), trust_checksums=trust_checksums)
    except InputError as error:
        return Skipped(path, " ".join(str(error).split()))
    if record.codes is None and require_labels:
        return Skipped(path, "it has no diagnoses (comment Dx)")
    other = seen.setdefault(record.digest(), path)
    if other != path:
        return Skipped(path, f"it holds the same samples as '{other}'")
    return record


def read_patients(path: str | Path) -> dict[str, str]:
    """Record name -> patient, from a CSV file with the columns "record" and "patient".

    Raises:
        InputError: columns are missing, a cell is empty, or a record has two patients.
    """
    path = Path(path)
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"patients '{path}' cannot be read: {error}") from None
    table: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        record, patient = row.get("record"), row.get("patient")
        if not record or not patient:
            raise InputError(f"patients '{path}', line {number}", expected="a value in the columns record and patient")
        if table.setdefault(record, patient) != patient:
            raise InputError(f"patients '{path}', line {number}: '{record}' has two patients")
    return table
