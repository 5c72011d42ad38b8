"""What trained pairs have in common: how the float network and its quantized twin answer, and how they leave torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeconv.quantize.export import export_float, export_qcdq, export_qonnx

__all__ = ["TrainedTwins"]


class TrainedTwins(ABC):
    """A float network and its quantized twin; implements `edgeconv.quantize.family.TrainedModel`.

    Attributes:
        float_network, quantized_network: in evaluation mode.
        chunk: samples that a network is given at once.
    """

    float_network: nn.Module
    quantized_network: nn.Module
    chunk: ClassVar[int] = 64

    @abstractmethod
    def real(self, inputs: NDArray[Any]) -> Tensor:
        """The integers that the graph takes as the real numbers that the networks compute on, exactly; float32.

        Raises:
            InputError: another shape or type than the graph's.
        """

    @abstractmethod
    def example(self) -> Tensor:
        """One sample of real numbers: the shape of an exported graph's input."""

    @abstractmethod
    def interface(self) -> dict[str, Any]:
        """Names of the graph's input and output, and what its integers mean: keywords of `export_qcdq`."""

    @property
    def parameters(self) -> int:
        """Weights and biases of the float network."""
        return sum(parameter.numel() for parameter in self.float_network.parameters())

    def predict_float(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Answers of the float network.

        Args:
            inputs: integers (N, ...), as `real` takes them.

        Raises:
            InputError: another shape or type.
        """
        return self.answers(self.float_network, inputs)

    def predict_quantized(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Answers of the quantized network as torch computes them; arguments as for `predict_float`."""
        return self.answers(self.quantized_network, inputs)

    @torch.no_grad()
    def answers(self, network: nn.Module, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Answers of one of the networks."""
        parts = [inputs[start : start + self.chunk] for start in range(0, len(inputs), self.chunk)]
        return np.concatenate([network(self.real(part)).numpy() for part in parts])

    def export_qcdq(self, path: str | Path) -> Path:
        """Write the quantized network as QuantizeLinear / DequantizeLinear ONNX, with integers as its input."""
        return export_qcdq(self.quantized_network, self.example(), path, **self.interface())

    def export_qonnx(self, path: str | Path) -> Path:
        """Write the quantized network as QONNX with the same input and output."""
        return export_qonnx(self.quantized_network, self.example(), path, **self.interface())

    def export_float(self, path: str | Path) -> Path:
        """Write the float network as plain ONNX with the same input and output."""
        return export_float(self.float_network, self.example(), path, **self.interface())
