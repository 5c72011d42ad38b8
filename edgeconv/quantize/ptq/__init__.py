"""Post-training quantization of float ONNX models and torch modules: docs/quantize.md."""

from __future__ import annotations

from edgeconv.quantize.ptq.post_training import quantize_onnx
from edgeconv.quantize.ptq.results import ActivationRow, QuantizeReport, WeightRow

__all__ = ["ActivationRow", "QuantizeReport", "WeightRow", "quantize_onnx"]
