"""Multi-label diagnosis of 12-lead ECG: records, preparation, metrics, and a generator in the format of PhysioNet/CinC.

from edgeconv.models import ecg_mamba as ecg

loading = ecg.read_folders("training/")              # every record is read or reported with the reason why not
print(loading.text())
"""

from __future__ import annotations

from edgeconv.models.ecg_mamba.folder import Loading, Skipped, read_folders, read_patients, scan
from edgeconv.models.ecg_mamba.labels import EXTENDED, SCORED, Class, ClassSet, read_weights
from edgeconv.models.ecg_mamba.leads import LEADS
from edgeconv.models.ecg_mamba.record import Record, read_record

__all__ = [
    "EXTENDED",
    "LEADS",
    "SCORED",
    "Class",
    "ClassSet",
    "Loading",
    "Record",
    "Skipped",
    "read_folders",
    "read_patients",
    "read_record",
    "read_weights",
    "scan",
]
