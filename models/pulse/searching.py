"""The pulse family as a search sees it: batches to train a supernet with, and the measure of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edgeconv.models.pulse.config import SAMPLES, TrainConfig
from edgeconv.models.pulse.evaluation import evaluate, heldout
from edgeconv.models.pulse.recipe import normalization, training_batch
from edgeconv.models.pulse.simulation import PulseConfig
from edgeconv.models.pulse.space import ELASTIC, default_values, pulse_space
from edgeconv.models.pulse.trained import INPUT, OUTPUT, to_real
from edgeconv.quantize.export import IntegerInput, export_qonnx
from edgeconv.quantize.family import HeldOut
from edgeconv.search.elastic import ElasticConvNet
from edgeconv.search.problem import Metric
from edgeconv.search.space import Space, Value

__all__ = ["PulseSearch"]

# Another stream than that of any test: winners are judged once more, on data that no search has seen.
_VALIDATION_SEED = 1_299_709
_VALIDATION_PULSES = 4096


@dataclass(frozen=True)
class PulseSearch:
    """Implements `edgeconv.search.task.Searchable`.

    Attributes:
        config: detector and events.
    """

    config: PulseConfig = field(default_factory=PulseConfig)

    @property
    def space(self) -> Space:
        """Depth, widths, kernels and bits."""
        return pulse_space()

    @property
    def elastic(self) -> ElasticConvNet:
        """Shapes."""
        return ELASTIC

    def own_values(self) -> dict[str, Value]:
        """As `default_values`."""
        return default_values()

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Root mean square errors over the validation pulses."""
        return {
            "time_resolution": Metric("time_resolution", "s", "root mean square error of the time"),
            "energy_resolution": Metric("energy_resolution", "%", "root mean square error of the energy"),
        }

    @property
    def integers(self) -> IntegerInput:
        """The ADC's codes, the baseline meaning 0."""
        return IntegerInput(self.config.dtype, 2.0**-self.config.adc_bits, self.config.baseline_counts)

    @property
    def units(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and spread of time in ns and of energy."""
        return normalization(self.config)

    @cached_property
    def _validation(self) -> HeldOut:
        return heldout(_VALIDATION_PULSES, _VALIDATION_SEED, self.config)

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """As the family's own recipe trains."""
        return training_batch(replace(TrainConfig(), pulses=self.config, batch=size), rng)

    @torch.no_grad()
    def judge(self, network: nn.Module) -> dict[str, float]:
        """Both resolutions."""
        samples = to_real(self.config, self._validation.inputs[INPUT])
        answers = torch.cat([network(chunk) for chunk in samples.split(1024)])
        score = evaluate(answers.numpy(), self._validation)
        return {"time_resolution": 1e-12 * score.time_ps, "energy_resolution": 1e-2 * score.energy_percent}

    def export(self, network: nn.Module, path: Path) -> Path:
        """QONNX, samples in and time and energy out, as the family's trained networks."""
        example = torch.zeros(1, 1, SAMPLES)
        return export_qonnx(network, example, path, input_name=INPUT, output_name=OUTPUT, integers=self.integers)
