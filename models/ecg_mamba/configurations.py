"""The recipes of the ECG family by name."""

from __future__ import annotations

from dataclasses import replace

from edgeconv.models.ecg_mamba.config import NetworkConfig, TrainConfig
from edgeconv.models.ecg_mamba.labels import EXTENDED
from edgeconv.quantize.stage import Stage

__all__ = ["CONFIGURATIONS", "CONVOLUTIONAL", "FULL"]

FULL = TrainConfig(
    network=NetworkConfig(len(EXTENDED), convolutions=3, blocks=1, expand=1),
    records=4000,
    float_stage=Stage("float", 1500, 4e-3),
    twin_stage=Stage("quantization-aware", 200, 5e-4),
    judged=1500,
    threads=1,
)
"""Four thousand records, and the diagnoses that only long context shows among its outputs.

How its shape was chosen, and what came out, is in docs/models-ecg.md."""

CONVOLUTIONAL = replace(FULL, network=NetworkConfig(len(EXTENDED), blocks=0, convolutions=4))
"""The same without scans: as many parameters in dilated convolutions."""

CONFIGURATIONS = {"standard": TrainConfig(), "full": FULL, "convolutional": CONVOLUTIONAL}
