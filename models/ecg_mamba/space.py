"""What is searched for the ECG family: widths, blocks and states, and the bits of every layer.

What a selective scan reads and gives keeps 8 bits: its integers are part of what it means (docs/arithmetic.md). The
published default (width 32, two blocks, 8 states, 8 bits) lies inside.
"""

from __future__ import annotations

from dataclasses import replace

from edgeconv.models.ecg_mamba.config import NetworkConfig, TrainConfig
from edgeconv.quantize.policy import LayerRule
from edgeconv.search.space import Choice, Space, Value, Values

__all__ = ["config_of", "default_values", "ecg_space"]

_BLOCKS = (1, 2, 3)
_SIZES: dict[str, tuple[int, ...]] = {
    "width": (16, 24, 32, 48),
    "expand": (1, 2),
    "states": (4, 8, 16),
    "rank": (2, 4, 8),
    "taps": (2, 4),
}
_STEM = {"stem1.width": (8, 16, 24), "stem2.width": (16, 24, 32)}
_CONVOLUTIONS = 3
"""Of the stem: two of widths of their own, and one of the blocks' width."""
_BITS = (4, 6, 8)
_PARTS = {"projections": ("into", "gate", "project"), "scans": ("*_scan.*",)}
"""Layers of a block that share their bits: those around both scans, and those that feed them."""


def ecg_space() -> Space:
    """Sizes, then bits of the stem, of each block and of the head."""
    sizes = _SIZES | _STEM
    choices = [Choice("blocks", _BLOCKS), *(Choice(name, values) for name, values in sizes.items())]
    for number in range(1, _CONVOLUTIONS + 1):
        choices += [Choice(f"stem{number}.{own}", _BITS, bits=True) for own in ("weights", "activations")]
    for number in range(1, _BLOCKS[-1] + 1):
        needs = ("blocks", number) if number > _BLOCKS[0] else None
        choices += [Choice(f"block{number}.{part}", _BITS, needs, bits=True) for part in _PARTS]
    return Space("ecg_mamba", (*choices, Choice("head.weights", _BITS, bits=True)))


def default_values() -> dict[str, Value]:
    """The network that the family trains without a search."""
    shape = NetworkConfig()
    values: dict[str, Value] = {"blocks": shape.blocks, **{name: getattr(shape, name) for name in _SIZES}}
    values |= dict(zip(_STEM, shape.stem, strict=True))
    for number in range(1, _CONVOLUTIONS + 1):
        values |= {f"stem{number}.weights": 8, f"stem{number}.activations": 8}
    for number in range(1, shape.blocks + 1):
        values |= {f"block{number}.{part}": 8 for part in _PARTS}
    return values | {"head.weights": 8}


def config_of(values: Values, base: TrainConfig) -> TrainConfig:
    """The recipe for the network of these values."""
    blocks = int(values["blocks"])
    shape = replace(
        base.network,
        blocks=blocks,
        stem=tuple(int(values[name]) for name in _STEM),
        **{name: int(values[name]) for name in _SIZES},
    )
    rules = []
    for i in range(_CONVOLUTIONS):
        # A convolution and its ReLU follow one another in the stem.
        rules.append(LayerRule(f"stem.{2 * i}", weight_bits=int(values[f"stem{i + 1}.weights"])))
        rules.append(LayerRule(f"stem.{2 * i + 1}", activation_bits=int(values[f"stem{i + 1}.activations"])))
    for i in range(blocks):
        for part, names in _PARTS.items():
            bits = int(values[f"block{i + 1}.{part}"])
            rules += [LayerRule(f"blocks.{i}.{name}", weight_bits=bits) for name in names]
    rules.append(LayerRule("head", weight_bits=int(values["head.weights"])))
    return replace(base, network=shape, policy=replace(base.policy, rules=(*base.policy.rules, *rules)))
