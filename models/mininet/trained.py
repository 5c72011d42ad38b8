"""A trained depth network in its two forms: what it answers and how it leaves torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeconv.errors import InputError
from edgeconv.models.mininet.config import DepthTraining
from edgeconv.models.mininet.network import PIXELS, MiniNet
from edgeconv.quantize.trained import TrainedTwins

__all__ = ["INPUT", "OUTPUT", "TrainedDepth"]

INPUT, OUTPUT = "picture", "nearness"


@dataclass
class TrainedDepth(TrainedTwins):
    """The float network and its quantized twin: a picture to nearness (`network.depth_of` makes depth of it).

    Attributes:
        float_network, quantized_network: in evaluation mode.
    """

    config: DepthTraining
    float_network: MiniNet
    quantized_network: MiniNet

    chunk = 16

    def real(self, inputs: NDArray[Any]) -> Tensor:
        """Pictures, uint8 (N, 3, H, W) red, green and blue, as numbers from 0 to 1."""
        if inputs.ndim != 4 or inputs.shape[1] != 3 or inputs.dtype != PIXELS.dtype:
            raise InputError(
                f"pictures of shape {inputs.shape} and type {inputs.dtype}", expected="(N, 3, H, W) of uint8"
            )
        return torch.from_numpy(PIXELS.real(inputs))

    def example(self) -> Tensor:
        """As `TrainedTwins.example`."""
        return torch.zeros(1, 3, self.config.drives.height, self.config.drives.width)

    def interface(self) -> dict[str, Any]:
        """ "picture" uint8 (n, 3, H, W) to "nearness" float32 (n, 1, H, W)."""
        return {"input_name": INPUT, "output_name": OUTPUT, "integers": PIXELS}
