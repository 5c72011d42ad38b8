"""The recipes of the ECG family by name."""

from __future__ import annotations

from dataclasses import replace

from edgeconv.models.ecg_mamba.config import NetworkConfig, TrainConfig
from edgeconv.models.ecg_mamba.labels import EXTENDED
from edgeconv.models.ecg_mamba.space import config_of
from edgeconv.quantize.stage import Stage

__all__ = ["CONFIGURATIONS", "CONVOLUTIONAL", "FULL", "SMALL"]

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

_SIZES = {"convolutions": 4, "blocks": 0, "width": 16, "stem1.width": 8, "stem2.width": 16}
_BITS = {
    "stem1": (6, 8), "stem2": (6, 8), "stem3": (6, 8),
    "convolution1": (6, 4), "convolution2": (8, 4), "convolution3": (6, 8), "convolution4": (4, 4),
}  # fmt: skip
"""Of weights and of activations."""
_FOUND = {
    f"{layer}.{own}": bits
    for layer, both in _BITS.items()
    for own, bits in zip(("weights", "activations"), both, strict=True)
}
SMALL = replace(
    config_of(_SIZES | _FOUND | {"head.weights": 4}, FULL),
    float_stage=Stage("float", 6000, 4e-3),
    twin_stage=Stage("quantization-aware", 800, 5e-4),
)
"""The network that a search found (docs/search.md), trained for four times the steps of `FULL` in less time."""

CONFIGURATIONS = {"standard": TrainConfig(), "full": FULL, "convolutional": CONVOLUTIONAL, "small": SMALL}
