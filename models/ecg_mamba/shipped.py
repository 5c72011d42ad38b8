"""The trained network that comes with the family.

`ecg_mamba.onnx` is what `edgeconv train ecg_mamba --config full --seed 0` writes as `ecg_mamba.onnx`: 8-bit weights and
activations, 16-bit samples, scans with 16-bit states.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["trained_model"]


def trained_model() -> Path:
    """The ONNX file: "leads" int16 (n, 12, 2560) to "logits" float32 (n, 32), the classes of `EXTENDED`."""
    return Path(__file__).with_name("ecg_mamba.onnx")
