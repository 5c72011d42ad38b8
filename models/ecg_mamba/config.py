"""Settings of networks and trainings on ECG; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from edgeconv.errors import UsageError
from edgeconv.models.ecg_mamba.labels import SCORED
from edgeconv.models.ecg_mamba.preparation import SignalConfig
from edgeconv.quantize.policy import QuantPolicy
from edgeconv.quantize.stage import Stage

__all__ = ["NetworkConfig", "TrainConfig"]


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of the network.

    Attributes:
        classes: outputs.
        width: channels between blocks.
        stem: filters of the stem's convolutions but the last, which has `width`; each halves the length.
        convolutions: residual blocks of two dilated convolutions behind the stem.
        blocks: bidirectional Mamba blocks behind those.
        expand: channels inside a block, as a multiple of `width`.
        states: of each channel of a scan.
        rank: channels that the step sizes are computed from.
        taps: of the causal convolutions.
    """

    classes: int = len(SCORED)
    width: int = 32
    stem: tuple[int, ...] = (16, 24)
    convolutions: int = 0
    blocks: int = 2
    expand: int = 2
    states: int = 8
    rank: int = 4
    taps: int = 4

    def __post_init__(self) -> None:
        numbers = (self.classes, self.width, *self.stem, self.expand, self.states, self.rank, self.taps)
        if min(numbers) < 1 or self.states > 64 or min(self.convolutions, self.blocks) < 0:
            raise UsageError(f"{self}", expected="positive numbers (blocks may be none), at most 64 states")


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what comes out of a training.

    Attributes:
        network, signal: the shape of the network, and what it reads.
        records: generated ones, where no data set is given.
        policy: bits of the quantized twin.
        batch: windows a step.
        float_stage, twin_stage: training of the float network, and fine-tuning of the twin.
        calibration: windows that the ranges of the twin are found with.
        judged: generated records of other patients that `judge` measures on.
        seed: of records, initial weights and batches.
        threads: of torch.
    """

    network: NetworkConfig = field(default_factory=NetworkConfig)
    signal: SignalConfig = field(default_factory=SignalConfig)
    records: int = 1500
    policy: QuantPolicy = field(default_factory=QuantPolicy)
    batch: int = 32
    float_stage: Stage = field(default_factory=lambda: Stage("float", 400, 3e-3))
    twin_stage: Stage = field(default_factory=lambda: Stage("quantization-aware", 80, 5e-4))
    calibration: int = 128
    judged: int = 600
    seed: int = 0
    threads: int = 2

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 1 << 31:
            raise UsageError(f"seed {self.seed}", expected="0 to 2147483647; those above are of judged records")
        if min(self.records, self.calibration, self.judged, self.threads) < 1 or self.batch < 2:
            raise UsageError(f"{self}", expected="records, calibration, judged, threads >= 1 and batch >= 2")

    def shortened(self, factor: float) -> TrainConfig:
        """The same recipe with stages this much shorter and as many fewer records, for trials and tests."""

        def short(number: int) -> int:
            return max(2, round(number / factor))

        stages = (replace(stage, steps=short(stage.steps)) for stage in (self.float_stage, self.twin_stage))
        float_stage, twin_stage = stages
        return replace(self, records=short(self.records), float_stage=float_stage, twin_stage=twin_stage)
