"""Quantization after training (`ptq`, needs no torch) and in training: policies, the training loop, ONNX export.

Training needs torch and brevitas (`pip install 'edgeconv[train]'`), except for `QuantPolicy` and
`edgeconv.quantize.family`. The package can be called: `edgeconv.quantize(model, ...)`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgeconv._package_call import let_package_be_called
from edgeconv.quantize.family import HeldOut, ModelFamily, Progress, TrainedModel, TrainingProgress
from edgeconv.quantize.policy import LayerBits, LayerRule, QuantPolicy
from edgeconv.quantize.stage import Stage

if TYPE_CHECKING:
    from edgeconv.quantize.export import IntegerInput, export_float, export_qcdq, export_qonnx
    from edgeconv.quantize.loop import fit

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
    "export_float": "export",
    "export_qcdq": "export",
    "export_qonnx": "export",
    "fit": "loop",
}


let_package_be_called(__name__)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'edgeconv.quantize' has no attribute {name!r}")
    return getattr(import_module(f"edgeconv.quantize.{_LAZY[name]}"), name)
