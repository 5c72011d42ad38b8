"""Settings of a training of pulses; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from edgeconv.errors import UsageError
from edgeconv.models.pulse.pairs import PairConfig
from edgeconv.models.pulse.simulation import PulseConfig
from edgeconv.quantize.policy import QuantPolicy
from edgeconv.quantize.stage import Stage

__all__ = [
    "POLICY",
    "SAMPLES",
    "STRIDE",
    "DenoiseConfig",
    "LayeredConfig",
    "NetworkConfig",
    "PileUpConfig",
    "TrainConfig",
]

SAMPLES = 128
STRIDE = 2
# Activations lie on fixed grids, whose scales neither need calibration nor learn.
POLICY = QuantPolicy(scales="power-of-two", learn_scales=False)


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of the network: convolutions of stride 2, then two fully connected layers.

    Attributes:
        channels: filters of each convolution.
        kernel: taps of each convolution; odd.
        hidden: outputs of the first fully connected layer.
        direct: the ADC's samples also go straight to both fully connected layers, unrounded. What 8-bit activations
            cannot resolve at high signal-to-noise ratios then has a way around them.
        uncertainty: two more outputs, the logarithms of the standard deviations of time and energy.
    """

    channels: tuple[int, ...] = (16, 32, 32, 64)
    kernel: int = 5
    hidden: int = 64
    direct: bool = False
    uncertainty: bool = False

    def __post_init__(self) -> None:
        if not self.channels or min(*self.channels, self.hidden) < 1 or SAMPLES % STRIDE ** len(self.channels):
            raise UsageError(f"{self}", expected="1 to 7 convolutions, with at least one channel each")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise UsageError(f"{self}", expected="an odd kernel")

    @property
    def padding(self) -> int:
        """Zeros at each end, with which a convolution halves the length."""
        return self.kernel // 2

    @property
    def direct_outputs(self) -> tuple[int, ...]:
        """Outputs of the layers that read the samples directly."""
        return (self.hidden, self.outputs) if self.direct else ()

    @property
    def outputs(self) -> int:
        """Time and energy, and what uncertainties there are."""
        return 4 if self.uncertainty else 2

    @property
    def flat(self) -> int:
        """Inputs of the first fully connected layer."""
        return self.channels[-1] * (SAMPLES // STRIDE ** len(self.channels))


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what comes out of a training, but the number of threads only approximately.

    Attributes:
        pulses: detector and events to train for.
        network: shape of the network.
        snr_range_db: lowest and highest signal-to-noise ratio of training pulses; None trains for that of `pulses`
            alone.
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
    network: NetworkConfig = field(default_factory=NetworkConfig)
    snr_range_db: tuple[float, float] | None = None
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


@dataclass(frozen=True)
class LayeredConfig:
    """What recipes of networks made of `edgeconv.quantize.layers` have in common.

    Attributes:
        pulses: detector channel.
        snr_range_db: lowest and highest signal-to-noise ratio, uniform in dB from batch to batch.
        policy: bits and scales of the quantized twin.
        batch: waveforms a step.
        float_stage, twin_stage: training of the float network, and fine-tuning of the twin.
        seed: of initial weights and waveforms.
        threads: of torch.
    """

    pulses: PulseConfig = field(default_factory=PulseConfig)
    snr_range_db: tuple[float, float] = (30.0, 60.0)
    policy: QuantPolicy = field(default_factory=QuantPolicy)
    batch: int = 128
    float_stage: Stage = field(default_factory=lambda: Stage("float", 1200, 4e-3))
    twin_stage: Stage = field(default_factory=lambda: Stage("quantization-aware", 400, 1e-3))
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        if self.pulses.samples != SAMPLES:
            raise UsageError(f"pulses of {self.pulses.samples} samples", expected=f"{SAMPLES}, as the network takes")
        if self.policy.power_of_two:
            raise UsageError("a policy with scales = power-of-two", expected="float: outputs have units of their own")


@dataclass(frozen=True)
class PileUpConfig(LayeredConfig):
    """Two pulses in one window, told apart: their times and energies.

    Attributes:
        pairs: how they fall.
        channels, hidden: of four strided convolutions, and of the fully connected layer behind them.
    """

    pairs: PairConfig = field(default_factory=PairConfig)
    channels: tuple[int, ...] = (16, 32, 32, 32)
    hidden: int = 96


@dataclass(frozen=True)
class DenoiseConfig(LayeredConfig):
    """The waveform without its noise.

    Attributes:
        channels: of the strided convolutions of the encoder; transposed ones lead back.
    """

    snr_range_db: tuple[float, float] = (20.0, 60.0)
    channels: tuple[int, ...] = (16, 24, 32)
