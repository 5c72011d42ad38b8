"""Generated records for a training, and others of patients that it never meets, on which estimators are judged."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from edgeconv.errors import UsageError
from edgeconv.models.ecg_mamba.config import TrainConfig
from edgeconv.models.ecg_mamba.dataset import EcgDataset
from edgeconv.models.ecg_mamba.labels import EXTENDED, SCORED, ClassSet
from edgeconv.models.ecg_mamba.metrics import Scores, evaluate
from edgeconv.models.ecg_mamba.population import simulate_records
from edgeconv.models.ecg_mamba.preparation import SignalConfig
from edgeconv.quantize.family import Estimator

__all__ = ["class_set", "generated", "judge", "unseen"]

# Generated patients follow from seed and number, so those of a seed that no training has are others. It is one word of
# 32 bits: numpy reads a longer seed as several words, (0, 1) for 2³², which is patient 1 of seed 0.
_UNSEEN = 1 << 31


def class_set(config: TrainConfig) -> ClassSet:
    """What the outputs of a network mean.

    Raises:
        UsageError: they are neither the scored classes, nor those and what needs long records to be seen.
    """
    known = {len(classes): classes for classes in (SCORED, EXTENDED)}
    if config.network.classes not in known:
        raise UsageError(
            f"{config.network.classes} classes for generated records", expected=" or ".join(map(str, known))
        )
    return known[config.network.classes]


def generated(config: TrainConfig, records: int, seed: int) -> EcgDataset:
    """Generated records, prepared and labelled as a configuration says."""
    return _generated(config.signal, class_set(config), records, seed)


@lru_cache(maxsize=2)
def _generated(signal: SignalConfig, classes: ClassSet, records: int, seed: int) -> EcgDataset:
    """Two are kept, 60 KB a window: a search trains all its networks on one set and judges them on another."""
    found = (simulated.record for simulated in simulate_records(records, seed))
    return EcgDataset.build(found, signal, classes)


def unseen(config: TrainConfig) -> EcgDataset:
    """The records that estimators are judged on."""
    return generated(config, config.judged, _UNSEEN + config.seed)


def judge(estimators: Mapping[str, Estimator], config: TrainConfig) -> dict[str, Scores]:
    """Measures of logits, averaged over the windows of a record."""
    data = unseen(config)
    logits = {name: np.reshape(estimator(data.inputs), (len(data), -1)) for name, estimator in estimators.items()}
    return {name: evaluate(data.labels, data.by_record(values), 0.0) for name, values in logits.items()}
