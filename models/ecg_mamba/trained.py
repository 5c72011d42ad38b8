"""A trained network in its two forms: what it answers, and how it leaves torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeconv.errors import InputError
from edgeconv.models.ecg_mamba.leads import LEADS
from edgeconv.models.ecg_mamba.network import EcgNet, integer_input
from edgeconv.models.ecg_mamba.preparation import SignalConfig
from edgeconv.quantize.export import export_float, export_qcdq, export_qonnx

__all__ = ["INPUT", "OUTPUT", "TrainedEcg", "to_millivolts"]

INPUT, OUTPUT = "leads", "logits"
_CHUNK = 64


def to_millivolts(signal: SignalConfig, inputs: NDArray[Any]) -> Tensor:
    """Prepared integers (N, 12, samples) as the real numbers that the networks compute on, exactly; float32."""
    return torch.from_numpy(inputs.astype(np.float32) * np.float32(signal.lsb_mv))


@dataclass
class TrainedEcg:
    """The float network and its quantized twin, both answering one logit for each class.

    Attributes:
        signal: how records were prepared.
        float_network, quantized_network: in evaluation mode.
    """

    signal: SignalConfig
    float_network: EcgNet
    quantized_network: EcgNet

    def predict_float(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Logits (N, classes) of the float network.

        Args:
            inputs: prepared integers (N, 12, samples).

        Raises:
            InputError: another shape or type.
        """
        return self._predict(self.float_network, inputs)

    def predict_quantized(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Logits of the quantized network as torch computes them; arguments as for `predict_float`."""
        return self._predict(self.quantized_network, inputs)

    @torch.no_grad()
    def _predict(self, network: EcgNet, inputs: NDArray[Any]) -> NDArray[np.float32]:
        shape, kind = (len(LEADS), self.signal.samples), f"int{self.signal.bits}"
        if inputs.shape[1:] != shape or inputs.dtype != kind:
            raise InputError(
                f"records of shape {inputs.shape} and type {inputs.dtype}",
                expected=f"(N, {shape[0]}, {shape[1]}) of {kind}",
                advice="prepare them with EcgDataset.build",
            )
        parts = [inputs[start : start + _CHUNK] for start in range(0, len(inputs), _CHUNK)]
        return np.concatenate([network(to_millivolts(self.signal, part)).numpy() for part in parts])

    def export_qcdq(self, path: str | Path) -> Path:
        """Write the quantized network as QCDQ ONNX: "leads" int16 (n, 12, samples) to "logits" float32 (n, classes)."""
        return export_qcdq(self.quantized_network, self._example(), path, **self._interface())

    def export_qonnx(self, path: str | Path) -> Path:
        """Write the quantized network as QONNX with the same input and output."""
        return export_qonnx(self.quantized_network, self._example(), path, **self._interface())

    def export_float(self, path: str | Path) -> Path:
        """Write the float network as plain ONNX with the same input and output."""
        return export_float(self.float_network, self._example(), path, **self._interface())

    def _example(self) -> Tensor:
        return torch.zeros(1, len(LEADS), self.signal.samples)

    def _interface(self) -> dict[str, Any]:
        return {"input_name": INPUT, "output_name": OUTPUT, "integers": integer_input(self.signal)}
