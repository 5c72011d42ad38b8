"""Settings of networks and trainings of waves; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from edgeconv.errors import UsageError
from edgeconv.models.oneway_wave.dataset import WaveConfig
from edgeconv.quantize.policy import LayerRule, QuantPolicy
from edgeconv.quantize.stage import Stage

__all__ = ["FACTORS", "StepConfig", "WaveTraining"]

# What one factor hands to the next are terms of sums that nearly cancel: differences of fields in the first layer, the
# terms of a kernel in all. They keep 16 bits; activations behind a ReLU and weights have 8.
FACTORS = LayerRule("convs.*_round", activation_bits=16)


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
        unroll, long_unroll: steps that a prediction is fed back in the first stage, and in the others.
        noise: of the first fields in training, relative to their largest magnitude: what a roll-out's own errors are.
        float_stage, long_stage, twin_stage: training of the float network, of the same on longer roll-outs, and of the
            twin that starts from it.
        seed: of initial weights and batches.
        threads: of torch.
    """

    waves: WaveConfig = field(default_factory=lambda: WaveConfig(size=48, frames=80, frame_s=1 / 48))
    network: StepConfig = field(default_factory=StepConfig)
    policy: QuantPolicy = field(default_factory=lambda: QuantPolicy(calibration="minmax", rules=(FACTORS,)))
    train_records: int = 240
    test_records: int = 60
    data_seed: int = 0
    batch: int = 6
    unroll: int = 4
    long_unroll: int = 12
    noise: float = 2e-4
    float_stage: Stage = field(default_factory=lambda: Stage("float", 3000, 8e-3))
    long_stage: Stage = field(default_factory=lambda: Stage("longer roll-outs", 500, 2e-3))
    twin_stage: Stage = field(default_factory=lambda: Stage("quantization-aware", 250, 1e-3))
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        counts = (self.train_records, self.test_records, self.batch, self.unroll, self.long_unroll, self.threads)
        if min(counts) < 1 or self.noise < 0:
            raise UsageError(
                f"records {self.train_records} and {self.test_records}, batch {self.batch}, unroll {self.unroll}, "
                f"long_unroll {self.long_unroll}, threads {self.threads}, noise {self.noise}",
                expected="at least 1 of each, noise >= 0",
            )
        longest = self.network.frames + max(self.unroll, self.long_unroll)
        if self.waves.frames < longest:
            raise UsageError(
                f"records of {self.waves.frames} frames",
                expected=f"{longest}, what the network sees and the steps of training",
            )

    @property
    def network_policy(self) -> QuantPolicy:
        """The policy; a dense network has no factors, and the rule for them goes."""
        if self.network.rank:
            return self.policy
        return replace(self.policy, rules=tuple(rule for rule in self.policy.rules if rule != FACTORS))
