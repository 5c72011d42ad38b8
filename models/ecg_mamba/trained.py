"""A trained network in its two forms: what it answers, and how it leaves torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeconv.errors import InputError
from edgeconv.models.ecg_mamba.leads import LEADS
from edgeconv.models.ecg_mamba.network import EcgNet, integer_input
from edgeconv.models.ecg_mamba.preparation import SignalConfig
from edgeconv.quantize.trained import TrainedTwins

__all__ = ["INPUT", "OUTPUT", "TrainedEcg", "to_millivolts"]

INPUT, OUTPUT = "leads", "logits"


def to_millivolts(signal: SignalConfig, inputs: NDArray[Any]) -> Tensor:
    """Prepared integers (N, 12, samples) as the real numbers that the networks compute on, exactly; float32."""
    return torch.from_numpy(integer_input(signal).real(inputs))


@dataclass
class TrainedEcg(TrainedTwins):
    """The float network and its quantized twin, both answering one logit for each class.

    Attributes:
        signal: how records were prepared.
        float_network, quantized_network: in evaluation mode.
    """

    signal: SignalConfig
    float_network: EcgNet
    quantized_network: EcgNet

    def real(self, inputs: NDArray[Any]) -> Tensor:
        """Prepared integers (N, 12, samples) in millivolts."""
        shape, kind = (len(LEADS), self.signal.samples), f"int{self.signal.bits}"
        if inputs.shape[1:] != shape or inputs.dtype != kind:
            raise InputError(
                f"records of shape {inputs.shape} and type {inputs.dtype}",
                expected=f"(N, {shape[0]}, {shape[1]}) of {kind}",
                advice="prepare them with EcgDataset.build",
            )
        return to_millivolts(self.signal, inputs)

    def example(self) -> Tensor:
        """As `TrainedTwins.example`."""
        return torch.zeros(1, len(LEADS), self.signal.samples)

    def interface(self) -> dict[str, Any]:
        """ "leads" int16 (n, 12, samples) to "logits" float32 (n, classes)."""
        return {"input_name": INPUT, "output_name": OUTPUT, "integers": integer_input(self.signal)}
