"""Settings of networks and trainings of waves; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgeconv.errors import UsageError
from edgeconv.models.oneway_wave.dataset import WaveConfig
from edgeconv.quantize.policy import QuantPolicy
from edgeconv.quantize.stage import Stage

__all__ = ["StepConfig", "WaveTraining"]


@dataclass(frozen=True)
class StepConfig:
    """Size of a network.

    Attributes:
        frames: last fields that it sees.
        width: channels between its layers.
        depth: layers, the last one included.
        size: taps of a filter along each axis, odd.
        rank: terms of each one-way kernel; 0 for the dense twin.
    """

    frames: int = 3
    width: int = 16
    depth: int = 4
    size: int = 5
    rank: int = 2

    def __post_init__(self) -> None:
        if self.frames < 2 or self.width < 1 or self.depth < 2 or self.size % 2 == 0 or self.rank < 0:
            raise UsageError(f"{self}", expected="frames and depth >= 2, width >= 1, an odd size, rank >= 0 (0: dense)")


@dataclass(frozen=True)
class WaveTraining:
    """Everything that decides what comes out of a training.

    Attributes:
        waves: scenes and their sampling.
        network: its size.
        policy: bits and scales of the quantized twin.
        train_records, test_records: scenes simulated for training and, of another seed, for judging.
        data_seed: of the scenes, so that trainings of several seeds share them.
        batch: stretches a step.
        unroll: steps that a prediction is fed back in training.
        noise: of the first fields in training, relative to their largest magnitude: what a roll-out's own errors are.
        float_stage, twin_stage: training of the float network, and of the twin that starts from it.
        seed: of initial weights and batches.
        threads: of torch.
    """

    waves: WaveConfig = field(default_factory=lambda: WaveConfig(size=48, frames=80, frame_s=1 / 48))
    network: StepConfig = field(default_factory=StepConfig)
    policy: QuantPolicy = field(default_factory=QuantPolicy)
    train_records: int = 240
    test_records: int = 60
    data_seed: int = 0
    batch: int = 6
    unroll: int = 4
    noise: float = 2e-4
    float_stage: Stage = field(default_factory=lambda: Stage("float", 3000, 8e-3))
    twin_stage: Stage = field(default_factory=lambda: Stage("quantization-aware", 800, 1e-3))
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        if min(self.train_records, self.test_records, self.batch, self.unroll, self.threads) < 1 or self.noise < 0:
            raise UsageError(
                f"records {self.train_records} and {self.test_records}, batch {self.batch}, unroll {self.unroll}, "
                f"threads {self.threads}, noise {self.noise}",
                expected="at least 1 of each, noise >= 0",
            )
        if self.waves.frames < self.network.frames + self.unroll:
            raise UsageError(
                f"records of {self.waves.frames} frames",
                expected=f"{self.network.frames + self.unroll}, what the network sees and the steps of training",
            )
