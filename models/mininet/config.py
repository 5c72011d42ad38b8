"""Settings of networks and trainings of depth; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgeconv.errors import UsageError
from edgeconv.models.mininet.drive import DriveConfig
from edgeconv.quantize.policy import QuantPolicy
from edgeconv.quantize.stage import Stage

__all__ = ["DepthTraining", "LossWeights", "MiniNetConfig"]


@dataclass(frozen=True)
class MiniNetConfig:
    """Size of the network.

    Attributes:
        widths: channels of the stem and of the two encoder blocks; the last is also the recurrent module's.
        levels: how many times the recurrent module halves the picture.
        iterations: how many times it runs at each size.
    """

    widths: tuple[int, int, int] = (16, 32, 64)
    levels: int = 2
    iterations: int = 2

    def __post_init__(self) -> None:
        if min(self.widths) < 4 or self.levels < 1 or self.iterations < 1:
            raise UsageError(f"{self}", expected="widths of at least 4, one level and one iteration at least")

    @property
    def multiple(self) -> int:
        """Height and width of pictures are multiples of this."""
        return 8 << self.levels


@dataclass(frozen=True)
class LossWeights:
    """How the parts of the loss count.

    Attributes:
        ssim: share of structural dissimilarity in the photometric error; the rest is the absolute difference.
        smooth: weight of the smoothness of disparity, halved at each coarser scale.
        scales: how many of the network's sizes are judged, finest first.
        leave_unmoved: are pixels left out that a neighbour explains better unmoved, such as a car that drives ahead?
            Recorded drives need it; synthetic ones have such cars only where they are asked for, and learn faster
            without.
    """

    ssim: float = 0.85
    smooth: float = 1e-3
    scales: int = 2
    leave_unmoved: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.ssim <= 1 or self.smooth < 0 or not 1 <= self.scales <= 3:
            raise UsageError(f"{self}", expected="ssim of 0 to 1, smooth >= 0, one to three scales")


@dataclass(frozen=True)
class DepthTraining:
    """Everything that decides what comes out of a training.

    Attributes:
        drives: pictures of the synthetic drives; the network works on their size.
        network: its size.
        policy: bits and scales of the quantized twin.
        loss: weights of its parts.
        train_drives, test_drives: synthetic drives for training and, of another seed, for judging.
        data_seed: of the drives, so that trainings of several seeds share them.
        train_folder, test_folder: drives in KITTI's layout to use in place of synthetic ones, resampled to the size
            that `drives` states; "" for synthetic ones.
        batch: triplets a step.
        settle: steps of the float stage in which no pixel is left out: while motion is still wrong, unmoved is better
            everywhere, and nothing would be left to learn motion from.
        float_stage, twin_stage: training of the float network, and of the twin that starts from it.
        seed: of initial weights and batches.
        threads: of torch.
    """

    drives: DriveConfig = field(
        # Pixels this large average the sensor's noise away.
        default_factory=lambda: DriveConfig(width=192, height=64, frames=24, noise=0.5, beams=8, azimuths=64)
    )
    network: MiniNetConfig = field(default_factory=MiniNetConfig)
    policy: QuantPolicy = field(default_factory=QuantPolicy)
    loss: LossWeights = field(default_factory=LossWeights)
    train_drives: int = 48
    test_drives: int = 12
    data_seed: int = 0
    train_folder: str = ""
    test_folder: str = ""
    batch: int = 8
    settle: int = 500
    float_stage: Stage = field(default_factory=lambda: Stage("float", 5000, 1e-2))
    twin_stage: Stage = field(default_factory=lambda: Stage("quantization-aware", 400, 4e-4))
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        if min(self.train_drives, self.test_drives, self.batch, self.threads) < 1 or self.settle < 0:
            raise UsageError(
                f"drives {self.train_drives} and {self.test_drives}, batch {self.batch}, threads {self.threads}, "
                f"settle {self.settle}",
                expected="at least 1 of each, settle >= 0",
            )
        multiple = self.network.multiple
        if self.drives.width % multiple or self.drives.height % multiple:
            raise UsageError(
                f"pictures of {self.drives.width} × {self.drives.height}", expected=f"multiples of {multiple}"
            )
