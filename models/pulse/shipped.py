"""The trained network that comes with the family.

`pulse.onnx` is what `edgeconv train pulse --config precise --seed 0` writes as `pulse.onnx`: 8-bit weights and
activations, a 12-bit ADC, 20 to 60 dB.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["trained_model"]


def trained_model() -> Path:
    """The ONNX file: "samples" uint16 (n, 1, 128) to "time_energy" float32 (n, 2), ns and fractions of full scale."""
    return Path(__file__).with_name("pulse.onnx")
