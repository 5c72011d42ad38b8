"""The recipes of the pulse family by name: sizes of the network, and what it is trained for."""

from __future__ import annotations

from dataclasses import replace

from edgeconv.models.pulse.config import POLICY, DenoiseConfig, NetworkConfig, PileUpConfig, TrainConfig
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
    # Below 51 dB a fourth of these steps would do; above, what 8 bits add goes down with every one.
    twin_stage=Stage("quantization-aware", 30_000, 4e-3),
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

_FOUR_BITS = replace(POLICY, weight_bits=4)
# Where the ADC's samples enter and where the outputs leave.
_ENDS = tuple(LayerRule(name, weight_bits=8) for name in ("layers.0", "layers.5", "direct.*"))

POLICIES: dict[str, QuantPolicy] = {
    "int8": POLICY,
    "4-bit weights": _FOUR_BITS,
    "mixed": replace(_FOUR_BITS, rules=_ENDS),
}
