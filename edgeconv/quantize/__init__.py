"""Quantization-aware training: quantization policies, the training loop, ONNX export, and what a family offers.

Needs torch and brevitas (`pip install 'edgeconv[train]'`), except for `QuantPolicy` and `edgeconv.quantize.family`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgeconv.quantize.family import HeldOut, ModelFamily, Progress, TrainedModel, TrainingProgress
from edgeconv.quantize.policy import LayerBits, LayerRule, QuantPolicy

if TYPE_CHECKING:
    from edgeconv.quantize.export import IntegerInput, export_float, export_qcdq, export_qonnx
    from edgeconv.quantize.loop import Stage, fit

__all__ = [
    "HeldOut",
    "IntegerInput",
    "LayerBits",
    "LayerRule",
    "ModelFamily",
    "Progress",
    "QuantPolicy",
    "Stage",
    "TrainedModel",
    "TrainingProgress",
    "export_float",
    "export_qcdq",
    "export_qonnx",
    "fit",
]

_LAZY = {
    "IntegerInput": "export",
    "Stage": "loop",
    "export_float": "export",
    "export_qcdq": "export",
    "export_qonnx": "export",
    "fit": "loop",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'edgeconv.quantize' has no attribute {name!r}")
    return getattr(import_module(f"edgeconv.quantize.{_LAZY[name]}"), name)
