"""The trained network that comes with the family.

`wave.onnx` is what `edgeconv train oneway_wave --seed 0` writes as `oneway_wave.onnx`: rank 2, 16 channels, 4 layers,
8-bit weights, 8-bit activations, and 16 bits between the factors of a kernel.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["trained_model"]


def trained_model() -> Path:
    """The ONNX file: "state" int16 (n, 5, 48, 48), three fields and the medium, to "change" float32 (n, 1, 48, 48)."""
    return Path(__file__).with_name("wave.onnx")
