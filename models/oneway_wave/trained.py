"""A trained wave network in its two forms: what it answers and how it leaves torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeconv.errors import InputError
from edgeconv.models.oneway_wave.config import WaveTraining
from edgeconv.models.oneway_wave.network import FIELDS, StepNet
from edgeconv.quantize.trained import TrainedTwins

__all__ = ["INPUT", "OUTPUT", "TrainedWave"]

INPUT, OUTPUT = "state", "change"


@dataclass
class TrainedWave(TrainedTwins):
    """The float network and its quantized twin: fields and medium to the change of the next step.

    Attributes:
        float_network, quantized_network: in evaluation mode.
    """

    config: WaveTraining
    float_network: StepNet
    quantized_network: StepNet

    chunk = 16

    def real(self, inputs: NDArray[Any]) -> Tensor:
        """Fields and medium, int16 (N, frames + 2, H, W) in steps of 2^-14."""
        channels = self.config.network.frames + 2
        if inputs.ndim != 4 or inputs.shape[1] != channels or inputs.dtype != FIELDS.dtype:
            raise InputError(
                f"fields of shape {inputs.shape} and type {inputs.dtype}", expected=f"(N, {channels}, H, W) of int16"
            )
        return torch.from_numpy(FIELDS.real(inputs))

    def example(self) -> Tensor:
        """As `TrainedTwins.example`."""
        size = self.config.waves.size
        return torch.zeros(1, self.config.network.frames + 2, size, size)

    def interface(self) -> dict[str, Any]:
        """ "state" int16 (n, frames + 2, H, W) to "change" float32 (n, 1, H, W)."""
        return {"input_name": INPUT, "output_name": OUTPUT, "integers": FIELDS}
