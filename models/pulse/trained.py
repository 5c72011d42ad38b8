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
from edgeconv.quantize.export import IntegerInput, export_qcdq, export_qonnx
from edgeconv.quantize.trained import TrainedTwins

__all__ = [
    "INPUT",
    "OUTPUT",
    "TrainedOnPulses",
    "TrainedPulse",
    "export_benchmark",
    "integer_input",
    "pulse_interface",
    "to_real",
]

INPUT, OUTPUT, UNCERTAIN_OUTPUT = "samples", "time_energy", "time_energy_ln_sigmas"


def integer_input(config: PulseConfig) -> IntegerInput:
    """The ADC's codes, the baseline meaning 0 and the whole range meaning 1."""
    return IntegerInput(config.dtype, 2.0**-config.adc_bits, config.baseline_counts)


def to_real(config: PulseConfig, samples: NDArray[Any]) -> Tensor:
    """ADC codes (N, 1, 128) as the real numbers that the networks compute on, exactly; float32."""
    return torch.from_numpy(integer_input(config).real(samples))


def pulse_interface(config: PulseConfig, output: str) -> dict[str, Any]:
    """ "samples", ADC codes (n, 1, 128), to the output of this name: keywords of the exports."""
    return {"input_name": INPUT, "output_name": output, "integers": integer_input(config)}


class TrainedOnPulses(TrainedTwins):
    """Twins that take the ADC codes of one pulse, whatever they answer.

    Attributes:
        config: the detector channel they were trained for.
    """

    config: PulseConfig
    chunk = 4096

    def real(self, inputs: NDArray[Any]) -> Tensor:
        """ADC codes (N, 1, 128) as `to_real` has them."""
        if inputs.shape[1:] != (1, SAMPLES) or inputs.dtype != self.config.dtype:
            raise InputError(
                f"pulses of shape {inputs.shape} and type {inputs.dtype}",
                expected=f"(N, 1, {SAMPLES}) of {self.config.dtype}",
            )
        return to_real(self.config, inputs)

    def example(self) -> Tensor:
        """As `TrainedTwins.example`."""
        return _example()


@dataclass
class TrainedPulse(TrainedOnPulses):
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
            offset = (self.answers(network, pulses.samples)[:, :2] - target).mean(0)
            last.bias[:2] -= torch.from_numpy(offset.astype(np.float32))

    @torch.no_grad()
    def calibrate(self, parts: Sequence[Pulses]) -> None:
        """Shift the logarithms of uncertainties until the mean square of error / uncertainty is 1 over all parts."""
        for network in (self.float_network, self.quantized_network):
            pulls = []
            for pulses in parts:
                answer = self.answers(network, pulses.samples).astype(np.float64)
                error = answer[:, :2] - np.stack([pulses.time_ns, pulses.energy], 1)
                pulls.append((error / np.exp(answer[:, 2:])) ** 2)
            shift = 0.5 * np.log(np.concatenate(pulls).mean(0))
            network.layers[-1].bias[2:] += torch.from_numpy(shift.astype(np.float32))

    def interface(self) -> dict[str, Any]:
        """As `TrainedOnPulses.interface`.

        Time in ns and energy as a fraction of full scale; with uncertainties behind them the natural logarithms of
        their standard deviations, in the same units.
        """
        output = OUTPUT if len(self.float_network.layers[-1].bias) == 2 else UNCERTAIN_OUTPUT
        return pulse_interface(self.config, output)


def export_benchmark(network: BenchmarkNet, path: str | Path, *, dialect: str = "qcdq") -> Path:
    """Write the benchmark network: "samples" float32 (n, 1, 128) to "time_energy" float32 (n, 2).

    Args:
        dialect: "qcdq" or "qonnx".
    """
    export = {"qcdq": export_qcdq, "qonnx": export_qonnx}[dialect]
    return export(network, _example(), path, input_name=INPUT, output_name=OUTPUT)


def _example() -> Tensor:
    return torch.zeros(1, 1, SAMPLES)
