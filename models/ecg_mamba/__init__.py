"""Multi-label diagnosis of 12-lead ECG: records, preparation, metrics, and a generator in the format of PhysioNet/CinC.

from edgeconv.models import ecg_mamba as ecg

loading = ecg.read_folders("training/")              # every record is read, or reported with the reason why not
print(loading.text())
data = ecg.EcgDataset.build(ecg.scan("training/"))   # data.inputs int16 (windows, 12, 2560), data.labels (records, 26)
parts = data.split(seed=0)                           # by patient: parts["train"], parts["validation"], parts["test"]
weights = ecg.read_weights("weights.csv")
ecg.evaluate(labels, scores, thresholds, weights=weights)
ecg.trained_model()                                  # a quantized network, trained on generated records: an ONNX file
"""

from __future__ import annotations

from edgeconv.models.ecg_mamba.dataset import EcgDataset, assign_parts, positive_weights
from edgeconv.models.ecg_mamba.folder import Loading, Skipped, read_folders, read_patients, scan
from edgeconv.models.ecg_mamba.labels import EXTENDED, SCORED, Class, ClassSet, read_weights
from edgeconv.models.ecg_mamba.leads import LEADS
from edgeconv.models.ecg_mamba.metrics import (
    Difference,
    Scores,
    auprc,
    auroc,
    challenge_metric,
    evaluate,
    f1,
    f1_thresholds,
    macro,
    paired_bootstrap,
)
from edgeconv.models.ecg_mamba.population import GeneratorConfig, Simulated, simulate_records
from edgeconv.models.ecg_mamba.preparation import SignalConfig, Windows, prepare, resample
from edgeconv.models.ecg_mamba.record import Record, read_record
from edgeconv.models.ecg_mamba.shipped import trained_model
from edgeconv.models.ecg_mamba.writer import write_record

__all__ = [
    "EXTENDED",
    "LEADS",
    "SCORED",
    "Class",
    "ClassSet",
    "Difference",
    "EcgDataset",
    "GeneratorConfig",
    "Loading",
    "Record",
    "Scores",
    "SignalConfig",
    "Simulated",
    "Skipped",
    "Windows",
    "assign_parts",
    "auprc",
    "auroc",
    "challenge_metric",
    "evaluate",
    "f1",
    "f1_thresholds",
    "macro",
    "paired_bootstrap",
    "positive_weights",
    "prepare",
    "read_folders",
    "read_patients",
    "read_record",
    "read_weights",
    "resample",
    "scan",
    "simulate_records",
    "trained_model",
    "write_record",
]
