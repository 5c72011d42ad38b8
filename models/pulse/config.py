"""Settings of a training of pulses; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from edgeconv.errors import UsageError
from edgeconv.models.pulse.simulation import PulseConfig
from edgeconv.quantize.policy import QuantPolicy
from edgeconv.quantize.stage import Stage

__all__ = ["POLICY", "SAMPLES", "TrainConfig"]

SAMPLES = 128
# Activations lie on fixed grids, whose scales neither need calibration nor learn.
POLICY = QuantPolicy(scales="power-of-two", learn_scales=False)


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what comes out of a training, but the number of threads only approximately.

    Attributes:
        pulses: detector and events to train for.
        policy: bits of the quantized twin; its scales are powers of two that do not learn.
        batch: pulses a step.
        float_stage, twin_stage: training of the float network, and of the twin with quantized activations.
        energy_weight: how much more the twin's error in energy counts than its error in time. Both are in units of
            the bound, but the rounding of activations hurts energy more.
        rounding_pulses: pulses that the rounding of the twin's weights looks at.
        seed: of initial weights and pulses.
        threads: of torch. The layers are too small for more than one; the next batch is simulated on another core.
    """

    pulses: PulseConfig = field(default_factory=PulseConfig)
    policy: QuantPolicy = POLICY
    batch: int = 256
    float_stage: Stage = field(default_factory=lambda: Stage("float", 700, 5e-3))
    twin_stage: Stage = field(default_factory=lambda: Stage("quantization-aware", 1800, 6e-3))
    energy_weight: float = 1.4
    rounding_pulses: int = 8192
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        if self.pulses.samples != SAMPLES:
            raise UsageError(f"pulses of {self.pulses.samples} samples", expected=f"{SAMPLES}, as the network takes")
        if self.batch < 2 or self.threads < 1:
            raise UsageError(f"batch {self.batch}, threads {self.threads}", expected="batch >= 2, threads >= 1")

    def shortened(self, factor: float) -> TrainConfig:
        """The same recipe with all stages this much shorter, for trials and tests."""

        def short(stage: Stage) -> Stage:
            return replace(stage, steps=max(1, round(stage.steps / factor)))

        return replace(self, float_stage=short(self.float_stage), twin_stage=short(self.twin_stage))
