"""A training of the ECG network that takes seconds."""

from __future__ import annotations

from edgeconv.models.ecg_mamba import SignalConfig
from edgeconv.models.ecg_mamba.config import NetworkConfig, TrainConfig
from edgeconv.quantize import QuantPolicy, Stage

SMALL = TrainConfig(
    network=NetworkConfig(width=8, stem=(8,), blocks=1, states=4),
    signal=SignalConfig(samples=384, hop=384),
    records=10,
    policy=QuantPolicy(scales="power-of-two"),
    batch=8,
    float_stage=Stage("float", 2, 1e-3),
    twin_stage=Stage("quantization-aware", 3, 1e-4),
    calibration=32,
    judged=40,
    threads=1,
)
