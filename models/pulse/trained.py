"""A trained pulse network in its two forms: what it answers and how it leaves torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeconv.errors import InputError
from edgeconv.models.pulse.bound import efficient_estimate
from edgeconv.models.pulse.config import SAMPLES
from edgeconv.models.pulse.network import BenchmarkNet, PulseNet, QuantPulseNet, parts_of
from edgeconv.models.pulse.simulation import PulseConfig, Pulses
from edgeconv.quantize.export import IntegerInput, export_float, export_qcdq, export_qonnx

__all__ = ["INPUT", "OUTPUT", "TrainedPulse", "export_benchmark", "integer_input", "to_real"]

INPUT, OUTPUT, UNCERTAIN_OUTPUT = "samples", "time_energy", "time_energy_ln_sigmas"
_CHUNK = 4096


def integer_input(config: PulseConfig) -> IntegerInput:
    """The ADC's codes, the baseline meaning 0 and the whole range meaning 1."""
    return IntegerInput(config.dtype, 2.0**-config.adc_bits, config.baseline_counts)


def to_real(config: PulseConfig, samples: NDArray[Any]) -> Tensor:
    """ADC codes (N, 1, 128) as the real numbers that the networks compute on, exactly; float32."""
    meaning = integer_input(config)
    real = (samples.astype(np.float32) - np.float32(meaning.zero_point)) * np.float32(meaning.scale)
    return torch.from_numpy(real)


@dataclass
class TrainedPulse:
    """The float network and its quantized twin, both answering time in ns and energy as a fraction of full scale.

    Attributes:
        config: the detector channel they were trained for.
        float_network, quantized_network: in evaluation mode.
    """

    config: PulseConfig
    float_network: PulseNet
    quantized_network: QuantPulseNet

    @torch.no_grad()
    def to_units(self, mean: tuple[float, float], spread: tuple[float, float], pulses: Pulses) -> None:
        """Fold the normalization of the outputs into the last layers and take out their mean error over `pulses`.

        Weights have a scale per output, so folding moves no integer weight.
        """
        time, energy, _ = efficient_estimate(pulses)
        target = np.stack([time, energy], 1)
        for network in (self.float_network, self.quantized_network):
            network.eval()
            last = network.layers[-1]
            # Uncertainties are logarithms: their unit is an addend.
            factor, addend = torch.ones(len(last.bias)), torch.zeros(len(last.bias))
            factor[:2], addend[:2] = torch.tensor(spread), torch.tensor(mean)
            addend[2:] = torch.tensor(spread).log()[: len(addend) - 2]
            for part in parts_of(network, len(network.layers) - 1):
                part.weight.mul_(factor[:, None])
            last.bias.mul_(factor).add_(addend)
            offset = (self._predict(network, pulses.samples)[:, :2] - target).mean(0)
            last.bias[:2] -= torch.from_numpy(offset.astype(np.float32))

    @torch.no_grad()
    def calibrate(self, parts: Sequence[Pulses]) -> None:
        """Shift the logarithms of uncertainties until the mean square of error / uncertainty is 1 over all parts."""
        for network in (self.float_network, self.quantized_network):
            pulls = []
            for pulses in parts:
                answer = self._predict(network, pulses.samples).astype(np.float64)
                error = answer[:, :2] - np.stack([pulses.time_ns, pulses.energy], 1)
                pulls.append((error / np.exp(answer[:, 2:])) ** 2)
            shift = 0.5 * np.log(np.concatenate(pulls).mean(0))
            network.layers[-1].bias[2:] += torch.from_numpy(shift.astype(np.float32))

    def predict_float(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Answers of the float network: (N, 2), time in ns and energy as a fraction of full scale.

        With uncertainties (N, 4): behind them the natural logarithms of their standard deviations, in the same units.

        Args:
            inputs: ADC codes (N, 1, 128).

        Raises:
            InputError: another shape or type.
        """
        return self._predict(self.float_network, inputs)

    def predict_quantized(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Answers of the quantized network as torch computes them; arguments as for `predict_float`."""
        return self._predict(self.quantized_network, inputs)

    @torch.no_grad()
    def _predict(self, network: PulseNet | QuantPulseNet, inputs: NDArray[Any]) -> NDArray[np.float32]:
        if inputs.shape[1:] != (1, SAMPLES) or inputs.dtype != self.config.dtype:
            raise InputError(
                f"pulses of shape {inputs.shape} and type {inputs.dtype}",
                expected=f"(N, 1, {SAMPLES}) of {self.config.dtype}",
            )
        chunks = [inputs[start : start + _CHUNK] for start in range(0, len(inputs), _CHUNK)]
        return np.concatenate([network(to_real(self.config, chunk)).numpy() for chunk in chunks])

    def export_qcdq(self, path: str | Path) -> Path:
        """Write the quantized network as QCDQ ONNX: "samples" uint16 (n, 1, 128) to "time_energy" float32 (n, 2)."""
        return export_qcdq(self.quantized_network, _example(), path, **self._interface())

    def export_qonnx(self, path: str | Path) -> Path:
        """Write the quantized network as QONNX with the same input and output."""
        return export_qonnx(self.quantized_network, _example(), path, **self._interface())

    def export_float(self, path: str | Path) -> Path:
        """Write the float network as plain ONNX with the same input and output."""
        return export_float(self.float_network, _example(), path, **self._interface())

    def _interface(self) -> dict[str, Any]:
        output = OUTPUT if len(self.float_network.layers[-1].bias) == 2 else UNCERTAIN_OUTPUT
        return {"input_name": INPUT, "output_name": output, "integers": integer_input(self.config)}


def export_benchmark(network: BenchmarkNet, path: str | Path, *, dialect: str = "qcdq") -> Path:
    """Write the benchmark network: "samples" float32 (n, 1, 128) to "time_energy" float32 (n, 2).

    Args:
        dialect: "qcdq" or "qonnx".
    """
    export = {"qcdq": export_qcdq, "qonnx": export_qonnx}[dialect]
    return export(network, _example(), path, input_name=INPUT, output_name=OUTPUT)


def _example() -> Tensor:
    return torch.zeros(1, 1, SAMPLES)
