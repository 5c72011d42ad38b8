"""What is searched for the ECG family: convolutions, Mamba blocks, widths and states, and the bits of every layer.

What a selective scan reads and gives keeps 8 bits: its integers are part of what it means (docs/arithmetic.md). The
networks of all the family's recipes, with 8 bits everywhere, lie inside.
"""

from __future__ import annotations

from dataclasses import replace

from edgeconv.models.ecg_mamba.config import NetworkConfig, TrainConfig
from edgeconv.quantize.policy import LayerRule
from edgeconv.search.space import Choice, Space, Value, Values

__all__ = ["config_of", "default_values", "ecg_space"]

_BLOCKS, _CONVOLUTIONS = (0, 1, 2, 3), (0, 1, 2, 3, 4)
"""Mamba blocks, and the residual convolutions before them."""
_WIDTH = (8, 12, 16, 24, 32, 48)
_SIZES: dict[str, tuple[int, ...]] = {"expand": (1, 2), "states": (4, 8, 16), "rank": (2, 4, 8), "taps": (2, 4)}
"""Of Mamba blocks."""
_STEM = {"stem1.width": (4, 8, 16, 24), "stem2.width": (8, 16, 24, 32)}
_STEM_LAYERS = 3
"""Two of widths of their own, and one of the blocks' width."""
_BITS = (4, 6, 8)
_PARTS = {"projections": ("into", "gate", "project"), "scans": ("*_scan.*",)}
"""Layers of a block that share their bits: those around both scans, and those that feed them."""
_OWN = ("weights", "activations")


def ecg_space() -> Space:
    """Sizes, then bits of the stem, of each residual convolution, of each block and of the head."""
    choices = [Choice("convolutions", _CONVOLUTIONS), Choice("blocks", _BLOCKS), Choice("width", _WIDTH)]
    choices += [Choice(name, values, ("blocks", 1)) for name, values in _SIZES.items()]
    choices += [Choice(name, values) for name, values in _STEM.items()]
    choices += [Choice(f"stem{n}.{own}", _BITS, bits=True) for n in range(1, _STEM_LAYERS + 1) for own in _OWN]
    for kind, parts, most in (("convolution", _OWN, _CONVOLUTIONS[-1]), ("block", _PARTS, _BLOCKS[-1])):
        for number in range(1, most + 1):
            needs = (f"{kind}s", number)
            choices += [Choice(f"{kind}{number}.{part}", _BITS, needs, bits=True) for part in parts]
    return Space("ecg_mamba", (*choices, Choice("head.weights", _BITS, bits=True)))


def default_values(shape: NetworkConfig | None = None) -> dict[str, Value]:
    """A network as a recipe has it, all its layers of 8 bits; the recipe of the family when None."""
    shape = shape or NetworkConfig()
    values: dict[str, Value] = {name: getattr(shape, name) for name in ("convolutions", "blocks", "width")}
    if shape.blocks:
        values |= {name: getattr(shape, name) for name in _SIZES}
    values |= dict(zip(_STEM, shape.stem, strict=True))
    layers: dict[str, tuple[str, ...]] = {f"stem{n}": _OWN for n in range(1, _STEM_LAYERS + 1)}
    layers |= {f"convolution{n}": _OWN for n in range(1, shape.convolutions + 1)}
    layers |= {f"block{n}": tuple(_PARTS) for n in range(1, shape.blocks + 1)}
    return values | {f"{layer}.{part}": 8 for layer, parts in layers.items() for part in parts} | {"head.weights": 8}


def config_of(values: Values, base: TrainConfig) -> TrainConfig:
    """The recipe for the network of these values, whose bits take the place of all rules of the recipe."""
    sizes = ("convolutions", "blocks", "width", *_SIZES)
    shape = replace(
        base.network,
        stem=tuple(int(values[name]) for name in _STEM),
        **{name: int(values[name]) for name in sizes if name in values},
    )
    rules = []
    for i in range(_STEM_LAYERS):
        # A convolution and its ReLU follow one another in the stem.
        rules += _rules(values, f"stem{i + 1}", weights=(f"stem.{2 * i}",), activations=f"stem.{2 * i + 1}")
    for i in range(shape.convolutions):
        layers = (f"blocks.{i}.one", f"blocks.{i}.two")
        rules += _rules(values, f"convolution{i + 1}", weights=layers, activations=f"blocks.{i}.relu")
    for i in range(shape.blocks):
        for part, names in _PARTS.items():
            bits = int(values[f"block{i + 1}.{part}"])
            rules += [LayerRule(f"blocks.{shape.convolutions + i}.{name}", weight_bits=bits) for name in names]
    rules.append(LayerRule("head", weight_bits=int(values["head.weights"])))
    return replace(base, network=shape, policy=replace(base.policy, rules=tuple(rules)))


def _rules(values: Values, choice: str, *, weights: tuple[str, ...], activations: str) -> list[LayerRule]:
    found = [LayerRule(layer, weight_bits=int(values[f"{choice}.weights"])) for layer in weights]
    return [*found, LayerRule(activations, activation_bits=int(values[f"{choice}.activations"]))]
