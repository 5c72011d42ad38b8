"""The trained network that comes with the family.

`mininet.onnx` is what `edgeconv train mininet --seed 0` writes as `mininet.onnx`: 8-bit weights and activations,
pictures of 64 × 192.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["trained_model"]


def trained_model() -> Path:
    """The ONNX file: "picture" uint8 (n, 3, 64, 192) to "nearness" float32 (n, 1, 64, 192)."""
    return Path(__file__).with_name("mininet.onnx")
