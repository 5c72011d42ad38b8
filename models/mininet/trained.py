"""A trained depth network in its two forms: what it answers and how it leaves torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeconv.errors import InputError
from edgeconv.models.mininet.config import DepthTraining
from edgeconv.models.mininet.network import PIXELS, MiniNet
from edgeconv.quantize.export import export_float, export_qcdq, export_qonnx

__all__ = ["INPUT", "OUTPUT", "TrainedDepth"]

INPUT, OUTPUT = "picture", "nearness"
_CHUNK = 16


@dataclass
class TrainedDepth:
    """The float network and its quantized twin: a picture to nearness (`network.depth_of` makes depth of it).

    Attributes:
        float_network, quantized_network: in evaluation mode.
    """

    config: DepthTraining
    float_network: MiniNet
    quantized_network: MiniNet

    @property
    def parameters(self) -> int:
        """Weights and biases of the float network."""
        return sum(parameter.numel() for parameter in self.float_network.parameters())

    def predict_float(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Nearness (N, 1, H, W) by the float network.

        Args:
            inputs: uint8 (N, 3, H, W), red, green and blue.

        Raises:
            InputError: another shape or type.
        """
        return self._predict(self.float_network, inputs)

    def predict_quantized(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Nearness by the quantized network as torch computes it; arguments as for `predict_float`."""
        return self._predict(self.quantized_network, inputs)

    @torch.no_grad()
    def _predict(self, network: MiniNet, inputs: NDArray[Any]) -> NDArray[np.float32]:
        if inputs.ndim != 4 or inputs.shape[1] != 3 or inputs.dtype != PIXELS.dtype:
            raise InputError(
                f"pictures of shape {inputs.shape} and type {inputs.dtype}", expected="(N, 3, H, W) of uint8"
            )
        real = torch.from_numpy(inputs.astype(np.float32) * np.float32(PIXELS.scale))
        return np.concatenate([network(chunk).numpy() for chunk in real.split(_CHUNK)])

    def export_qcdq(self, path: str | Path) -> Path:
        """Write the quantized network as QCDQ: "picture" uint8 (n, 3, H, W) to "nearness" float32 (n, 1, H, W)."""
        return export_qcdq(self.quantized_network, self._example(), path, **_interface())

    def export_qonnx(self, path: str | Path) -> Path:
        """Write the quantized network as QONNX with the same input and output."""
        return export_qonnx(self.quantized_network, self._example(), path, **_interface())

    def export_float(self, path: str | Path) -> Path:
        """Write the float network as plain ONNX with the same input and output."""
        return export_float(self.float_network, self._example(), path, **_interface())

    def _example(self) -> Tensor:
        return torch.zeros(1, 3, self.config.drives.height, self.config.drives.width)


def _interface() -> dict[str, Any]:
    return {"input_name": INPUT, "output_name": OUTPUT, "integers": PIXELS}
