"""A trained wave network in its two forms: what it answers and how it leaves torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeconv.errors import InputError
from edgeconv.models.oneway_wave.config import WaveTraining
from edgeconv.models.oneway_wave.network import FIELDS, StepNet
from edgeconv.quantize.export import export_float, export_qcdq, export_qonnx

__all__ = ["INPUT", "OUTPUT", "TrainedWave"]

INPUT, OUTPUT = "state", "change"
_CHUNK = 16


@dataclass
class TrainedWave:
    """The float network and its quantized twin: fields and medium to the change of the next step.

    Attributes:
        float_network, quantized_network: in evaluation mode.
    """

    config: WaveTraining
    float_network: StepNet
    quantized_network: StepNet

    @property
    def parameters(self) -> int:
        """Weights and biases of the float network."""
        return sum(parameter.numel() for parameter in self.float_network.parameters())

    def predict_float(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Changes (N, 1, H, W) by the float network.

        Args:
            inputs: int16 (N, frames + 2, H, W), fields and medium in steps of 2^-14.

        Raises:
            InputError: another shape or type.
        """
        return self._predict(self.float_network, inputs)

    def predict_quantized(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Changes by the quantized network as torch computes them; arguments as for `predict_float`."""
        return self._predict(self.quantized_network, inputs)

    @torch.no_grad()
    def _predict(self, network: StepNet, inputs: NDArray[Any]) -> NDArray[np.float32]:
        channels = self.config.network.frames + 2
        if inputs.ndim != 4 or inputs.shape[1] != channels or inputs.dtype != FIELDS.dtype:
            raise InputError(
                f"fields of shape {inputs.shape} and type {inputs.dtype}", expected=f"(N, {channels}, H, W) of int16"
            )
        real = torch.from_numpy(inputs.astype(np.float32) * np.float32(FIELDS.scale))
        return np.concatenate([network(chunk).numpy() for chunk in real.split(_CHUNK)])

    def export_qcdq(self, path: str | Path) -> Path:
        """Write the quantized network as QCDQ: "state" int16 (n, frames + 2, H, W) to "change" float32 (n, 1, H, W)."""
        return export_qcdq(self.quantized_network, self._example(), path, **_interface())

    def export_qonnx(self, path: str | Path) -> Path:
        """Write the quantized network as QONNX with the same input and output."""
        return export_qonnx(self.quantized_network, self._example(), path, **_interface())

    def export_float(self, path: str | Path) -> Path:
        """Write the float network as plain ONNX with the same input and output."""
        return export_float(self.float_network, self._example(), path, **_interface())

    def _example(self) -> Tensor:
        size = self.config.waves.size
        return torch.zeros(1, self.config.network.frames + 2, size, size)


def _interface() -> dict[str, Any]:
    return {"input_name": INPUT, "output_name": OUTPUT, "integers": FIELDS}
