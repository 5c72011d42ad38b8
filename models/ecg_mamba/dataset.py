"""Records as arrays for training and evaluation, split by patients. Numpy only; a training loop wraps what it needs."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import InputError, UsageError
from edgeconv.models.ecg_mamba.folder import Skipped
from edgeconv.models.ecg_mamba.labels import SCORED, ClassSet
from edgeconv.models.ecg_mamba.preparation import SignalConfig, prepare
from edgeconv.models.ecg_mamba.record import Record

__all__ = ["PARTS", "EcgDataset", "assign_parts", "positive_weights"]

log = logging.getLogger(__name__)

PARTS: Mapping[str, float] = {"train": 0.7, "validation": 0.15, "test": 0.15}


@dataclass(frozen=True, eq=False)
class EcgDataset:
    """Windows of records.

    Attributes:
        inputs: int8 or int16 (windows, 12, samples), in steps of `lsb_mv`.
        labels: bool (records, classes), columns as in the `ClassSet` of `build`.
        record: which record each window comes from, (windows,), ascending.
        names, patients: of each record.
        lsb_mv: size of an input step in mV.
        skipped: records that were met and are not here, with their reasons.
    """

    inputs: NDArray[Any]
    labels: NDArray[np.bool_]
    record: NDArray[np.int64]
    names: tuple[str, ...]
    patients: tuple[str, ...]
    lsb_mv: float
    skipped: tuple[Skipped, ...] = ()

    @classmethod
    def build(
        cls, found: Iterable[Record | Skipped], config: SignalConfig | None = None, classes: ClassSet = SCORED
    ) -> EcgDataset:
        """Prepare records one by one, as `scan` or the generator gives them.

        Raises:
            InputError: there is no record among them.
        """
        config = config or SignalConfig()
        inputs: list[NDArray[Any]] = []
        labels: list[NDArray[np.bool_]] = []
        owners: list[NDArray[np.int64]] = []
        names: list[str] = []
        patients: list[str] = []
        skipped: list[Skipped] = []
        for one in found:
            if isinstance(one, Skipped):
                skipped.append(one)
                continue
            windows = prepare(one, config)
            if windows.clipped > 0.001:
                log.warning("%s: %.1f %% of its samples are saturated", one.name, 100 * windows.clipped)
            inputs.append(windows.inputs)
            owners.append(np.full(len(windows.inputs), len(names)))
            labels.append(classes.encode(one.codes or ()))
            names.append(one.name)
            patients.append(one.patient)
        if not names:
            raise InputError(f"no record to prepare, {len(skipped)} were skipped")
        return cls(
            np.concatenate(inputs),
            np.array(labels),
            np.concatenate(owners),
            tuple(names),
            tuple(patients),
            config.lsb_mv,
            tuple(skipped),
        )

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.inputs)

    @property
    def window_labels(self) -> NDArray[np.bool_]:
        """Labels of each window: those of its record, (windows, classes)."""
        return self.labels[self.record]

    def subset(self, records: NDArray[np.bool_]) -> EcgDataset:
        """The records that a mask chooses."""
        chosen = np.flatnonzero(records)
        place = np.full(len(self.names), -1)
        place[chosen] = np.arange(len(chosen))
        windows = records[self.record]
        return replace(
            self,
            inputs=self.inputs[windows],
            labels=self.labels[chosen],
            record=place[self.record[windows]],
            names=tuple(self.names[i] for i in chosen),
            patients=tuple(self.patients[i] for i in chosen),
            skipped=(),
        )

    def split(self, parts: Mapping[str, float] = PARTS, seed: int = 0) -> dict[str, EcgDataset]:
        """Parts by patient, as `assign_parts` chooses them."""
        chosen = np.array(assign_parts(self.patients, parts, seed))
        return {part: self.subset(chosen == part) for part in parts}

    def by_record(self, scores: NDArray[np.floating]) -> NDArray[np.floating]:
        """Scores of windows averaged over each record: (windows, classes) to (records, classes)."""
        total = np.zeros((len(self.names), scores.shape[1]))
        np.add.at(total, self.record, scores)
        return total / np.bincount(self.record, minlength=len(self.names))[:, None]

    def save(self, path: str | Path) -> None:
        """Write as .npz without pickled objects; what was skipped is not kept."""
        np.savez_compressed(
            Path(path),
            inputs=self.inputs,
            labels=self.labels,
            record=self.record,
            names=np.array(self.names),
            patients=np.array(self.patients),
            lsb_mv=np.float64(self.lsb_mv),
        )

    @classmethod
    def load(cls, path: str | Path) -> EcgDataset:
        """Read what `save` wrote."""
        with np.load(Path(path), allow_pickle=False) as data:
            return cls(
                data["inputs"],
                data["labels"],
                data["record"],
                tuple(data["names"].tolist()),
                tuple(data["patients"].tolist()),
                float(data["lsb_mv"]),
            )


def assign_parts(patients: Sequence[str], parts: Mapping[str, float] = PARTS, seed: int = 0) -> list[str]:
    """The part of a split that each record belongs to.

    A patient's part follows from a hash of seed and name alone: it is the same on every machine and does not change
    when records are added. Shares are therefore met on average, within about 1/√patients.

    Args:
        patients: patient of each record.
        parts: share of each part; together 1.

    Raises:
        UsageError: the shares are not positive or do not sum to 1.
    """
    shares = np.array(list(parts.values()), np.float64)
    if not len(shares) or (shares <= 0).any() or abs(shares.sum() - 1) > 1e-9:
        raise UsageError(f"shares {dict(parts)}", expected="positive numbers that sum to 1")
    ends, names = np.cumsum(shares)[:-1], list(parts)

    def part(patient: str) -> str:
        digest = hashlib.blake2b(f"{seed}/{patient}".encode(), digest_size=8).digest()
        return names[int(np.searchsorted(ends, int.from_bytes(digest, "big") / 2**64, side="right"))]

    of_patient = {patient: part(patient) for patient in set(patients)}
    return [of_patient[patient] for patient in patients]


def positive_weights(labels: NDArray[np.bool_], limit: float = 20.0) -> NDArray[np.float64]:
    """Weight of a class's positive examples in a binary cross-entropy: negatives per positive, at most `limit`.

    A class without positives, or without negatives, has weight 1: it teaches nothing that a weight could balance.
    """
    positive = labels.sum(axis=0)
    negative = len(labels) - positive
    ratio = negative / np.maximum(positive, 1)
    return np.where((positive > 0) & (negative > 0), np.minimum(ratio, limit), 1.0)
