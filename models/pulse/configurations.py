"""The recipes of the pulse family by name: sizes of the network, and what it is trained for."""

from __future__ import annotations

from dataclasses import replace

from edgeconv.models.pulse.config import DenoiseConfig, NetworkConfig, PileUpConfig, TrainConfig
from edgeconv.quantize.policy import LayerRule, QuantPolicy
from edgeconv.quantize.stage import Stage

__all__ = ["CONFIGURATIONS", "POLICIES", "PRECISE", "UNCERTAINTY"]

RANGE_DB = (20.0, 60.0)


def _sized(channels: tuple[int, ...], hidden: int) -> TrainConfig:
    """A smaller network for all signal-to-noise ratios; it takes fewer steps to learn what it can."""
    return TrainConfig(
        network=NetworkConfig(channels, hidden=hidden),
        snr_range_db=RANGE_DB,
        float_stage=Stage("float", 1200, 5e-3),
        twin_stage=Stage("quantization-aware", 2400, 6e-3),
    )


PRECISE = TrainConfig(
    network=NetworkConfig((24, 32, 32, 24), hidden=128, direct=True),
    snr_range_db=RANGE_DB,
    float_stage=Stage("float", 2000, 5e-3),
    twin_stage=Stage("quantization-aware", 8000, 4e-3),
    energy_weight=0.8,
)

UNCERTAINTY = replace(
    PRECISE,
    network=NetworkConfig((16, 24, 24, 24), hidden=64, direct=True, uncertainty=True),
    float_stage=Stage("float", 1200, 5e-3),
    twin_stage=Stage("quantization-aware", 2400, 5e-3),
)

CONFIGURATIONS: dict[str, TrainConfig | PileUpConfig | DenoiseConfig] = {
    "nano": _sized((4, 8, 8, 8), 16),
    "small": _sized((8, 16, 16, 16), 32),
    "medium": _sized((16, 24, 24, 32), 64),
    "standard": TrainConfig(),
    "precise": PRECISE,
    "uncertainty": UNCERTAINTY,
    "pile-up": PileUpConfig(),
    "denoising": DenoiseConfig(),
}

_BASE = TrainConfig().policy


def _mixed() -> QuantPolicy:
    """4-bit weights but where the ADC's samples enter and where the outputs leave."""
    wide = tuple(LayerRule(name, weight_bits=8) for name in ("layers.0", "layers.5", "direct.*"))
    return QuantPolicy(weight_bits=4, scales=_BASE.scales, learn_scales=_BASE.learn_scales, rules=wide)


POLICIES: dict[str, QuantPolicy] = {
    "int8": _BASE,
    "4-bit weights": QuantPolicy(weight_bits=4, scales=_BASE.scales, learn_scales=_BASE.learn_scales),
    "mixed": _mixed(),
}
